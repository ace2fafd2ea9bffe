import { expect } from 'chai';
import type { Client } from '../../../../agent/src/kube-api/client.ts';
import type { KubeObject } from '../../../../agent/src/kube-api/object.ts';
import { aNetwork } from '../../desired/testing.ts';
import { FINALIZER } from '../../names.ts';
import type { World } from '../world.ts';
import { carryOut } from './apply.ts';
import type { NetworkView } from './decide.ts';

describe('the finalizer of an EvioNetwork', () => {
  it('is put on the one that was seen: without its uid one that was just deleted would be made again', async () => {
    const sent: KubeObject['metadata'][] = [];
    const apply = async (_: unknown, { metadata }: KubeObject) => void sent.push(metadata);
    const network = aNetwork({}, { uid: 'seen' });
    const world = { client: { apply } as unknown as Client } as World;
    await carryOut({ network } as NetworkView, { kind: 'add-finalizer' }, world);
    expect(sent).to.deep.equal([{ name: 'default', uid: 'seen', finalizers: [FINALIZER] }]);
  });
});
