/**
 * The bad-input table: whatever is wrong, a person gets one clear line (what failed, with what, what to do) and the documented exit
 * code, no secret is told, and no process, interface or file is left behind. Real Prosody, real tincan, the shipped command, in a
 * network namespace of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { MARK, markedProcesses, type Outcome } from './bad-input/carry-out.ts';
import { GROUPS } from './bad-input/table.ts';

const RUN = fileURLToPath(new URL('./bad-input/run.ts', import.meta.url));
const TABLE_MS = 150_000;

describe('evio, given something bad', function () {
  this.timeout(TABLE_MS);
  const mark = `evio-bad-input-${process.pid}`;
  const outcomes = new Map<string, Outcome>();
  const waiting = new Map<string, (outcome: Outcome | undefined) => void>();
  let child: ChildProcess | undefined;
  let words = '';
  let over = false;

  before(() => {
    child = spawn('unshare', ['-n', 'sh', '-c', `ip link set lo up && exec ${process.execPath} ${RUN}`], {
      env: { ...process.env, [MARK]: mark },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    child.stdout?.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const outcome = JSON.parse(line) as Outcome;
        outcomes.set(outcome.what, outcome);
        waiting.get(outcome.what)?.(outcome);
      }
    });
    child.stderr?.on('data', (data: Buffer) => {
      words += data.toString();
    });
    child.on('close', () => {
      over = true;
      for (const done of waiting.values()) done(undefined);
    });
  });

  after(async () => {
    // When all rows are told it still ends Prosody and removes its files.
    for (let i = 0; i < 200 && !over; i++) await sleep(50);
    child?.kill('SIGKILL');
    for (const pid of markedProcesses(mark)) process.kill(pid, 'SIGKILL');
  });

  const outcomeOf = async (what: string): Promise<Outcome> => {
    const found =
      outcomes.get(what) ??
      (over ? undefined : await new Promise<Outcome | undefined>((done) => waiting.set(what, done)));
    if (found === undefined) throw new Error(`the row was not carried out: ${words}`);
    if (found.error !== undefined) throw new Error(found.error);
    return found;
  };

  for (const [group, rows] of Object.entries(GROUPS))
    describe(group, () => {
      for (const { what } of rows)
        it(`${what}: one line, the exit code, nothing left`, async () => {
          const { command, wanted, got, output, left, told } = await outcomeOf(what);
          const shown = `${command}\n${got.says.join('\n')}\n${output}`;
          // A line that matches its expression is shown as the expression, so that the two lists can be compared.
          const says = got.says.map((line, i) => {
            const expected = wanted.says[i];
            return typeof expected === 'object' && new RegExp(expected.matches).test(line) ? expected : line;
          });
          expect({ code: got.code, says }, shown).to.deep.equal(wanted);
          expect(told.length, `secrets told: ${shown}`).to.equal(0);
          expect(left, `left behind: ${shown}`).to.deep.equal([]);
        });
    });
});
