import { expect } from 'chai';
import type { PatchStep } from '../../../agent/src/kube-api/client.ts';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Reason } from '../../../crds/src/condition.ts';
import { decideAddresses, MANAGED_ANNOTATION, UNINITIALIZED_TAINT } from './node-addresses.ts';
import { aMember, aNode } from './testing.ts';

const TAINT = { key: UNINITIALIZED_TAINT, effect: 'NoSchedule' };
const OTHER = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' };
const ADDRESSES = ['10.45.0.3/16', 'fd45::3/64'];
const WANTED = [
  { type: 'InternalIP', address: '10.45.0.3' },
  { type: 'InternalIP', address: 'fd45::3' },
  { type: 'Hostname', address: 'a' },
];
const MANAGED = { meta: { annotations: { [MANAGED_ANNOTATION]: 'managed' } } };

const member = (addresses: readonly string[] = ADDRESSES, reason: Reason = 'Unverified'): EvioNode => {
  const dataPlane = { type: 'DataPlaneReady', status: 'False', reason, message: '', lastTransitionTime: '' } as const;
  return aMember('a', 3, { spec: { addresses: [...addresses] }, status: { conditions: [dataPlane] } });
};

const steps = (list: readonly PatchStep[] | undefined): string[] => (list ?? []).map((s) => `${s.op} ${s.path}`);

describe("a Node's addresses", () => {
  it('become those of the overlay where the kubelet waits for a cloud controller, and the taint goes', () => {
    const verdict = decideAddresses(aNode('a', { addresses: [], taints: [OTHER, TAINT] }), member(), 'Auto');
    if (verdict.kind !== 'patch') throw new Error(verdict.kind);
    expect(verdict.status).to.deep.equal([{ op: 'add', path: '/status/addresses', value: WANTED }]);
    expect(steps(verdict.node)).to.deep.equal([
      'add /metadata/annotations/evio.io~1node-addresses',
      'test /spec/taints/1/key',
      'remove /spec/taints/1',
    ]);
  });

  it('are kept so, and nothing is written while they are', () => {
    expect(decideAddresses(aNode('a', { ...MANAGED, addresses: WANTED }), member(), 'Auto')).to.deep.equal({
      kind: 'none',
    });
    const changed = decideAddresses(aNode('a', { ...MANAGED, addresses: WANTED.slice(1) }), member(), 'Auto');
    expect(changed.kind === 'patch' && [steps(changed.status), changed.node]).to.deep.equal([
      ['add /status/addresses'],
      undefined,
    ]);
    const tainted = decideAddresses(aNode('a', { ...MANAGED, addresses: WANTED, taints: [TAINT] }), member(), 'Auto');
    expect(tainted.kind === 'patch' && [tainted.status, steps(tainted.node)]).to.deep.equal([
      undefined,
      ['test /spec/taints/0/key', 'remove /spec/taints/0'],
    ]);
  });

  it('are written once the node has them, and not taken back while it has them not', () => {
    const waiting = aNode('a', { addresses: [], taints: [TAINT] });
    for (const without of [aMember('a', 3), member(ADDRESSES, 'DataPlaneAbsent')])
      expect(decideAddresses(waiting, without, 'Auto')).to.deep.equal({ kind: 'none' });
    const gone = aNode('a', { ...MANAGED, addresses: WANTED.slice(1) });
    expect(decideAddresses(gone, member(ADDRESSES, 'DataPlaneAbsent'), 'Auto').kind).to.equal('patch');
  });

  it('are written also where the taint is gone and nobody has written any', () => {
    const verdict = decideAddresses(aNode('a', { addresses: [{ type: 'Hostname', address: 'a' }] }), member(), 'Auto');
    expect(verdict.kind).to.equal('patch');
  });

  it("are left alone where the kubelet has its own, and it is told which ones when they are not the overlay's", () => {
    const own = aNode('a', { addresses: [{ type: 'InternalIP', address: '192.168.1.10' }] });
    expect(decideAddresses(own, member(), 'Auto')).to.deep.equal({ kind: 'foreign', internal: ['192.168.1.10'] });
    const overlay = aNode('a', { addresses: [{ type: 'InternalIP', address: '10.45.0.3' }] });
    expect(decideAddresses(overlay, member(), 'Auto')).to.deep.equal({ kind: 'none' });
  });

  it('are never touched where that is said, or before there are any', () => {
    const waiting = aNode('a', { addresses: [], taints: [TAINT] });
    expect(decideAddresses(waiting, member(), 'Never')).to.deep.equal({ kind: 'none' });
    expect(decideAddresses(waiting, member([]), 'Auto')).to.deep.equal({ kind: 'none' });
  });

  it('come with the name the kubelet gave its host', () => {
    const node = aNode('a.example', { addresses: [], meta: { labels: { 'kubernetes.io/hostname': 'a' } } });
    const verdict = decideAddresses(node, member(['10.45.0.3/16']), 'Auto');
    expect(verdict.kind === 'patch' && verdict.status?.[0]).to.have.deep.property('value', [WANTED[0], WANTED[2]]);
  });
});
