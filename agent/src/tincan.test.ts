import { expect } from 'chai';
import fc from 'fast-check';

import { readCandidates, readDemand, readEvent, readHello, readLabels, readTunnels } from './tincan.ts';

const EVENTS = [
  'tunnel',
  'candidates',
  'message',
  'member',
  'revocations',
  'adjacency',
  'learned',
  'problems',
  '__proto__',
];
/** Objects with the keys that are looked for, and with anything under them. */
const said = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(
    fc.constantFrom(
      'peer',
      'port',
      'path',
      'note',
      'adjacent',
      'labels',
      'local',
      'certificate',
      'list',
      'from',
      'body',
      'problems',
    ),
    fc.oneof(fc.jsonValue(), fc.stringMatching(/^[0-9a-f]{16,32}$/), fc.base64String(), fc.nat()),
  ),
);

describe('what comes from the control socket', () => {
  it('is read, or is nothing, whatever it is: never an error', () => {
    fc.assert(
      fc.property(fc.constantFrom(...EVENTS), said, (name, data) => {
        const event = readEvent(name, data);
        if (event !== undefined) expect(event.kind).to.equal(name);
        for (const tunnel of readTunnels({ tunnels: [data] })) expect(tunnel.peer).to.be.a('string');
        for (const one of readCandidates({ local: [data] })) expect(one.address).to.be.a('string');
        for (const [label, bytes] of readDemand({ labels: [data] }))
          expect([typeof label, typeof bytes]).to.deep.equal(['string', 'number']);
        expect(readHello(data, 0)).to.have.property('pid');
        const { labels } = (data ?? {}) as { readonly labels?: unknown };
        if (Array.isArray(labels))
          expect(readLabels(labels.filter((label) => typeof label === 'string'))).to.be.an('array');
      }),
      { numRuns: 1_000 },
    );
  });
});
