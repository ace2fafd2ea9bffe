import { expect } from 'chai';
import type { Verdict } from './check.ts';
import { type ClusterFacts, clusterChecks } from './cluster.ts';

const NODE = { name: 'a', os: 'linux', architecture: 'amd64', kernel: '6.1.0', addresses: ['192.0.2.1'] };
const WELL: ClusterFacts = {
  server: 'https://api:6443',
  version: 'v1.34.2',
  nodes: [NODE],
  daemonSets: [{ namespace: 'kube-system', name: 'kube-proxy' }],
  serviceCIDRs: ['10.96.0.0/12'],
  wanted: { there: false, mode: 'PodNetwork', nodeCIDRs: ['10.45.0.0/16'], podCIDRs: ['10.244.0.0/16'] },
  refused: [],
  namespace: { name: 'evio-system', level: null },
  leases: [{ node: 'a', renewedMs: 1_000_000 }],
  askedMs: 1_005_000,
};

const checks = (facts: Partial<ClusterFacts>) => clusterChecks({ ...WELL, ...facts });
const verdicts = (facts: Partial<ClusterFacts>): Readonly<Record<string, Verdict>> =>
  Object.fromEntries(checks(facts).map(({ name, verdict }) => [name, verdict]));
const textOf = (facts: Partial<ClusterFacts>, name: string) => checks(facts).find((one) => one.name === name)?.text;

describe('evio preflight of a cluster', () => {
  it('passes one that is well', () => {
    expect(checks({}).filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
  });

  it('fails for a cluster or nodes that are too old, or that no agent is made for', () => {
    expect(verdicts({ version: 'v1.31.9+k3s1' })).to.include({ kubernetes: 'fail' });
    expect(verdicts({ version: 'v1.32.0' })).to.include({ kubernetes: 'pass' });
    expect(verdicts({ nodes: [] })).to.include({ nodes: 'fail' });
    const nodes = [
      { ...NODE, kernel: '4.9.0' },
      { ...NODE, name: 'pi', architecture: 'arm' },
      { ...NODE, name: 'win', os: 'windows' },
    ];
    expect(verdicts({ nodes })).to.include({ kernel: 'fail', architecture: 'fail', nodes: 'uncertain' });
    expect(textOf({ nodes }, 'architecture')).to.equal('there is no agent for pi (arm)');
  });

  it('fails where nodes, pods or Services have addresses in common with the overlay, unless Evio is there already', () => {
    const nodes = [{ ...NODE, addresses: ['10.244.3.4', 'fd00::1'] }];
    expect(textOf({ nodes }, 'cidr')).to.equal('no node has an address of 10.45.0.0/16');
    expect(checks({ nodes }).filter(({ verdict }) => verdict === 'fail')[0]?.text).to.equal(
      'addresses of a are within 10.244.0.0/16',
    );
    const there = { ...WELL.wanted, there: true };
    expect(checks({ nodes, wanted: there }).filter(({ verdict }) => verdict === 'fail')).to.deep.equal([]);
    expect(textOf({ serviceCIDRs: ['10.45.128.0/20'] }, 'service-cidr')).to.contain('10.45.128.0/20 and 10.45.0.0/16');
    expect(verdicts({ serviceCIDRs: [] })).to.include({ 'service-cidr': 'uncertain' });
  });

  it('knows another network plugin by its DaemonSet, which HostNetwork has beside it', () => {
    const daemonSets = [{ namespace: 'kube-flannel', name: 'kube-flannel-ds' }];
    expect(textOf({ daemonSets }, 'cni')).to.equal(
      'Flannel (DaemonSet kube-flannel/kube-flannel-ds) is the network of pods',
    );
    const wanted = { ...WELL.wanted, there: true, mode: 'HostNetwork' };
    expect(verdicts({ daemonSets, wanted })).to.include({ cni: 'pass' });
  });

  it('says what you may not, and which level of Pod Security is in the way', () => {
    expect(textOf({ refused: ['create clusterroles'] }, 'rights')).to.equal('you may not create clusterroles');
    expect(verdicts({ refused: null })).to.include({ rights: 'uncertain' });
    expect(verdicts({ namespace: { name: 'x', level: 'baseline' } })).to.include({ 'pod-security': 'fail' });
  });

  it('tells a node with a clock that is ahead from a machine with one that is behind, and takes old Leases for nodes that are away', () => {
    const ahead = { node: 'b', renewedMs: 1_000_000 + 3_600_000 };
    expect(textOf({ leases: [...WELL.leases, ahead] }, 'clock')).to.equal('ahead of this machine: b by 60 minutes');
    expect(textOf({ leases: [ahead] }, 'clock')).to.match(/^this machine's clock is 60 minutes behind/);
    expect(verdicts({ leases: [{ node: 'gone', renewedMs: 0 }] })).to.include({ clock: 'pass' });
  });
});
