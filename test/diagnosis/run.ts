/** Builds the internet, starts the servers, injects one fault after the other, and counts those whose cause is named. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, takeDown } from '../demo/internet.ts';
import { giveLock, takeLock } from '../demo/lock.ts';
import { startServer } from '../demo/overlay.ts';
import { Report, say } from '../demo/report.ts';
import { FOLDER } from '../demo/shell.ts';
import { type Fault, LANE_AT, LANES, type Named, OTHERS, type Variant } from './faults.ts';
import { lifetimeOf, statusMs } from './figures.ts';
import { HEALTHY } from './healthy.ts';
import { Lab } from './lab.ts';
import { awake } from './standstill.ts';

/** Of the list. */
const ALL = 30;
const WANTED = 28;
const HEALTHY_ALL = 10;
const STATUS_MS = 300;

const SHORT = process.argv.includes('--short');
const at = process.argv.indexOf('--only');
const ONLY = at < 0 ? undefined : process.argv[at + 1]?.split(',');
const chosen = (name: string, short: boolean): boolean => (ONLY === undefined ? !SHORT || short : ONLY.includes(name));

const report = new Report('diagnosis', SHORT);
takeLock('test/diagnosis');
await takeDown();
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as users of their own.
chmodSync(dir, 0o755);
let lab: Lab | undefined;
try {
  say('a small internet: a server with two addresses, four NATs, seven machines');
  await build();
  lab = await Lab.open(dir, await startServer(join(dir, 'server')));

  let falseAlarms = 0;
  const healthy = HEALTHY.filter(({ name, short }) => chosen(name, short === true));
  for (const { name, run } of healthy) {
    const place = lab;
    const told = await awake(
      () => run(place).catch((error: unknown) => [`it failed: ${words(error)}`]),
      (wrong) => wrong.length === 0,
    );
    if (told.length > 0) falseAlarms++;
    report.holds(`healthy: ${name}: no fault is reported`, told.length === 0, told.join('; ') || 'none', 'none');
  }

  const place = lab;
  const wanted = ({ name, short }: Fault): boolean => chosen(name, short === true);
  const early = new Map(
    [...LANES.flat(), ...OTHERS]
      .filter(wanted)
      .flatMap((fault) => fault.variants.filter((one) => one.early).map((one) => [one, outcome(place, fault, one)])),
  );
  const named: string[] = [];
  const inTurn = async (faults: readonly Fault[]): Promise<void> => {
    for (const fault of faults)
      if (await inject(fault, (variant) => early.get(variant) ?? outcome(place, fault, variant)))
        named.push(fault.name);
  };
  // Those that were begun early have their answers by the time the others are through.
  const isEarly = ({ variants }: Fault): boolean => variants.some((one) => early.has(one));
  const machine = LANES[1]?.filter(wanted) ?? [];
  await lab.prepare(LANE_AT, machine.flatMap(({ variants }) => variants).length);
  await Promise.all(LANES.map((lane) => inTurn(lane.filter((fault) => wanted(fault) && !isEarly(fault)))));
  await inTurn(OTHERS.filter((fault) => wanted(fault) && !isEarly(fault)));
  await inTurn([...LANES.flat(), ...OTHERS].filter(isEarly));

  if (chosen('figures', false)) {
    const took = await awake(
      () => statusMs(place),
      (ms) => ms <= STATUS_MS,
    );
    report.atMost('evio status answers, from start to end of the process', took, STATUS_MS, 'ms');
    const right = (seen: Awaited<ReturnType<typeof lifetimeOf>>): boolean =>
      seen.atLeastS === 10 && seen.lessThanS === 15;
    const seen = await awake(() => lifetimeOf(place, 12), right);
    report.holds(
      'the lifetime of a mapping that a NAT keeps for 12 s',
      right(seen),
      `${seen.atLeastS} to ${seen.lessThanS} s`,
      '10 to 15 s',
    );
  }

  report.details.named = named;
  if (!SHORT && ONLY === undefined) {
    report.atLeast(`faults-named: both variants, of ${ALL}`, named.length, WANTED, '');
    report.atMost(
      `false-alarms: of ${healthy.length} healthy networks (${HEALTHY_ALL} are wanted)`,
      falseAlarms,
      0,
      '',
    );
    report.holds('healthy networks tried', healthy.length >= HEALTHY_ALL, healthy.length, `${HEALTHY_ALL}`);
  }
} catch (error) {
  report.holds('the faults were injected to the end', false, words(error));
} finally {
  await lab?.close();
  await lab?.stopServer().catch(() => undefined);
  await takeDown();
  rmSync(dir, { recursive: true, force: true });
  giveLock();
}
say(`written: ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exit(report.failed === 0 ? 0 : 1);

function outcome(place: Lab, fault: Fault, variant: Variant): Promise<Named> {
  return awake(
    () => variant.run(place).catch((error: unknown) => ({ findings: [], ms: Number.NaN, note: words(error) })),
    (found) => isNamed(fault, variant, found),
  );
}

function isNamed({ words: expected }: Fault, { codes, said }: Variant, { findings, note = '' }: Named): boolean {
  const told = findings.filter(({ code }) => codes.includes(code));
  const right = told.some(({ text, fix }) => expected === undefined || expected.test(`${text} ${fix}`));
  return right || said?.test(note) === true;
}

/** Both variants; a fault whose second one is not named is not named. */
async function inject(fault: Fault, run: (variant: Variant) => Promise<Named>): Promise<boolean> {
  let all = true;
  for (const [i, variant] of fault.variants.entries()) {
    const found = await run(variant);
    const right = isNamed(fault, variant, found);
    all &&= right;
    const shown =
      found.findings.map(({ code, text }) => `${code}: ${text}`).join('; ') || found.note || 'nothing was named';
    report.holds(
      `${fault.name} (${i + 1}: ${variant.what}) is named by ${variant.by}`,
      right,
      shown,
      variant.codes.join(' or '),
    );
  }
  return all;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
