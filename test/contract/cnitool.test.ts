/**
 * The CNI project's own tool, which calls plugins by its library as container runtimes do, with the configuration that the agent writes:
 * alone, with the chained plugins of this Debian, and with new ones. Needs root.
 */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { CniHost } from '../../agent/src/io/cni-host.ts';

const CNITOOL = resolve('.cache/cluster/bin/cnitool');
const NEW = resolve('.cache/cluster/bin/cni');
const DEBIAN = '/usr/lib/cni';
const VERSIONS = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
/** What a runtime says of a pod with a hostPort and a bandwidth limit. */
const CAPABILITIES = {
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  bandwidth: { ingressRate: 8_000_000, ingressBurst: 8_000_000, egressRate: 8_000_000, egressBurst: 8_000_000 },
};

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function sh(command: string, environment: Readonly<Record<string, string>> = {}): Promise<Said> {
  return new Promise((done) => {
    execFile('sh', ['-c', command], { env: { ...process.env, ...environment } }, (error, out, err) =>
      done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err }),
    );
  });
}
async function must(command: string): Promise<string> {
  const said = await sh(command);
  expect(said.code, `${command}: ${said.err}`).to.equal(0);
  return said.out;
}

async function until(holds: () => boolean | Promise<boolean>, otherwise: () => string): Promise<void> {
  for (const end = performance.now() + 20_000; !(await holds()); ) {
    if (performance.now() > end) expect.fail(otherwise());
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe('cnitool of the CNI project', () => {
  const [node, pod] = [`evio-cnitool-${process.pid}`, `evio-cnitool-${process.pid}-pod`];
  let dir: string;
  let host: CniHost;
  const conflist = (): string => join(dir, 'net.d/10-evio.conflist');

  /** The tool keeps results below /var/lib/cni: below a folder of its own here, for this call. */
  const cnitool = (verb: string): Promise<Said> =>
    sh(
      `ip netns exec ${node} sh -c 'mount --bind ${dir}/lib /var/lib && exec ${CNITOOL} ${verb} evio /run/netns/${pod}'`,
      {
        NETCONFPATH: join(dir, 'net.d'),
        CNI_PATH: join(dir, 'bin'),
        CAP_ARGS: JSON.stringify(CAPABILITIES),
        CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=1',
      },
    );
  const well = async (verb: string): Promise<string> => {
    const said = await cnitool(verb);
    expect(said.code, `${verb}: ${said.err}`).to.equal(0);
    return said.out;
  };

  /** The agent's files for a node that has these plugins to chain. */
  async function placed(plugins: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, from] of Object.entries(plugins)) copyFileSync(join(from, name), join(dir, 'bin', name));
    host.want(
      {
        attachment: 'Routed',
        subnets: ['10.244.3.0/24', 'fd00:10:244:3::/64'],
        podCIDRs: [],
        gateways: ['10.45.0.4', 'fd45::4'],
        mtu: 1400,
      },
      'evio0',
    );
    await until(
      () => host.state.kind === 'configured',
      () => JSON.stringify(host.state),
    );
  }

  beforeEach(async function () {
    this.timeout(30_000);
    for (const file of [CNITOOL, join(NEW, 'portmap'), 'dist/evio-cni'])
      if (!existsSync(file)) expect.fail(`${file} is missing; make it: make build cluster-build`);
    dir = mkdtempSync(join(tmpdir(), 'evio-cnitool-'));
    for (const name of ['bin', 'lib', 'net.d']) mkdirSync(join(dir, name));
    host = new CniHost({
      confDir: join(dir, 'net.d'),
      binDir: join(dir, 'bin'),
      dataDir: join(dir, 'addresses'),
      plugin: resolve('dist/evio-cni'),
      report: () => undefined,
      changed: () => undefined,
    });
    await must(`ip netns add ${node} && ip netns add ${pod} && ip -n ${node} link set lo up
      ip -n ${node} link add evio0 type bridge && ip -n ${node} link set evio0 up &&
      ip -n ${node} addr add 10.45.0.4/16 dev evio0 && ip -n ${node} addr add fd45::4/64 dev evio0 nodad`);
  });
  afterEach(async () => {
    host.stop();
    await sh(`ip netns del ${pod}; ip netns del ${node}`);
    rmSync(dir, { recursive: true, force: true });
  });

  const links = async (): Promise<number> => (await must(`ip -n ${node} -br link`)).match(/^evc/gm)?.length ?? 0;
  const given = (): readonly string[] =>
    readdirSync(join(dir, 'addresses/evio')).filter((name) => /^[\d.]+$|:/.test(name));
  const hostPort = async (): Promise<boolean> =>
    (await must(`ip netns exec ${node} iptables-save -t nat`)).includes('--dport 8080');

  /** Every verb, in the order of a pod's life. `checked`: whether all plugins of the list can be asked. */
  async function life(version: string, chained: number, checked: boolean): Promise<void> {
    await well('status');
    const result = JSON.parse(await well('add')) as {
      cniVersion: string;
      ips: { address: string }[];
      interfaces: object[];
    };
    expect(result.cniVersion).to.equal(version);
    expect(result.ips.map(({ address }) => address.replace(/.*\//, ''))).to.deep.equal(['32', '128']);
    expect(await hostPort()).to.equal(chained > 0);
    const again = await cnitool('add');
    expect([again.code, again.err]).to.satisfy(
      ([code, err]: [number, string]) => code === 1 && /DEL it first/.test(err),
    );
    if (version === '0.3.1') expect((await cnitool('check')).err).to.match(/does not support the CHECK command/);
    else if (checked) await well('check');
    await well('status');
    for (let i = 0; i < 2; i++) await well('del');
    expect([await links(), given(), await hostPort()]).to.deep.equal([0, [], false]);
    // The tool's GC is for all that it made.
    await well('add');
    await well('gc');
    expect([await links(), given(), await hostPort()]).to.deep.equal([0, [], false]);
    await well('gc');
  }

  for (const [what, plugins, versions, checked] of [
    ['alone', {}, VERSIONS, true],
    // 1.1.1 of the CNI project; its portmap looks for IPv4 rules in IPv6's table when it checks.
    ["with Debian's portmap and bandwidth", { portmap: DEBIAN, bandwidth: DEBIAN }, VERSIONS.slice(0, 3), false],
    ["with Debian's bandwidth alone", { bandwidth: DEBIAN }, VERSIONS.slice(0, 3), true],
    ['with new ones', { portmap: NEW, bandwidth: NEW }, VERSIONS, true],
    ['with a new and an old one', { portmap: NEW, bandwidth: DEBIAN }, VERSIONS.slice(0, 3), true],
  ] as const) {
    const chained = 'portmap' in plugins ? Object.keys(plugins).length : 0;
    it(`takes the configuration as it is written, ${what}, and the newest version that all speak`, async function () {
      this.timeout(60_000);
      await placed(plugins);
      expect(JSON.parse(readFileSync(conflist(), 'utf8')).cniVersions).to.deep.equal(versions);
      await life(versions.at(-1) ?? '', chained, checked);
    });

    if (what.includes('bandwidth alone') || what.includes('old one')) continue;
    it(`lives through every verb of ${versions.join(', ')}, ${what}`, async function () {
      this.timeout(180_000);
      await placed(plugins);
      const { cniVersions: _, ...list } = JSON.parse(readFileSync(conflist(), 'utf8'));
      host.stop();
      for (const version of versions) {
        writeFileSync(conflist(), JSON.stringify({ ...list, cniVersion: version }));
        await life(version, chained, checked);
      }
    });
  }

  it('does not take away by its GC what another runtime has made', async function () {
    this.timeout(30_000);
    await placed({});
    await well('add');
    rmSync(join(dir, 'lib/cni'), { recursive: true });
    await well('gc');
    expect([await links(), given().length]).to.deep.equal([1, 2]);
    await must(`ip netns del ${pod} && ip netns add ${pod}`);
    // The kernel takes a namespace down in the background; until the pair is gone, the pod is there.
    await until(
      async () => (await links()) === 0,
      () => 'the link of a namespace that is gone is still there',
    );
    await well('gc');
    expect([await links(), given().length]).to.deep.equal([0, 0]);
  });
});
