/** What a node's machine lacks: rights, a device, a port, room, a datapath. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Joined, pidOf } from '../../demo/overlay.ts';
import { attempt, PREFIX, run, sleep } from '../../demo/shell.ts';
import { Ovs } from '../../servers/ovs.ts';
import type { Fault, Named } from '../faults.ts';
import { codesOf, type Lab } from '../lab.ts';
import { startWith } from './clocks.ts';
import { fromStatus } from './words.ts';

/** A command in a mount namespace of its own, after this. */
const mounted = (script: string): readonly string[] => ['unshare', '-m', 'sh', '-c', `${script} && exec "$@"`, 'sh'];

/** The agent cannot start so, and status says why; both begin with the same words. */
async function unable(lab: Lab, before: readonly string[]): Promise<Named> {
  const node = await lab.node('cloud1');
  const tried = await attempt(
    node.name,
    [...before, resolve('dist/evio'), 'agent', 'run', '--config', node.config],
    10_000,
  );
  if (tried.code !== 1) throw new Error(`the agent ended with ${tried.code}: ${tried.stderr}`);
  return fromStatus(await lab.status(node, { before }));
}

/** tincan's port, as it follows from the node id (docs/wire.md §8). */
const portOf = ({ id }: Joined): number => 20_000 + Number(BigInt(`0x${id.slice(0, 16)}`) % 20_000n);

