/**
 * `make test-faults`: breaks one thing after the other in the demo's internet, with every pair pinging a hundred times a second in
 * both directions, and tells what each cost; results/faults.json.
 *
 *   [SWITCH=ovs] [XMPP=ejabberd] node test/faults/main.ts [--short | --long] [--only NAME[,NAME]] [--shape mesh|ring] [--list]
 *
 * `--short` is what `make test` runs: fewer faults, shorter ones, and figures may be off by half. `--long`, of `make test-full`, adds an
 * hour of random ones. XMPP=ejabberd in the environment has it in Prosody's place.
 */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placeCounters } from '../demo/counters.ts';
import { build, takeDown } from '../demo/internet.ts';
import { SWITCH, startSwitches, stopSwitches } from '../demo/open-vswitch.ts';
import { reportName, startServer, XMPP, XMPP_TITLE } from '../demo/overlay.ts';
import { Report, say } from '../demo/report.ts';
import { FOLDER } from '../demo/shell.ts';
import { AGENT_FAULTS } from './agents.ts';
import { CLOCK_FAULTS } from './clocks.ts';
import { HAND_FAULTS } from './hands.ts';
import { HOSTILE_FAULTS } from './hostile.ts';
import { HOUR } from './hour.ts';
import { closeLab, type Fault, openLab, type Shape } from './lab.ts';
import { NAT_FAULTS } from './nats.ts';
import { NODE_FAULTS } from './nodes.ts';
import { OVS_FAULTS } from './ovs.ts';
import { RENEWAL_FAULTS } from './renewals.ts';
import { RESOURCE_FAULTS } from './resources.ts';
import { SERVER_FAULTS } from './servers.ts';
import { TRUST_FAULTS } from './trust.ts';
import { UNDERLAY_FAULTS } from './underlay.ts';
import { UPLINK_FAULTS } from './uplink.ts';

/** They harm tincan's own tap and bridge; Open vSwitch has others, and faults of its own. */
const OF_TINCANS_SWITCH = ['hands-links', 'hands-tuntap', 'hands-foreign'];

const ALL: readonly Fault[] = [
  ...AGENT_FAULTS,
  ...NODE_FAULTS,
  ...SERVER_FAULTS,
  ...NAT_FAULTS,
  ...UNDERLAY_FAULTS,
  ...HOSTILE_FAULTS,
  ...RENEWAL_FAULTS,
  ...TRUST_FAULTS,
  ...CLOCK_FAULTS,
  ...HAND_FAULTS,
  ...UPLINK_FAULTS,
  ...RESOURCE_FAULTS,
  ...OVS_FAULTS,
  ...HOUR,
];
const FAULTS = ALL.filter((fault) =>
  SWITCH === 'ovs' ? !OF_TINCANS_SWITCH.includes(fault.name) : !OVS_FAULTS.includes(fault),
);

const args = process.argv.slice(2);
const option = (name: string): string | undefined => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
};
const short = args.includes('--short');
const only = option('--only')?.split(',');
const shapes = option('--shape')?.split(',') ?? ['mesh', 'ring'];
const asked = (fault: Fault): boolean =>
  short ? fault.short === true : fault.long !== true || args.includes('--long');
const chosen = FAULTS.filter(
  (fault) => shapes.includes(fault.shape) && (only === undefined ? asked(fault) : only.includes(fault.name)),
);

if (args.includes('--list')) {
  for (const { name, shape, short: inShort, long } of FAULTS)
    process.stdout.write(
      `${shape} ${name}${inShort === true ? '' : long === true ? ' (only in --long)' : ' (not in --short)'}\n`,
    );
  process.exit(0);
}
if (process.getuid?.() !== 0) {
  process.stderr.write(
    'evio: the faults need network namespaces and have to run as root; try: sudo make test-faults\n',
  );
  process.exit(1);
}
if (chosen.length === 0) {
  process.stderr.write(`evio: no fault is named ${only?.join(' or ')}; see --list\n`);
  process.exit(2);
}

const report = new Report(reportName('faults'), short);
report.details.xmpp = XMPP;
const children: ChildProcess[] = [];
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as their own users and have to get through to their folders.
chmodSync(dir, 0o711);

async function cleanUp(): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await stopSwitches();
  await takeDown();
  rmSync(dir, { recursive: true, force: true });
}

async function shape(name: Shape): Promise<void> {
  const faults = chosen.filter((fault) => fault.shape === name);
  if (faults.length === 0) return;
  const base = { report, short, dir, server, keep: (child: ChildProcess) => void children.push(child) };
  const lab = await openLab(base, name);
  for (const fault of faults) {
    try {
      await fault.run(lab);
    } catch (error) {
      report.holds(
        `${name} ${fault.name} ran to its end`,
        false,
        error instanceof Error ? error.message : String(error),
      );
    }
  }
  await closeLab(lab);
}

let interrupted = false;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (interrupted) return;
    interrupted = true;
    say(`${name}: cleaning up`);
    void cleanUp().then(() => process.exit(130));
  });
}
await takeDown();
say(`${chosen.length} faults in a small internet of 7 nodes, with ${XMPP_TITLE}`);
await build();
await placeCounters();
const server = await startServer(join(dir, 'server'));
children.push(server.process);
report.details.switch = SWITCH;
await startSwitches(dir);
for (const name of ['mesh', 'ring'] as const) {
  try {
    await shape(name);
  } catch (error) {
    if (!interrupted)
      report.holds(`${name} ran to its end`, false, error instanceof Error ? error.message : String(error));
  }
}
if (!interrupted) {
  say(`results in ${report.save()}`);
  if (process.env.KEEP === '1') say(`KEEP=1: the network stays, in ${dir}; remove it with: node test/demo/down.ts`);
  else await cleanUp();
  process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
  process.exit(report.failed === 0 ? 0 : 1);
}
