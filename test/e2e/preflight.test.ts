/** `evio preflight` on a machine of its own: a network namespace with what is in the way. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PreflightReport } from '../../cli/src/preflight/check.ts';
import { evio, MAIN, program, scratch } from './evio.ts';

const NS = `evpf-${process.pid}`;
const sh = (script: string): string => execFileSync('sh', ['-ec', script], { encoding: 'utf8' });

describe('evio preflight on a machine', function () {
  this.timeout(60_000);
  const { dir, remove } = scratch();
  const confDir = join(dir, 'net.d');
  before(() => {
    sh(`ip netns add ${NS}; ip netns exec ${NS} sh -ec '
      ip link set lo up
      ip link add br9 type bridge; ip addr add 10.45.7.1/24 dev br9; ip link set br9 up
      nft add table inet wall; nft add chain inet wall forward "{ type filter hook forward priority 0; policy drop; }"'`);
    mkdirSync(confDir);
    writeFileSync(join(confDir, '05-other.conflist'), '{}');
  });
  after(() => {
    sh(`ip netns del ${NS}`);
    remove();
  });

  const inside = (...words: readonly string[]) => program('ip', 'netns', 'exec', NS, ...words);
  const preflight = (...args: readonly string[]) =>
    [process.execPath, MAIN, 'preflight', '--cni-bin-dir', dir, ...args] as const;

  it('names what is in the way: a route, a port, another plugin, a firewall; and ends with 1', async () => {
    const script = "require('dgram').createSocket('udp4').bind(3478, () => console.log('bound'))";
    const holder = spawn('ip', ['netns', 'exec', NS, process.execPath, '-e', script]);
    try {
      await new Promise((bound) => holder.stdout.once('data', bound));
      const done = await inside(...preflight('--server', '--cni-conf-dir', confDir, '-o', 'json'));
      expect(done.code, done.stderr).to.equal(1);
      const { checks, ok } = JSON.parse(done.stdout) as PreflightReport;
      expect(ok).to.equal(false);
      const found = Object.fromEntries(checks.map(({ name, verdict, text }) => [name, `${verdict}: ${text}`]));
      expect(found.cidr).to.equal('fail: 10.45.0.0/16 meets the route 10.45.7.0/24 dev br9 of this machine');
      expect(found['port-udp-3478']).to.match(new RegExp(`^fail: UDP 3478 is taken by \\S+ \\(pid ${holder.pid}\\)`));
      expect(found['port-udp-3479']).to.match(/^pass/);
      expect(found.cni).to.match(/^fail: .*05-other\.conflist comes before/);
      expect(found['forward-policy']).to.match(/^uncertain: .* inet wall forward$/);
      expect(found.tun).to.equal('pass: /dev/net/tun opens');
      expect(checks.every(({ verdict, fix }) => (verdict === 'pass') === (fix === null))).to.equal(true);
    } finally {
      holder.kill();
    }
  });

  it('passes what is not in the way, and says so', async () => {
    const done = await inside(...preflight('--cidr', '10.46.0.0/16', '--cni-conf-dir', dir));
    expect(done.stdout).to.match(/^pass +cidr +10\.46\.0\.0\/16 meets no route of this machine$/m);
    expect(done.stdout).to.match(/^\d+ passed, 0 failed, \d+ uncertain$/m);
    expect(done.code).to.equal(0);
  });

  it('fails without CAP_NET_ADMIN', async () => {
    const drop = ['--bounding-set=-net_admin', '--inh-caps=-net_admin'];
    const done = await program('setpriv', ...drop, ...preflight());
    expect(done.stdout).to.match(/^FAIL +net-admin +CAP_NET_ADMIN is missing/m);
    expect(done.code).to.equal(1);
  });

  it('refuses what is no network and no address, in one line', async () => {
    for (const [args, words] of [
      [['--cidr', '10.45.0.0'], /^evio: --cidr: "10\.45\.0\.0" is no network; write it like .*\n$/],
      [['--cluster', '--turn', 'a:1'], /^evio: --turn is of a machine; leave it out with --cluster\n$/],
    ] as const) {
      const done = await evio('preflight', ...args);
      expect(done.code).to.equal(2);
      expect(done.stderr).to.match(words);
    }
  });
});
