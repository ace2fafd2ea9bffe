import { expect } from 'chai';
import type { EvioNode, EvioPeer } from '../../../agent/src/kube-api/evio-kinds.ts';
import { nodeIdOf } from '../../../agent/src/wire/ids.ts';
import { peerStatus } from './peer.ts';
import { aMember, aNode, someKeys } from './testing.ts';

const NOW = '2027-01-15T08:00:00Z';
const PEER: EvioPeer = {
  apiVersion: 'evio.io/v1alpha1',
  kind: 'EvioPeer',
  metadata: { name: 'p', uid: 'u', generation: 1, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { network: 'default' },
};
const OWNER = [{ apiVersion: 'evio.io/v1alpha1', kind: 'EvioPeer', name: 'p', uid: 'u' }];
const KEYS = someKeys('p');
const its = (spec: Partial<EvioNode['spec']> = {}): EvioNode =>
  aMember('p', 2, { spec: { podCIDRs: [], ...spec }, meta: { ownerReferences: OWNER } });

function status(
  members: readonly EvioNode[],
  more: { readonly nodes?: readonly string[]; readonly network?: boolean; readonly shortage?: string } = {},
) {
  const { nodes = [], network = true, shortage } = more;
  return peerStatus(
    {
      peer: PEER,
      peers: new Map([['p', PEER]]),
      nodes: new Map(nodes.map((name) => [name, aNode(name)])),
      members: new Map(members.map((one) => [one.metadata.name, one])),
      ...{ network, shortage },
    },
    NOW,
  );
}
const reasons = (of: ReturnType<typeof status>) =>
  of.conditions?.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`);

describe('the status of an EvioPeer', () => {
  it('tells its address before a machine has joined, and who it is, since when and until when after', () => {
    const waiting = status([its()]);
    expect(waiting.addresses).to.deep.equal(['10.45.0.2/16']);
    expect(reasons(waiting)).to.deep.equal(['Accepted True Accepted', 'Joined False NotJoined']);
    const enrolment = { notAfter: '2027-02-14T08:00:00Z' } as never;
    const done = status([its({ machine: { ...KEYS, joined: NOW }, enrolment })]);
    expect(done).to.deep.include({
      nodeID: nodeIdOf(Buffer.from(KEYS.identityKey, 'base64')),
      joined: NOW,
      certificateNotAfter: '2027-02-14T08:00:00Z',
    });
    expect(reasons(done)).to.deep.equal(['Accepted True Accepted', 'Joined True Joined']);
  });

  it('says why it has no place: no network, a name that is taken, no address', () => {
    expect(reasons(status([], { network: false }))?.[0]).to.equal('Accepted False NoNetwork');
    expect(reasons(status([], { nodes: ['p'] }))?.[0]).to.equal('Accepted False NameTaken');
    expect(reasons(status([aMember('p', 1)]))?.[0]).to.equal('Accepted False NameTaken');
    expect(reasons(status([], { shortage: 'none is left' }))?.[0]).to.equal('Accepted False PoolExhausted');
    expect(reasons(status([]))?.[0]).to.equal('Accepted Unknown Pending');
  });
});
