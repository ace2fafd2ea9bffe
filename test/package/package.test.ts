/**
 * The Debian package in its life: installed, started, upgraded, removed, purged, under a real systemd. By default on this machine's own
 * files; EVIO_PACKAGE_ROOT=debian takes a clean Debian instead, as debootstrap makes it.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import type { Peer, Status } from '../../agent/src/api.ts';
import { nodeFileValue } from '../../agent/src/config/testing/fixture.ts';
import { answered, type Done } from '../e2e/evio.ts';
import { Lan, pinging, type TermNode, until } from '../e2e/terminal/lan.ts';
import { lowerOf, PackageMachine, type Root } from './machines.ts';
import { type Made, makePackages, NEXT_VERSION, VERSION } from './packages.ts';

const UNIT = 'evio.service';
const ROOT: Root = process.env.EVIO_PACKAGE_ROOT === 'debian' ? 'debian' : 'here';

describe(`the Debian package, on ${ROOT === 'debian' ? 'a clean Debian' : "this machine's files"},`, function () {
  this.timeout(90_000);
  let lan: Lan;
  let a: TermNode;
  let b: TermNode;
  let made: Made;
  let lower: string;
  let nodeFile: string;
  let host: PackageMachine | undefined;

  before(async function () {
    this.timeout(600_000);
    lower = lowerOf(ROOT);
    lan = await Lan.make();
    [a, b] = [lan.a, lan.b];
    made = makePackages(join(lan.dir, 'packages'), ROOT === 'debian' ? 'inside' : 'beside');
    nodeFile = join(lan.dir, 'node.json');
    // Pods behind it: then it has a table of nftables, and routes, besides its interfaces.
    const value = nodeFileValue({
      authority: lan.authority,
      name: a.name,
      address: `${a.address}/16`,
      notBefore: Math.floor(Date.now() / 1000) - 60,
      routes: ['10.244.3.0/24'],
    });
    const more = { ice: { stun: [], turn: 'none' }, pods: { overlayCIDRs: ['10.244.0.0/16'] } };
    writeFileSync(nodeFile, JSON.stringify({ ...value, ...more }), { mode: 0o600 });
  });
  after(() => lan?.remove());

  const boot = async (
    more: { readonly bare?: boolean; readonly withoutTun?: boolean } = {},
  ): Promise<PackageMachine> => {
    host = await PackageMachine.boot(a.ns, { lower, files: [made.first, made.next, nodeFile, ...made.more], ...more });
    return host;
  };
  const shutdown = async (): Promise<void> => {
    await host?.end();
    host = undefined;
    await lan.clear(a);
    await lan.clear(b);
  };

  /** As apt does it: the machine has no network, so it fails where something would have to be downloaded. */
  const install = (on: PackageMachine, deb: string): Promise<Done> => {
    const path = `/mnt/packages/${basename(deb)}`;
    return ROOT === 'debian'
      ? on.machine.run('apt-get', 'install', '--yes', '--quiet', '--reinstall', path)
      : on.machine.run('dpkg', '--install', path);
  };
  const remove = (on: PackageMachine, how: 'remove' | 'purge'): Promise<Done> =>
    ROOT === 'debian'
      ? on.machine.run('apt-get', how, '--yes', '--quiet', 'evio')
      : on.machine.run('dpkg', `--${how}`, 'evio');
  const done = (what: Done): Done => {
    expect(what.code, what.stdout + what.stderr).to.equal(0);
    return what;
  };
  const wordsOf = ({ stdout, stderr }: Done): readonly string[] =>
    `${stdout}${stderr}`.split(/\r?\n/).filter((line) => line.startsWith('evio:'));
  const place = (on: PackageMachine, name = 'node'): Promise<string> =>
    on.machine.ok('install', '-m', '600', '/mnt/packages/node.json', `/etc/evio/${name}.json`);
  const status = async (on: PackageMachine): Promise<Status> =>
    answered(await on.machine.run('evio', 'status', '-o', 'json'));
  const running = (on: PackageMachine): Promise<Status & { tincan: NonNullable<Status['tincan']> }> =>
    until('agent and tincan run', 15_000, async () => {
      const now = await status(on).catch(() => undefined);
      return now === undefined || now.tincan === null ? undefined : { ...now, tincan: now.tincan };
    });
  const joined = (on: PackageMachine): Promise<boolean> =>
    until('b is reached directly', 30_000, async () => {
      const said = await on.machine.run('evio', 'peers', '-o', 'json');
      if (said.code !== 0) return undefined;
      const { peers } = JSON.parse(said.stdout) as { peers: readonly Peer[] };
      return peers.some(({ name, path }) => name === 'b' && path === 'direct') || undefined;
    });
  const verified = async (on: PackageMachine): Promise<string> => {
    const said = await on.machine.run('dpkg', '--verify', 'evio');
    return said.stdout + said.stderr;
  };

  describe('in its life', () => {
    let files: readonly string[];
    let network: string;
    before(async () => {
      await boot();
      files = (host as PackageMachine).files();
      network = await (host as PackageMachine).network();
    });
    after(shutdown);
    const on = (): PackageMachine => host ?? expect.fail('the machine did not boot');

    it('is installed without a network, starts nothing without a node file, and says what to do', async () => {
      const said = done(await install(on(), made.first));
      expect(wordsOf(said)).to.deep.equal([
        "evio: to join an overlay put this machine's node file at /etc/evio/node.json (mode 0600), then: systemctl enable --now evio",
      ]);
      expect(await verified(on())).to.equal('');
      expect(await on().processes()).to.deep.equal([]);
      expect(await on().network()).to.equal(network);
      expect((await on().machine.run('systemctl', 'is-enabled', UNIT)).stdout).to.equal('disabled\n');
      expect(await on().machine.ok('stat', '-c', '%a %U:%G', '/etc/evio')).to.equal('711 root:root\n');
      for (const name of ['evio', 'kubectl-evio'])
        expect(await on().machine.ok(name, '--version'), name).to.equal(`${VERSION}\n`);
      expect(await on().machine.ok('kubectl_complete-evio', 'netc')).to.match(/^netcheck\t/);
      const checked = await on().machine.run('systemd-analyze', 'verify', UNIT, 'evio@lab.service');
      // It looks for the manual page, which small systems leave out.
      expect(checked.stderr.split('\n').filter((line) => line !== '' && !/man evio|man:evio/.test(line))).to.deep.equal(
        [],
      );
      // Started without a file it is left out, which is no failure.
      await on().machine.ok('systemctl', 'start', UNIT);
      expect(await on().machine.property(UNIT, 'ConditionResult')).to.equal('no');
      expect(await on().processes()).to.deep.equal([]);
    });

    it('runs a node once its file is there, supervised', async () => {
      await place(on());
      await on().machine.ok('systemctl', 'enable', '--now', UNIT);
      const before = await running(on());
      expect(await on().machine.property(UNIT, 'MainPID')).to.equal(String(before.agent.pid));
      expect(await on().processes()).to.deep.equal(['node', 'tincan']);
      expect(await on().machine.ok('nft', 'list', 'tables')).to.contain('table inet evio');
      await on().machine.ok('sh', '-c', `kill -KILL ${before.agent.pid} ${before.tincan.pid}`);
      const after = await until('both are there again', 15_000, async () => {
        const now = await status(on()).catch(() => undefined);
        return now?.tincan && now.agent.pid !== before.agent.pid ? now : undefined;
      });
      expect(after.tincan?.pid).not.to.equal(before.tincan.pid);
    });

    it('is upgraded without a lost packet: the agent is another, tincan the same', async () => {
      lan.start(b);
      await joined(on());
      const before = await running(on());
      let said: Done | undefined;
      const { sent, lost } = await pinging(b, a, async () => {
        said = done(await install(on(), made.next));
        await running(on());
      });
      const after = await running(on());
      expect(wordsOf(said as Done)).to.deep.equal([]);
      expect(after.tincan.pid).to.equal(before.tincan.pid);
      expect(after.agent.pid).not.to.equal(before.agent.pid);
      expect(await on().machine.ok('evio', '--version')).to.equal(`${NEXT_VERSION}\n`);
      expect(await on().machine.property(UNIT, 'ActiveState')).to.equal('active');
      expect(await verified(on())).to.equal('');
      expect(sent).to.be.above(100);
      expect(lost).to.equal(0);
    });

    it('upgraded while the node is disabled and stopped, leaves it so', async () => {
      await on().machine.ok('systemctl', 'disable', UNIT);
      await on().machine.ok('evio', 'agent', 'stop');
      done(await install(on(), made.next));
      expect(await on().processes()).to.deep.equal([]);
      expect((await on().machine.run('systemctl', 'is-enabled', UNIT)).stdout).to.equal('disabled\n');
      await on().machine.ok('systemctl', 'enable', '--now', UNIT);
      await running(on());
    });

    it('removed, takes processes, interfaces, routes, rules and tables along, and keeps the node file', async () => {
      done(await remove(on(), 'remove'));
      expect(await on().processes()).to.deep.equal([]);
      expect(await on().network()).to.equal(network);
      expect(await on().machine.ok('ls', '/etc/evio')).to.equal('node.json\n');
      expect(
        await on().machine.ok('sh', '-c', 'ls -d /run/evio /usr/lib/evio /usr/bin/*evio* 2>/dev/null || true'),
      ).to.equal('');
    });

    it('installed again, runs the node it finds at once', async () => {
      done(await install(on(), made.next));
      await running(on());
      expect(await on().machine.property(UNIT, 'ActiveState')).to.equal('active');
    });

    it('removed while its agent is away, ends the tincan that the agent has left', async () => {
      await on().machine.ok('systemctl', 'stop', UNIT);
      expect(await on().processes()).to.deep.equal(['tincan']);
      done(await remove(on(), 'remove'));
      expect(await on().processes()).to.deep.equal([]);
      expect(await on().network()).to.equal(network);
    });

    it('purged, leaves nothing of itself: no file, no unit, no process, no interface', async () => {
      done(await install(on(), made.first));
      await running(on());
      // An overlay more, which an administrator has enabled by hand; it is the first one's, so it does not come up.
      await place(on(), 'lab');
      await on().machine.ok('systemctl', 'enable', 'evio@lab.service');
      done(await remove(on(), 'purge'));
      expect(await on().processes()).to.deep.equal([]);
      expect(await on().network()).to.equal(network);
      const left = on().files();
      expect(left.filter((line) => !files.includes(line))).to.deep.equal([]);
      expect(files.filter((line) => !left.includes(line))).to.deep.equal([]);
      expect((await on().machine.run('systemctl', 'cat', UNIT)).code).not.to.equal(0);
    });
  });

  describe('where it cannot run', () => {
    afterEach(shutdown);

    it('without systemd, is installed, upgraded and purged all the same, and says what is left to do in one line', async () => {
      const on = await boot({ bare: true });
      const before = on.files();
      const said = done(await install(on, made.first));
      expect(wordsOf(said)).to.deep.equal([
        'evio: systemd does not run here, so nothing is started; put a node file at /etc/evio/node.json, and start the agent yourself: evio agent run --config /etc/evio/node.json',
      ]);
      await place(on);
      await on.machine.ok('sh', '-c', 'evio agent run --config /etc/evio/node.json >/tmp/log 2>&1 & echo');
      const { tincan } = await running(on);
      const upgraded = done(await install(on, made.next));
      expect(wordsOf(upgraded)).to.deep.equal([
        'evio: systemd does not run here, so no agent is restarted; end those that run (SIGTERM leaves tincan and its traffic), and start the agent yourself: evio agent run --config /etc/evio/node.json',
      ]);
      expect((await running(on)).tincan.pid).to.equal(tincan.pid);
      done(await remove(on, 'purge'));
      expect(await on.processes()).to.deep.equal([]);
      expect(on.files().filter((line) => !before.includes(line))).to.deep.equal([]);
    });

    it('without a TUN device, is installed, and the journal has the one line that says what is missing', async () => {
      const on = await boot({ withoutTun: true });
      done(await install(on, made.first));
      await place(on);
      expect((await on.machine.run('systemctl', 'enable', '--now', UNIT)).code).to.equal(1);
      await on.machine.ok('systemctl', 'stop', UNIT);
      const line =
        'evio: there is no /dev/net/tun: load the kernel module (modprobe tun), or give the container the device (--device /dev/net/tun)';
      expect((await on.machine.ok('journalctl', '--no-pager', '-o', 'cat')).split('\n')).to.include(line);
      // An upgrade of a node that does not start is an upgrade all the same.
      const said = done(await install(on, made.next));
      expect(wordsOf(said)).to.deep.equal(['evio: an agent did not start; see: journalctl -u evio']);
      done(await remove(on, 'purge'));
      expect(await on.processes()).to.deep.equal([]);
    });
  });

  it('is what its name says, of root, without a time of the machine it was made on', () => {
    const listed = execFileSync('dpkg-deb', ['--contents', made.first], {
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    });
    for (const line of listed.trimEnd().split('\n'))
      expect(line).to.match(/^\S+ root\/root +\d+ 2023-11-14 22:13 \.\//);
    expect(listed).to.match(/ \.\/usr\/bin\/evio -> \.\.\/lib\/evio\/evio$/m);
    expect(listed).not.to.match(/operator|evio-chart/);
  });
});
