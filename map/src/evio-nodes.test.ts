import { expect } from 'chai';
import type { EvioNode } from '../../agent/src/kube-api/evio-kinds.ts';
import { labelHex, labelOf, nodeIdOf } from '../../agent/src/wire/ids.ts';
import { seeded } from '../../test/sim/random.ts';
import { modelOf } from './evio-nodes.ts';
import { edgeKey, summaryOf } from './model.ts';
import { changed, clusterOf, readiness } from './testing/cluster.ts';

const cluster = clusterOf(12, seeded(1));
const model = modelOf('default', cluster);
const bare = (name: string, spec: Partial<EvioNode['spec']> = {}): EvioNode => ({
  apiVersion: 'evio.io/v1alpha1',
  kind: 'EvioNode',
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-11-30T08:00:00Z' },
  spec: { network: 'default', memberName: name, addresses: ['10.45.0.9/16'], podCIDRs: [], ...spec },
});
const told = (name: string, peer: string, tunnel: object): EvioNode =>
  ({ ...bare(name), status: { tunnels: [{ peer, ...tunnel }] } }) as EvioNode;

describe('the map of a cluster', () => {
  it('has the nodes in ring order, and each tunnel once', () => {
    const labels = model.nodes.map(({ label }) => label ?? '');
    expect(labels).to.deep.equal(labels.toSorted());
    const keys = model.edges.map(({ a, b }) => edgeKey(a, b));
    expect(new Set(keys).size).to.equal(keys.length);
    expect(keys).to.have.members(
      cluster
        .flatMap(({ spec, status }) => (status?.tunnels ?? []).map(({ peer }) => edgeKey(spec.memberName, peer)))
        .filter((key, i, all) => all.indexOf(key) === i),
    );
  });

  it('knows an edge of the ring by either end, and who joins neighbours also by a long link', () => {
    const [first, second] = model.nodes;
    const edge = model.edges.find(({ a, b }) => edgeKey(a, b) === edgeKey(first?.name ?? '', second?.name ?? ''));
    expect(edge?.kinds).to.include('successor');
    const links = new Set(
      cluster.flatMap(({ spec, status }) =>
        (status?.ring?.longDistance ?? []).map((to) => edgeKey(spec.memberName, to)),
      ),
    );
    for (const { a, b, kinds } of model.edges)
      expect(kinds.includes('long-distance')).to.equal(links.has(edgeKey(a, b)));
  });

  it('takes the worse of what two ends say', () => {
    const up = { state: 'Up', path: 'Direct', rttMs: 3, lossPercent: 2, kbps: 1_200, since: '2026-11-30T08:00:00Z' };
    const down = { state: 'Down', path: 'Via', since: '2026-11-30T09:00:00Z' };
    expect(modelOf('n', [told('x', 'y', up), told('y', 'x', down)]).edges).to.deep.equal([
      {
        a: 'x',
        b: 'y',
        kinds: ['other'],
        state: 'down',
        path: 'via',
        rttMs: 3,
        loss: 0.02,
        bps: 1_200_000,
        since: '2026-11-30T09:00:00Z',
      },
    ]);
    expect(modelOf('n', [told('x', 'y', { ...up, path: 'Relayed' }), told('y', 'x', up)]).edges[0]?.path).to.equal(
      'relayed',
    );
  });

  it('leaves out tunnels to who has no EvioNode, or to itself', () => {
    expect(modelOf('n', [told('x', 'gone', { state: 'Down' })]).edges).to.deep.equal([]);
    expect(modelOf('n', [told('x', 'x', { state: 'Up' })]).edges).to.deep.equal([]);
  });

  it('says of a machine that joined where it is on the ring, though it tells nothing', () => {
    const key = Buffer.alloc(32, 7);
    const machine = {
      identityKey: key.toString('base64'),
      sessionKey: key.toString('base64'),
      joined: '2026-11-30T08:00:00Z',
    };
    const [node] = modelOf('n', [bare('box', { machine })]).nodes;
    expect(node).to.deep.include({
      label: labelHex(labelOf(nodeIdOf(key))),
      state: 'unknown',
      reason: 'JoinedByToken',
      counts: null,
    });
  });

  it('has those without a place last', () => {
    const names = modelOf('n', [bare('a'), ...cluster]).nodes.map(({ name }) => name);
    expect(names.at(-1)).to.equal('a');
  });

  it('says why a node is not ready', () => {
    const name = cluster[0]?.spec.memberName ?? '';
    const ill = changed(cluster, name, (status) => ({
      ...status,
      conditions: [readiness(false, 'RingIncomplete', 'two tunnels are down')],
    }));
    expect(modelOf('n', ill).nodes.find((node) => node.name === name)).to.deep.include({
      state: 'not-ready',
      reason: 'RingIncomplete',
      message: 'two tunnels are down',
    });
  });

  it('gives no key, no enrolment and no address away', () => {
    const [first] = cluster;
    if (first === undefined) throw new Error('no node');
    const enrolled = {
      ...first,
      spec: { ...first.spec, enrolment: { certificate: 'Q0VSVA==', credentials: 'U0VDUkVU' } },
      status: { ...first.status, keys: { identityKey: `${'A'.repeat(43)}=`, sessionKey: `${'B'.repeat(43)}=` } },
    } as unknown as EvioNode;
    const text = JSON.stringify(modelOf('n', [enrolled]));
    for (const secret of ['Q0VSVA==', 'U0VDUkVU', 'AAAA', 'BBBB', '10.45.', '203.0.113.7'])
      expect(text).not.to.contain(secret);
  });

  it('counts what is up, and what of it is relayed', () => {
    const { nodes, ready, up, direct, relayed, relayShare } = summaryOf(model);
    expect([nodes, ready]).to.deep.equal([12, 12]);
    expect(up).to.equal(model.edges.length);
    expect(direct + relayed).to.equal(up);
    expect(relayShare).to.equal(relayed / up);
    expect(summaryOf({ nodes: [], edges: [] }).relayShare).to.equal(null);
  });
});
