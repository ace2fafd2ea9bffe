import { expect } from 'chai';
import * as definitions from '../../../crds/src/kinds.ts';
import { GROUP, VERSION } from '../../../crds/src/object-meta.ts';
import { EVIO_NETWORK, EVIO_NODE } from './evio-kinds.ts';

describe("Evio's kinds", () => {
  for (const [asked, defined] of [
    [EVIO_NETWORK, definitions.EVIO_NETWORK],
    [EVIO_NODE, definitions.EVIO_NODE],
  ] as const)
    it(`${asked.kind} is asked for as it is defined`, () => {
      const { kind, plural } = defined;
      expect(asked).to.deep.equal({ group: GROUP, version: VERSION, kind, plural, namespaced: false });
    });
});
