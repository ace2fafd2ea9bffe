/** Builds the internet, starts the servers, injects one fault after the other, and counts those whose cause is named. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, takeDown } from '../demo/internet.ts';
import { giveLock, takeLock } from '../demo/lock.ts';
import { startServer } from '../demo/overlay.ts';
import { Report, say } from '../demo/report.ts';
import { FOLDER } from '../demo/shell.ts';
import { FAULTS, type Fault, type Named, type Variant } from './faults.ts';
import { lifetimeOf, statusMs } from './figures.ts';
import { HEALTHY } from './healthy.ts';
import { Lab } from './lab.ts';

/** Of the list. */
const ALL = 30;
const WANTED = 28;
const HEALTHY_ALL = 10;

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
    const told = await run(lab).catch((error: unknown) => [`it failed: ${words(error)}`]);
    if (told.length > 0) falseAlarms++;
    report.holds(`healthy: ${name}: no fault is reported`, told.length === 0, told.join('; ') || 'none', 'none');
  }

  const place = lab;
  const faults = FAULTS.filter(({ name, short }) => chosen(name, short === true));
  const early = new Map(
    faults.flatMap(({ variants }) => variants.filter((one) => one.early)).map((one) => [one, outcome(place, one)]),
  );
  // Those that were begun early have their answers by the time the others are through.
  const waits = ({ variants }: Fault): number => Number(variants.some((one) => early.has(one)));
  const named: string[] = [];
  for (const fault of faults.sort((a, b) => waits(a) - waits(b)))
    if (await inject(fault, (variant) => early.get(variant) ?? outcome(place, variant))) named.push(fault.name);

  if (chosen('figures', false)) {
    report.atMost('evio status answers, from start to end of the process', await statusMs(lab), 300, 'ms');
    const seen = await lifetimeOf(lab, 12);
    report.holds(
      'the lifetime of a mapping that a NAT keeps for 12 s',
      seen.atLeastS === 10 && seen.lessThanS === 15,
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

async function outcome(place: Lab, variant: Variant): Promise<Named> {
  try {
    return await variant.run(place);
  } catch (error) {
    return { findings: [], ms: Number.NaN, note: words(error) };
  }
}

/** Both variants; a fault whose second one is not named is not named. */
async function inject(
  { name, variants, words: expected }: Fault,
  run: (variant: Variant) => Promise<Named>,
): Promise<boolean> {
  let all = true;
  for (const [i, variant] of variants.entries()) {
    const found = await run(variant);
    const told = found.findings.filter(({ code }) => variant.codes.includes(code));
    const right = told.some(({ text, fix }) => expected === undefined || expected.test(`${text} ${fix}`));
    const refused = variant.said?.test(found.note ?? '') === true;
    all &&= right || refused;
    const shown =
      found.findings.map(({ code, text }) => `${code}: ${text}`).join('; ') || found.note || 'nothing was named';
    report.holds(
      `${name} (${i + 1}: ${variant.what}) is named by ${variant.by}`,
      right || refused,
      shown,
      variant.codes.join(' or '),
    );
  }
  return all;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
