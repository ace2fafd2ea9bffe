/** The run of the benches: places and peers are made as they are needed, results are written after each bench. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { giveLock, takeLock } from '../demo/lock.ts';
import { commit, machine, say } from '../demo/report.ts';
import { attempt, FOLDER, sleep, until } from '../demo/shell.ts';
import { type Bench, Recorder, type Stage } from './bench.ts';
import { CNI } from './cni.ts';
import { EVIO_KINDS, stopSwitches } from './evio.ts';
import { figures } from './figures.ts';
import { LOSS } from './loss.ts';
import { loads, page } from './page.ts';
import { PEER_KINDS, type Peer, Unavailable } from './peers.ts';
import { closePlace, openPlace, type Place, type PlaceKind } from './place.ts';
import { PODS_BENCH } from './pods.ts';
import { RELAYED } from './relayed.ts';
import { type Results, shown, withRun } from './results.ts';
import { RTT } from './rtt.ts';
import { fromEnvironment, listed, refuse } from './settings.ts';
import { SETUP } from './setup.ts';
import { TCP_BENCHES } from './tcp.ts';
import { TRANSIT } from './transit.ts';
import { TUNNELS } from './tunnels.ts';
import { UDP } from './udp.ts';
import { enter, removeGroups } from './usage.ts';

const BENCHES: readonly Bench[] = [...TCP_BENCHES, UDP, RTT, SETUP, RELAYED, LOSS, TRANSIT, PODS_BENCH, TUNNELS, CNI];
const KINDS = { ...PEER_KINDS, ...EVIO_KINDS };
const RESULTS = 'results/bench.json';
const PAGE = 'test/bench/RESULTS.md';
const CHARTS = 'test/bench/charts';

if (process.argv.includes('--list')) {
  for (const { name, title } of BENCHES) process.stdout.write(`${name.padEnd(10)} ${title}\n`);
  process.exit(0);
}
const wanted = listed(
  'ONLY',
  BENCHES.map(({ name }) => name),
);
const chosen = BENCHES.filter(({ name }) => wanted.includes(name));
const { rounds, seconds } = fromEnvironment();
const among = listed('PEERS', Object.keys(KINDS));
if (process.getuid?.() !== 0)
  refuse('the benches make network namespaces and have to run as root; try: sudo make bench');

takeLock('bench');
for (const name of readdirSync(tmpdir()))
  if (name.startsWith(FOLDER)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as their own users and have to get through to their folders.
chmodSync(dir, 0o711);

/** The place that is open, and the peers in it. */
let open: { readonly place: Place; readonly peers: Map<string, Promise<Peer>> } | undefined;
let places = 0;

async function close(): Promise<void> {
  open = undefined;
  await stopSwitches();
  await closePlace();
}

let interrupted = false;
async function place(kind: PlaceKind, nodes = 2): Promise<Place> {
  if (interrupted) throw new Error('interrupted');
  if (open?.place.kind === kind && kind !== 'lan') return open.place;
  await close();
  open = { place: await openPlace(kind, join(dir, String(++places)), nodes), peers: new Map() };
  return open.place;
}

/** A peer of the open place; one that could not be brought up is not tried again there. */
function peer(name: string): Promise<Peer> {
  if (open === undefined || interrupted) throw new Error('no place is open');
  const kept = open.peers.get(name);
  if (kept !== undefined) return kept;
  const made = bringUp(open.place, name);
  open.peers.set(name, made);
  return made;
}

/** Makes and starts a peer; it is up once it has carried a ping the way it should. */
async function bringUp(at: Place, name: string): Promise<Peer> {
  const kind = KINDS[name];
  if (kind === undefined) throw new Error(`no peer is called ${name}`);
  const made = await kind(at);
  await made.start('a');
  await made.start('b');
  const { ns } = made.ends.a;
  await until(
    `${name} carries a ping`,
    30_000,
    async () => (await attempt(ns, ['ping', '-n', '-q', '-c', '1', '-W', '1', made.addresses.b])).code === 0,
  );
  await made.ready();
  return made;
}

async function peers(record: Recorder, names: readonly string[]): Promise<readonly Peer[]> {
  const found: Peer[] = [];
  for (const name of names.filter((one) => among.includes(one))) {
    try {
      const one = await peer(name);
      record.peers.set(name, one.fact);
      found.push(one);
    } catch (error) {
      if (error instanceof Unavailable) {
        say(`  ${name}: ${error.message}`);
        record.notes.add(`${name} is not among them: ${error.message}`);
      } else record.fail(name, error);
    }
  }
  return found;
}

const known = (): Results => {
  if (!existsSync(RESULTS)) return { benches: {} };
  try {
    return JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  } catch (error) {
    refuse(`${RESULTS} is no JSON (${error instanceof Error ? error.message : error}); remove it`);
  }
};

/** Runs one bench and writes what is known from then on: a run that is cut off keeps what it has. */
async function runBench(bench: Bench): Promise<Recorder> {
  say(`${bench.name}: ${bench.title}`);
  const record = new Recorder();
  const at = new Date().toISOString();
  const stage: Stage = { rounds, seconds, record, place, peers: (names) => peers(record, names), close };
  try {
    await bench.run(stage);
  } catch (error) {
    record.fail(bench.name, error);
  }
  say(`  ${loads(record.loads)}`);
  if (interrupted) return record;
  const { samples, loads: seen, notes, failures } = record;
  const results = withRun(known(), {
    ...{ name: bench.name, at, commit: commit(), machine: machine(), seconds, samples, loads: seen },
    peers: [...record.peers.values()],
    notes: [...notes],
    failures: [...failures],
  });
  write(results);
  return record;
}

function write(results: Results): void {
  mkdirSync('results', { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify({ figures: figures(results), ...results }, null, 1)}\n`);
  const { markdown, charts } = page(results, BENCHES);
  rmSync(CHARTS, { recursive: true, force: true });
  mkdirSync(CHARTS);
  for (const [name, text] of charts) writeFileSync(join(CHARTS, name), text);
  writeFileSync(PAGE, markdown);
}

async function cleanUp(): Promise<void> {
  await close();
  await removeGroups();
  rmSync(dir, { recursive: true, force: true });
  giveLock();
}

/** What was being made when the signal came is there a moment later. */
async function cleanUpTwice(): Promise<void> {
  await close();
  await sleep(500);
  await cleanUp();
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    say(`${signal}: cleaning up`);
    void cleanUpTwice().then(() => process.exit(130));
  });
}

// What a run that was cut off has left.
await close();
await removeGroups();
// What the bench itself needs is not others' doing.
enter('bench');
let failed = 0;
for (const bench of chosen) {
  const { failures } = await runBench(bench);
  if (interrupted) break;
  failed += failures.size;
}
if (!interrupted) {
  await cleanUp();
  for (const { name, value, unit, bound, goal, reached } of figures(known())) {
    if (value !== undefined)
      say(`${reached ? ' ok ' : 'FAIL'}  ${name}: ${shown(value.median)} ${unit} (${bound} ${goal})`);
  }
  say(`figures in ${PAGE} and ${RESULTS}`);
  // A goal that is not reached is a figure; a bench that could not be run is a failure.
  if (failed > 0) process.stderr.write(`evio: ${failed} measurements failed, see ${PAGE}\n`);
  process.exit(failed === 0 ? 0 : 1);
}