async function portTaken(lab: Lab, bind: string): Promise<Named> {
  const node = await lab.node('cloud1');
  const script = `require('node:dgram').createSocket(${bind}).bind(${portOf(node)}, () => process.stdout.write('bound'))`;
  const holder: ChildProcess = spawn('ip', ['netns', 'exec', PREFIX + node.name, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await new Promise((done) => holder.stdout?.once('data', done));
    const tried = await attempt(node.name, [resolve('dist/evio'), 'agent', 'run', '--config', node.config], 10_000);
    if (tried.code !== 1) throw new Error(`the agent ended with ${tried.code}: ${tried.stderr}`);
    return fromStatus(await lab.status(node));
  } finally {
    holder.kill('SIGKILL');
  }
}

/** The state directory on a disk of its own, which is spoilt before the question. */
async function onDisk(lab: Lab, running: boolean, spoil: (dir: string) => Promise<unknown>): Promise<Named> {
  const node = await lab.node('cloud1');
  const disk = join(lab.dir, `disk-${performance.now().toFixed(0)}`);
  await run(undefined, 'mkdir', disk);
  await run(undefined, 'mount', '-t', 'tmpfs', '-o', 'size=1m,mode=700', 'evio-diag', disk);
  try {
    lab.edit(node, (file) => {
      file.stateDir = join(disk, 'state');
    });
    if (running) await lab.start(node);
    else await run(undefined, 'mkdir', join(disk, 'state'));
    await spoil(disk);
    return fromStatus(await lab.status(node));
  } finally {
    if (running) await lab.stop(node);
    await run(undefined, 'umount', '-l', disk);
  }
}

const fill = (dir: string): Promise<unknown> =>
  attempt(undefined, ['dd', 'if=/dev/zero', `of=${join(dir, 'full')}`, 'bs=4k']);
const readOnly = (dir: string): Promise<unknown> => run(undefined, 'mount', '-o', 'remount,ro', dir);

/** A node with Open vSwitch at its edge, of which a part is killed while it runs. */
async function withoutOvs(lab: Lab, kill: (ovs: Ovs) => Promise<void>): Promise<Named> {
  const ovs = await Ovs.start({ netns: `${PREFIX}cloud1`, within: lab.dir });
  const node = await lab.node('cloud1', [], { switch: 'ovs', ovs: { runDir: ovs.runDir } });
  try {
    await lab.start(node);
    await lab.statusWhen(
      node,
      (report) => report.running && report.openVSwitch?.connected === true && report.findings.length === 0,
    );
    await kill(ovs);
    return fromStatus(await lab.statusWhen(node, (report) => codesOf(report).includes('ovs-away')));
  } finally {
    await lab.stop(node);
    await ovs.stop();
    // What a database that is away could not take down.
    for (const link of ['evio0', 'evio0-tap']) await attempt('cloud1', ['ip', 'link', 'del', link]);
  }
}

export const OVS_FAULTS: readonly Fault[] = [
  {
    name: 'dead OVS',
    words: /db\.sock|bridge evio0/,
    variants: [
      {
        what: 'its database ended',
        by: 'status',
        codes: ['ovs-away'],
        run: (lab) => withoutOvs(lab, (ovs) => ovs.killServer()),
      },
      {
        what: 'its daemon ended',
        by: 'status',
        codes: ['ovs-away'],
        run: (lab) => withoutOvs(lab, (ovs) => ovs.killVswitchd()),
      },
    ],
  },
];

/** They need no server, and are on cloud1. */
export const MACHINE_FAULTS: readonly Fault[] = [
  {
    name: 'dead tincan',
    words: /tincan/,
    variants: [
      {
        what: 'it ended, and its program is gone',
        by: 'status',
        codes: ['tincan-away'],
        run: async (lab) => {
          const node = await lab.node('cloud1');
          const copy = join(lab.dir, 'tincan');
          cpSync(resolve('dist/tincan'), copy);
          chmodSync(copy, 0o755);
          try {
            startWith(lab, node, ['env', `EVIO_TINCAN=${copy}`]);
            await lab.statusWhen(node, (report) => report.running && report.tincan !== null);
            rmSync(copy);
            process.kill(await pidOf(node, 'tincan'), 'SIGKILL');
            return fromStatus(await lab.statusWhen(node, (report) => codesOf(report).includes('tincan-away')));
          } finally {
            await lab.stop(node);
          }
        },
      },
      {
        what: 'it runs and answers nothing',
        by: 'status',
        codes: ['tincan-silent'],
        run: async (lab) => {
          const node = await lab.node('cloud1');
          await lab.start(node);
          await lab.statusWhen(node, (report) => report.running && report.tincan !== null);
          const pid = await pidOf(node, 'tincan');
          process.kill(pid, 'SIGSTOP');
          try {
            return fromStatus(await lab.statusWhen(node, (report) => codesOf(report).includes('tincan-silent')));
          } finally {
            process.kill(pid, 'SIGCONT');
            await sleep(300);
            await lab.stop(node);
          }
        },
      },
    ],
  },
  {
    name: 'no /dev/net/tun',
    words: /\/dev\/net\/tun/,
    variants: [
      {
        what: 'it is not there',
        by: 'status',
        codes: ['no-tun'],
        run: (lab) => unable(lab, mounted('mount -t tmpfs none /dev/net')),
      },
      {
        what: 'no driver stands behind it',
        by: 'status',
        codes: ['no-tun'],
        run: (lab) => unable(lab, mounted('mount -t tmpfs none /dev/net && mknod /dev/net/tun c 10 253')),
      },
    ],
  },
  {
    name: 'no NET_ADMIN',
    words: /CAP_NET_ADMIN/,
    variants: [
      {
        what: 'it is missing',
        by: 'status',
        codes: ['no-net-admin'],
        run: (lab) => unable(lab, ['setpriv', '--bounding-set', '-net_admin', '--']),
      },
      {
        what: 'all capabilities are missing',
        by: 'status',
        codes: ['no-net-admin'],
        run: (lab) => unable(lab, ['setpriv', '--bounding-set', '-all', '--']),
      },
    ],
  },
  {
    name: 'port taken',
    words: /UDP port \d+ is taken by \S+ \(pid \d+\)/,
    variants: [
      { what: 'by an IPv4 socket', by: 'status', codes: ['port-taken'], run: (lab) => portTaken(lab, "'udp4'") },
      {
        what: 'by an IPv6 socket',
        by: 'status',
        codes: ['port-taken'],
        run: (lab) => portTaken(lab, "{type: 'udp6', ipv6Only: true}"),
      },
    ],
  },
  {
    name: 'disk full',
    words: /the state directory \/\S+ is full/,
    variants: [
      { what: 'while the node runs', by: 'status', codes: ['state-full'], run: (lab) => onDisk(lab, true, fill) },
      { what: 'without an agent', by: 'status', codes: ['state-full'], run: (lab) => onDisk(lab, false, fill) },
    ],
  },
  {
    name: 'read-only disk',
    words: /the state directory \/\S+ is on a read-only/,
    variants: [
      {
        what: 'while the node runs',
        by: 'status',
        codes: ['state-read-only'],
        run: (lab) => onDisk(lab, true, readOnly),
      },
      {
        what: 'without an agent',
        by: 'status',
        codes: ['state-read-only'],
        run: (lab) => onDisk(lab, false, readOnly),
      },
    ],
  },
];
