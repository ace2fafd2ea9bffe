import { expect } from 'chai';
import type { Check, Verdict } from './check.ts';
import { reportOf } from './check.ts';
import { type MachineFacts, machineChecks } from './machine.ts';
import { cidrsMeet, meeting, routes4, routes6 } from './routes.ts';
import { preflightText } from './text.ts';

const ROUTES4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
tun9\t00052D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
evio0\t00002D0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`;
const ROUTES6 = `fd450000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

const WELL: MachineFacts = {
  surroundings: { euid: 0, capabilities: ~0n, tunError: undefined, release: '6.1.0-35-amd64' },
  architecture: 'x64',
  wallMs: Date.UTC(2027, 0, 1),
  synchronized: true,
  routes: [],
  cidrs: ['10.45.0.0/16'],
  ports: [{ protocol: 'UDP', port: 3478, use: 'TURN', holder: undefined }],
  sysctls: {
    'net.ipv4.ip_forward': '1',
    'net.ipv6.conf.all.forwarding': '1',
    'net.bridge.bridge-nf-filter-vlan-tagged': '0',
  },
  nft: { kind: 'works', dropping: [] },
  cni: { confDir: '/etc/cni/net.d', binDir: '/opt/cni/bin', configurations: ['10-evio.conflist'], missing: [] },
};

const verdicts = (facts: Partial<MachineFacts>): Readonly<Record<string, Verdict>> =>
  Object.fromEntries(machineChecks({ ...WELL, ...facts }).map(({ name, verdict }) => [name, verdict]));
const found = (facts: Partial<MachineFacts>, name: string): Check | undefined =>
  machineChecks({ ...WELL, ...facts }).find((one) => one.name === name);

describe('evio preflight', () => {
  it('passes a machine that is well, and says what to do about nothing', () => {
    const checks = machineChecks(WELL);
    expect(checks.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    expect(checks.every(({ fix }) => fix === null)).to.equal(true);
    expect(reportOf('machine', 'here', checks).ok).to.equal(true);
  });

  it('fails for what keeps an agent from running, each by its own name', () => {
    const { surroundings } = WELL;
    const of = (more: Partial<MachineFacts['surroundings']>) =>
      verdicts({ surroundings: { ...surroundings, ...more } });
    expect(of({ release: '4.9.0' })).to.include({ kernel: 'fail', tun: 'pass', 'net-admin': 'pass' });
    expect(of({ capabilities: 0n })).to.include({ kernel: 'pass', tun: 'pass', 'net-admin': 'fail' });
    expect(of({ tunError: 'ENOENT' })).to.include({ tun: 'fail', 'net-admin': 'pass' });
    expect(verdicts({ architecture: 'arm' })).to.include({ architecture: 'fail' });
    for (const { verdict, fix } of machineChecks({ ...WELL, surroundings: { ...surroundings, tunError: 'ENODEV' } }))
      expect(verdict === 'pass').to.equal(fix === null);
  });

  it('is uncertain, and no more, of what only root can tell', () => {
    const surroundings = { ...WELL.surroundings, euid: 1000, capabilities: 0n, tunError: 'EACCES' };
    expect(verdicts({ surroundings })).to.include({ 'net-admin': 'uncertain', tun: 'uncertain' });
    expect(verdicts({ surroundings: { ...surroundings, tunError: 'ENOENT' } })).to.include({ tun: 'fail' });
  });

  it('fails for a clock that cannot be right, and is uncertain of one that nobody has confirmed', () => {
    expect(verdicts({ wallMs: 0 })).to.include({ clock: 'fail' });
    expect(verdicts({ synchronized: false })).to.include({ clock: 'uncertain' });
    expect(verdicts({ synchronized: undefined })).to.include({ clock: 'uncertain' });
  });

  it('names the program that has a port', () => {
    const ports = [{ protocol: 'UDP', port: 3478, use: 'TURN', holder: { pid: 7, name: 'turnserver' } }] as const;
    expect(found({ ports }, 'port-udp-3478')).to.deep.include({
      verdict: 'fail',
      text: 'UDP 3478 is taken by turnserver (pid 7) (TURN)',
    });
  });

  it('reads the routes of the kernel, and finds those that meet the overlay; its own do not count', () => {
    const routes = [...routes4(ROUTES4), ...routes6(ROUTES6)];
    expect(found({ routes }, 'cidr')?.text).to.equal(
      '10.45.0.0/16 meets the route 10.45.5.0/24 dev tun9 of this machine',
    );
    expect(meeting('10.46.0.0/16', routes)).to.equal(undefined);
    expect(meeting('192.168.0.0/16', routes)?.device).to.equal('eth0');
    expect(meeting('fd45::/48', routes)?.device).to.equal('eth0');
    expect(meeting('fe80::/64', routes)).to.equal(undefined);
    expect(cidrsMeet('10.0.0.0/8', '10.96.0.0/12')).to.equal(true);
    expect(cidrsMeet('10.0.0.0/16', '10.1.0.0/16')).to.equal(false);
    expect(cidrsMeet('10.0.0.0/8', 'fd00::/8')).to.equal(false);
  });

  it('tells another plugin that would be taken from one that would be replaced', () => {
    const cni = (...configurations: readonly string[]) =>
      verdicts({ cni: { confDir: '/etc/cni/net.d', binDir: '/b', configurations, missing: ['portmap'] } });
    expect(cni('05-calico.conflist', '10-evio.conflist')).to.include({ cni: 'fail', 'cni-plugins': 'uncertain' });
    expect(cni('10-flannel.conflist')).to.include({ cni: 'uncertain' });
    expect(cni('README')).to.include({ cni: 'pass' });
  });

  it('is uncertain of a firewall that drops what is forwarded, and of a machine that forwards nothing', () => {
    const nft = { kind: 'works', dropping: ['inet filter forward'] } as const;
    expect(found({ nft }, 'forward-policy')).to.include({ verdict: 'uncertain' });
    expect(verdicts({ nft: { kind: 'missing' } })).to.include({ nftables: 'uncertain' });
    expect(verdicts({ nft: { kind: 'fails', said: 'Operation not supported' } })).to.include({ nftables: 'fail' });
    const sysctls = { ...WELL.sysctls, 'net.ipv4.ip_forward': '0', 'net.bridge.bridge-nf-filter-vlan-tagged': '1' };
    expect(verdicts({ sysctls })).to.include({ 'forwarding-ipv4': 'uncertain', 'bridge-vlan': 'fail' });
  });

  it('prints each verdict, what to do under it, and the counts last', () => {
    const text = preflightText(reportOf('machine', 'box', machineChecks({ ...WELL, architecture: 'arm' })));
    expect(text).to.match(/^box\npass +kernel +Linux 6\.1\.0-35-amd64$/m);
    expect(text).to.match(/^FAIL +architecture +arm: .*\n +to do: use a machine/m);
    expect(text).to.match(/\n\d+ passed, 1 failed, 0 uncertain\n$/);
  });
});
