/**
 * README.md from a build to a running network, by its own code blocks alone: a server and two machines behind NATs, each a clean Debian with
 * systemd. EVIO_README_BUILD=yes runs the first block too, in a clone of the last commit; otherwise dist/ is taken as it is.
 */
import './prefix.ts';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { addNamespace, cable, defaultRoute, natRules, removeNamespaces, SERVER } from '../demo/internet.ts';
import { PREFIX, run } from '../demo/shell.ts';
import type { Done } from '../e2e/evio.ts';
import { PackageMachine } from '../package/machines.ts';
import { blocksOf, onlyBlock } from './blocks.ts';

const NODES = ['pi1', 'pi2'] as const;
const NAMESPACES = ['inet', SERVER.name, ...NODES, ...NODES.map((name) => `nat-${name}`)];
/** Prosody needs them by names that debootstrap does not resolve. */
const LUA = ['lua-bitop', 'lua-expat', 'lua-filesystem', 'lua-sec', 'lua-socket'];
/** What `--install` and the reader would have by apt: the machines have no way to a mirror. */
const PACKAGES = ['prosody', 'coturn', 'openssl', 'procps', 'iputils-ping', ...LUA];
const HOME = '/root';
/** Of Debian's /etc/profile. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const README = readFileSync('README.md', 'utf8');

/** Two homes, each behind a router of its own, and the server of the README. */
async function internet(): Promise<void> {
  for (const name of NAMESPACES) await addNamespace(name);
  await run('inet', 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  await cable(
    { ns: 'inet', link: 'to-server', address: `${SERVER.gateway}/29` },
    { ns: SERVER.name, link: 'eth0', address: `${SERVER.addresses[0]}/29` },
  );
  await defaultRoute(SERVER.name, SERVER.gateway);
  for (const [at, name] of NODES.entries()) {
    const nat = `nat-${name}`;
    const [router, wan] = [`192.0.2.${at * 4 + 1}`, `192.0.2.${at * 4 + 2}`];
    await cable(
      { ns: 'inet', link: `to-${name}`, address: `${router}/30` },
      { ns: nat, link: 'wan', address: `${wan}/30` },
    );
    await cable(
      { ns: nat, link: 'lan', address: `192.168.${at + 1}.1/24` },
      { ns: name, link: 'eth0', address: `192.168.${at + 1}.10/24` },
    );
    await defaultRoute(nat, router);
    await defaultRoute(name, `192.168.${at + 1}.1`);
    await natRules(nat, 'port-preserving');
  }
}

describe('README.md, typed as it stands,', function () {
  this.timeout(240_000);
  const machines = new Map<string, PackageMachine>();
  let dir: string;
  let archive: string;

  before(async function () {
    this.timeout(1_800_000);
    dir = mkdtempSync(join(tmpdir(), 'evio-readme-'));
    archive = join(dir, 'evio.tar.gz');
    build();
    const root = execFileSync('test/package/debian-root.sh', ['readme', ...PACKAGES], { encoding: 'utf8' }).trim();
    await removeNamespaces(NAMESPACES);
    await internet();
    for (const name of [SERVER.name, ...NODES])
      machines.set(name, await PackageMachine.boot(PREFIX + name, { lower: root, files: [archive] }));
    for (const { machine } of machines.values()) {
      // They would not be here before `--install`, which keeps them from starting.
      await machine.ok('systemctl', 'disable', '--now', 'prosody', 'coturn');
      await machine.ok('cp', `/mnt/packages/${basename(archive)}`, `${HOME}/`);
    }
  });
  after(async () => {
    for (const machine of machines.values()) await machine.end();
    await removeNamespaces(NAMESPACES);
    rmSync(dir, { recursive: true, force: true });
  });

  /** The first block, in a clone; or its last line on what is built here. */
  function build(): void {
    const code = onlyBlock(README, 'build');
    if (process.env.EVIO_README_BUILD === 'yes') {
      const clone = join(dir, 'evio');
      execFileSync('git', ['clone', '--quiet', '.', clone]);
      execFileSync('sh', ['-euc', code], { cwd: clone, stdio: ['ignore', 'ignore', 'inherit'] });
      cpSync(join(clone, 'evio.tar.gz'), archive);
    } else {
      if (!existsSync('dist/tincan')) throw new Error('dist/ has no tincan: run make build first');
      execFileSync('sh', ['-euc', code.replace(/^make build\n/, '').replace('evio.tar.gz', archive)]);
    }
  }

  const on = (name: string): PackageMachine => {
    const machine = machines.get(name);
    if (machine === undefined) throw new Error(`README.md names a machine that is not there: ${name}`);
    return machine;
  };
  it('makes a network over two machines behind NATs, without another word', async () => {
    const blocks = blocksOf(README).filter(({ on: names }) => !names.includes('build') && !names.includes('cluster'));
    const said = new Map<string, string>();
    for (const { on: names, code } of blocks) {
      for (const name of names) {
        // What the text says to carry over, once it is there.
        if (code.includes('node.json') && name !== SERVER.name)
          await carry(SERVER.name, `${HOME}/${name}.json`, name, `${HOME}/node.json`);
        const done = await typed(name, code);
        expect(done.code, `on ${name}:\n${code}\n${done.stdout}${done.stderr}`).to.equal(0);
        said.set(name, done.stdout);
      }
    }
    const last = said.get('pi1') ?? '';
    expect(last, 'evio peers').to.match(/^pi2 /m);
    expect(last, 'ping').to.include('3 received, 0% packet loss');
  });

  /** As a person would: a shell in the home of root, with root's PATH. */
  function typed(name: string, code: string): Promise<Done> {
    return on(name).machine.run('env', '-i', `PATH=${PATH}`, `HOME=${HOME}`, 'sh', '-euc', `cd ${HOME}\n${code}`);
  }

  async function carry(from: string, path: string, to: string, as: string): Promise<void> {
    const text = await on(from).machine.ok('cat', path);
    await on(to).machine.ok('sh', '-c', `umask 077; printf %s "$1" >"$2"`, 'sh', text, as);
  }
});
