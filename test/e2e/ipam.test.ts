/** `evio ipam check` against the store of the real CNI plugin, in namespaces of this test's own. Needs root. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { IpamReport } from '../../cli/src/ipam/check.ts';
import { MAIN, program, scratch } from './evio.ts';

const PLUGIN = resolve('dist/evio-cni');
const PREFIX = `evipam-${process.pid}`;
const NODE = `${PREFIX}-node`;
const sh = (script: string): string => execFileSync('sh', ['-ec', script], { encoding: 'utf8' });

describe('evio ipam check', function () {
  this.timeout(60_000);
  const { dir, remove } = scratch();
  const conflist = join(dir, '10-evio.conflist');
  const store = join(dir, 'data/evio');
  const own = {
    type: 'evio-cni',
    attachment: 'routed',
    bridge: 'evio0',
    mtu: 1400,
    subnets: ['10.244.3.0/24', 'fd00:10:244:3::/64'],
    gateways: ['10.45.0.4', 'fd45::4'],
    dataDir: join(dir, 'data'),
    bootIDFile: join(dir, 'boot'),
  };
  const written = (more: object = {}): void =>
    writeFileSync(conflist, JSON.stringify({ cniVersion: '1.0.0', name: 'evio', plugins: [{ ...own, ...more }] }));

  /** A pod with an address by the plugin's ADD. */
  const add = (pod: string): readonly string[] => {
    sh(`ip netns add ${PREFIX}-${pod}`);
    const said = spawnSync('ip', ['netns', 'exec', NODE, PLUGIN], {
      input: JSON.stringify({ cniVersion: '1.0.0', name: 'evio', ...own }),
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: `container-${pod}`,
        CNI_NETNS: `/run/netns/${PREFIX}-${pod}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/opt/cni/bin',
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
      },
    });
    if (said.status !== 0) throw new Error(said.stdout + said.stderr);
    const { ips } = JSON.parse(said.stdout) as { ips: readonly { address: string }[] };
    return ips.map(({ address }) => address.replace(/\/.*/, ''));
  };
  const check = async (...args: readonly string[]) => {
    const words = [MAIN, 'ipam', 'check', '--conflist', conflist, '--plugin', PLUGIN, '-o', 'json', ...args];
    const done = await program('ip', 'netns', 'exec', NODE, process.execPath, ...words);
    if (done.stdout === '') throw new Error(done.stderr);
    const report = JSON.parse(done.stdout) as IpamReport;
    return {
      code: done.code,
      report,
      kinds: report.problems.map(({ kind, addresses }) => `${kind} ${addresses[0] ?? ''}`),
    };
  };
  const given = (): readonly string[] => readdirSync(store).filter((name) => /^10\./.test(name));

  before(() => {
    if (!existsSync(PLUGIN)) throw new Error(`${PLUGIN} is missing; make it: make build`);
    writeFileSync(own.bootIDFile, 'boot-1\n');
    written();
    sh(`ip netns add ${NODE}; ip -n ${NODE} link set lo up
      ip -n ${NODE} link add evio0 type bridge; ip -n ${NODE} link set evio0 up
      ip -n ${NODE} addr add 10.45.0.4/16 dev evio0; ip -n ${NODE} addr add fd45::4/64 dev evio0 nodad`);
  });
  after(() => {
    for (const name of sh('ip netns list').matchAll(new RegExp(`^${PREFIX}\\S*`, 'gm'))) sh(`ip netns del ${name[0]}`);
    remove();
  });

  let a: readonly string[];
  let gone: readonly string[];

  it('finds the book right where each address has its pod', async () => {
    a = add('a');
    add('b');
    const { code, report } = await check();
    expect(report.problems).to.deep.equal([]);
    expect(report).to.deep.include({ attachments: 2, used: 2, ok: true, node: null });
    expect(code).to.equal(0);
  });

  it('finds what is held for nobody: a pod that went without DEL, and an address that no record leads to', async () => {
    gone = add('gone');
    sh(`ip netns del ${PREFIX}-gone`);
    // The kernel takes links away a moment after their namespace.
    for (const end = Date.now() + 10_000; sh(`ip -n ${NODE} -br link`).match(/^evc/gm)?.length !== 2; await sleep(50))
      if (Date.now() > end) throw new Error('the link stays');
    copyFileSync(join(store, String(gone[0])), join(store, '10.244.3.200'));
    const { code, report, kinds } = await check();
    expect(kinds).to.have.members([`leaked ${gone[0]}`, 'leaked 10.244.3.200']);
    expect(report.problems[0]?.text).to.match(
      / of pod default\/gone, container container-go, eth0 is held for nobody: its link is gone/,
    );
    expect(report.released).to.deep.equal([]);
    expect(code).to.equal(1);
    expect(given()).to.include.members([gone[0], '10.244.3.200']);
  });

  it('takes nothing for leaked that a process is at work on', async () => {
    const [key] = readdirSync(join(store, 'attached')).filter((one) =>
      sh(`cat ${join(store, 'attached', one)}`).includes('container-gone'),
    );
    const record = join(store, 'attached', String(key));
    const holder: ChildProcess = spawn('flock', [record, 'sh', '-c', 'echo held; exec sleep 30']);
    try {
      await new Promise((held) => holder.stdout?.once('data', held));
      expect((await check()).kinds).to.deep.equal(['leaked 10.244.3.200']);
    } finally {
      spawnSync('pkill', ['-P', String(holder.pid)]);
      holder.kill();
    }
  });

  it('releases what is leaked with --fix, says what, and leaves the pods alone', async () => {
    const { code, report } = await check('--fix');
    expect(report.released.flatMap(({ addresses }) => addresses)).to.have.members([...gone, '10.244.3.200']);
    expect(report).to.deep.include({ problems: [], ok: true, refused: null, attachments: 2 });
    expect(code).to.equal(0);
    expect(given()).to.have.lengthOf(2).and.include(a[0]);
    expect(sh(`ip -n ${PREFIX}-a -br addr show eth0`)).to.contain(a[0]);
    expect(sh(`ip -n ${NODE} -br link`).match(/^evc/gm)).to.have.lengthOf(2);
  });

  it('finds an address that two pods carry, and one of no prefix of this node; --fix touches neither', async () => {
    sh(`ip -n ${PREFIX}-b addr add ${a[0]}/32 dev eth0`);
    const twice = await check('--fix');
    expect(twice.kinds).to.have.members([`duplicate ${a[0]}`, `unlike ${a[0]}`]);
    expect(twice.report.problems.find(({ kind }) => kind === 'duplicate')?.text).to.equal(
      `${a[0]} is held by default/a and by default/b`,
    );
    sh(`ip -n ${PREFIX}-b addr del ${a[0]}/32 dev eth0`);
    written({ subnets: ['10.244.9.0/24', 'fd00:10:244:3::/64'] });
    const outside = await check('--fix');
    expect(outside.kinds.filter((kind) => kind.startsWith('outside'))).to.have.lengthOf(2);
    expect(outside.code).to.equal(1);
    written();
    expect((await check()).code).to.equal(0);
  });

  it('does not have pods cut off of which the record is lost', async () => {
    const records = readdirSync(join(store, 'attached'));
    const [lost] = records.filter((one) => sh(`cat ${join(store, 'attached', one)}`).includes('container-b'));
    mkdirSync(join(dir, 'lost'));
    renameSync(join(store, 'attached', String(lost)), join(dir, 'lost/record'));
    const { report, kinds, code } = await check('--fix');
    expect(kinds).to.include('unrecorded ');
    expect(report.refused).to.match(/^nothing was released: .*evc[0-9a-f]{11}/);
    expect(code).to.equal(1);
    expect(sh(`ip -n ${NODE} -br link`).match(/^evc/gm)).to.have.lengthOf(2);
    rmSync(join(dir, 'lost'), { recursive: true });
  });

  it('says in one line where there is no configuration', async () => {
    const done = await program(process.execPath, MAIN, 'ipam', 'check', '--conflist', join(dir, 'none.conflist'));
    expect(done.code).to.equal(2);
    expect(done.stderr).to.match(/^evio: cannot read .*none\.conflist: .*\n$/);
  });
});
