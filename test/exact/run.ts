/** The run of the parts: one site after the other is opened, its parts run in it, and it is closed. */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopSwitches } from '../bench/evio.ts';
import { closePlace, openPlace } from '../bench/place.ts';
import { RING_NODES } from '../bench/transit.ts';
import { removeGroups } from '../bench/usage.ts';
import { POD, removeNamespaces } from '../demo/internet.ts';
import { giveLock, takeLock } from '../demo/lock.ts';
import { Report, say } from '../demo/report.ts';
import { FOLDER, sleep } from '../demo/shell.ts';
import { CHECKSUM_PARTS } from './checksums.ts';
import { DIRECT_PARTS } from './direct.ts';
import { HEADER_PARTS } from './headers.ts';
import { INSIDE_PARTS } from './inside.ts';
import { OFFLOAD_PARTS } from './offloads.ts';
import type { PairPart, Part, RingPart } from './part.ts';
import { LEG_PARTS, PATH_MTU_PARTS } from './path-mtu.ts';
import { RELAYED_PARTS, TRANSIT_PARTS } from './paths.ts';
import { closePair, openPair, openRow, PAIR_KINDS } from './sites.ts';
import { Stage } from './stage.ts';

const PAIR_PARTS: readonly PairPart[] = [
  ...DIRECT_PARTS,
  ...HEADER_PARTS,
  ...INSIDE_PARTS,
  ...OFFLOAD_PARTS,
  ...CHECKSUM_PARTS,
  ...PATH_MTU_PARTS,
  ...RELAYED_PARTS,
];
const RING_PARTS: readonly RingPart[] = [...TRANSIT_PARTS, ...LEG_PARTS];
const PARTS: readonly Part[] = [...PAIR_PARTS, ...RING_PARTS];

const args = process.argv.slice(2);
if (args.includes('--list')) {
  for (const { name, short } of PARTS) process.stdout.write(`${name}${short === true ? '' : ' (not in --short)'}\n`);
  process.exit(0);
}
const short = args.includes('--short');
const at = args.indexOf('--only');
const only = at < 0 ? undefined : (args[at + 1] ?? '').split(',');
const unknown = only?.filter((name) => !PARTS.some((part) => part.name === name)) ?? [];
if (unknown.length > 0) {
  process.stderr.write(`evio: no part is named ${unknown.join(' or ')}; see --list\n`);
  process.exit(2);
}
if (process.getuid?.() !== 0) {
  process.stderr.write(
    'evio: these tests make network namespaces and have to run as root; try: sudo make test-exact\n',
  );
  process.exit(1);
}
const isChosen = ({ name, short: inShort }: Part): boolean =>
  only === undefined ? !short || inShort === true : only.includes(name);
const ofPairs = PAIR_PARTS.filter(isChosen);
const ofRing = RING_PARTS.filter(isChosen);

takeLock('exact');
for (const name of readdirSync(tmpdir()))
  if (name.startsWith(FOLDER)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as their own users and have to get through to their folders.
chmodSync(dir, 0o711);

const report = new Report('exact', short);
let interrupted = false;

async function close(): Promise<void> {
  await stopSwitches();
  await removeNamespaces([POD]);
  await closePlace();
}

async function cleanUp(): Promise<void> {
  await close();
  await removeGroups();
  rmSync(dir, { recursive: true, force: true });
  giveLock();
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    say(`${signal}: cleaning up`);
    // What was being made when the signal came is there a moment later.
    void close()
      .then(() => sleep(500))
      .then(cleanUp)
      .then(() => process.exit(130));
  });
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Runs something that is a failed check when it throws, and not the end of all others. */
async function tried(what: string, run: () => Promise<void>): Promise<void> {
  const began = performance.now();
  try {
    await run();
  } catch (error) {
    if (!interrupted) report.holds(`${what} ran to its end`, false, wordsOf(error));
  }
  report.details[`${what}: seconds`] = Math.round((performance.now() - began) / 100) / 10;
}

async function main(): Promise<void> {
  const place = await openPlace(ofRing.length > 0 ? 'lan' : 'pair', dir, RING_NODES);
  const stage = new Stage(report, short, place);
  for (const kind of PAIR_KINDS) {
    const parts = ofPairs.filter(({ site }) => site === kind);
    if (parts.length === 0 || interrupted) continue;
    await tried(`site ${kind}`, async () => {
      say(`two nodes: ${kind}`);
      const pair = await openPair(place, kind);
      stage.watched = [pair.a.ns, pair.b.ns, 'server'];
      for (const part of parts) if (!interrupted) await tried(part.name, () => part.run(stage, pair));
      await closePair(pair);
    });
  }
  if (ofRing.length > 0 && !interrupted) {
    await tried('site ring', async () => {
      say('a ring of four nodes');
      const row = await openRow(place);
      stage.watched = [row.a.ns, row.ring.via.name, row.b.ns];
      for (const part of ofRing) if (!interrupted) await tried(part.name, () => part.run(stage, row));
    });
  }
  if (only === undefined && !interrupted)
    report.holds(
      'all that arrived',
      stage.carried >= stage.bytes(1),
      `${(stage.carried / 1e9).toFixed(2)} GB`,
      `>= ${short ? 1 : 10} GB`,
    );
}

// What a run that was cut off has left.
await close();
await tried('all', main);
if (!interrupted) {
  const file = report.save();
  say(`results in ${file}`);
  await cleanUp();
  process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
  process.exit(report.failed === 0 ? 0 : 1);
}
