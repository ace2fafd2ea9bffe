import { expect } from 'chai';
import { type ClusterFacts, clusterFindings } from './cluster.ts';

const WELL: ClusterFacts = {
  node: 'pi1',
  uptimeMs: 60_000,
  away: undefined,
  standing: undefined,
  object: { seen: true, podCIDRs: ['10.244.3.0/24'] },
  subnets: ['10.244.3.0/24'],
  cni: [],
  pools: [{ subnet: '10.244.3.0/24', used: 3, free: 250, store: '/var/lib/cni/evio/evio' }],
};
const of = (change: Partial<ClusterFacts>) => clusterFindings({ ...WELL, ...change });
const AWAY = { server: 'https://10.0.0.1:6443', why: 'connection refused', sinceMs: 12_000 };
const AWAITING = { kind: 'awaiting', message: 'the operator has not answered the keys of this node yet' } as const;

describe("what is wrong with a cluster's node", () => {
  it('is nothing when all is well, and while it has just started', () => {
    expect(of({})).to.deep.equal([]);
    const unknown = { seen: false, podCIDRs: [] };
    expect(of({ standing: AWAITING, object: unknown, subnets: undefined, uptimeMs: 2_000 })).to.deep.equal([]);
  });

  const named: readonly (readonly [string, Partial<ClusterFacts>, RegExp, RegExp])[] = [
    ['api-server-away', { away: AWAY }, /https:\/\/10\.0\.0\.1:6443.*12 s \(connection refused\)/, /kube-apiserver/],
    [
      'prefix-missing',
      { standing: AWAITING, object: { seen: false, podCIDRs: [] }, subnets: undefined },
      /no EvioNode pi1/,
      /AddressPoolReady/,
    ],
    [
      'prefix-missing',
      { object: { seen: true, podCIDRs: ['10.244.3.0/24', 'fd00:3::/64'] } },
      /fd00:3::\/64: EvioNode pi1/,
      /delete evionode pi1/,
    ],
    [
      'not-enrolled',
      { standing: AWAITING, subnets: undefined },
      /not answered the keys.*EvioNode pi1/,
      /operator runs/,
    ],
    [
      'enrolment-refused',
      { standing: { kind: 'refused', message: 'the enrolment is not taken: it is of another authority' } },
      /another authority/,
      /describe evionode pi1/,
    ],
    [
      'cni-plugin',
      { cni: [{ kind: 'plugin', text: 'cannot write /opt/cni/bin/x: EROFS' }] },
      /opt\/cni\/bin/,
      /writable/,
    ],
    ['cni-chained', { cni: [{ kind: 'chained', text: 'portmap is not in /opt/cni/bin' }] }, /portmap/, /containernetw/],
    ['conflist-stale', { cni: [{ kind: 'conflist', text: 'cannot write /etc/cni/net.d/y' }] }, /net\.d\/y/, /writable/],
    ['conflist-other', { cni: [{ kind: 'other', text: '/etc/cni/net.d/05-x comes first' }] }, /05-x/, /remove/],
    [
      'pool-full',
      { pools: [{ subnet: '10.244.3.0/24', used: 253, free: 0, store: '/var/lib/cni/evio/evio' }] },
      /10\.244\.3\.0\/24: 253.*\/var\/lib\/cni\/evio\/evio/,
      /evio ipam check/,
    ],
  ];
  for (const [i, [code, change, text, fix]] of named.entries())
    it(`is named: ${code} (${i}), alone, with where it is and what to do`, () => {
      const found = of(change);
      expect(found.map((one) => one.code)).to.deep.equal([code]);
      expect(found[0]?.text).to.match(text);
      expect(found[0]?.fix).to.match(fix);
    });

  it('is the API server alone where that cannot be asked how the enrolment stands', () => {
    const found = of({ away: AWAY, standing: AWAITING, object: { seen: false, podCIDRs: [] }, subnets: undefined });
    expect(found.map(({ code }) => code)).to.deep.equal(['api-server-away']);
  });
});
