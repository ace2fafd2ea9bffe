/**
 * `make demo`: seven nodes, most behind NATs, join one Ethernet by themselves; what they reach, how, how fast, and what
 * they survive, measured from outside and not by the agents' word.
 *
 *   node test/demo/main.ts [--short]     KEEP=1 leaves the network up; EVIO_DEMO_PREFIX=mine- runs beside another demo;
 *                                        XMPP=ejabberd has it in Prosody's place,
 *                                        SWITCH=ovs Open vSwitch in that of tincan's switch
 *
 * `--short` measures less and lets performance figures be off by half; nothing else is looser.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { children, KEEP, keep, report } from './context.ts';
import { placeCounters } from './counters.ts';
import { miscounted } from './counters-check.ts';
import { build, takeDown } from './internet.ts';
import { giveLock, takeLock } from './lock.ts';
import { mesh } from './mesh.ts';
import { checkNats } from './nat-check.ts';
import { SWITCH, startSwitches, stopSwitches } from './open-vswitch.ts';
import { EVIO, startServer, XMPP, XMPP_TITLE } from './overlay.ts';
import { say } from './report.ts';
import { ring } from './ring.ts';
import { FOLDER, PREFIX } from './shell.ts';

/** The whole run; what fails inside a stage is one failed check, not the end of the story told so far. */
async function main(dir: string): Promise<void> {
  say('a small internet: 7 nodes, 5 NATs, 1 server host, 1 router');
  await build();
  await placeCounters();
  const nats = await checkNats();
  report.holds('the NATs behave as named, by plain sockets', true, `${nats.length} nodes`);
  const wrong = await miscounted();
  report.holds('the counters tell data from STUN, by plain datagrams', wrong.length === 0, wrong.join(', ') || 'yes');

  say(`evio server init, evio server run: ${XMPP_TITLE}, coturn`);
  report.details.xmpp = XMPP;
  report.details.switch = SWITCH;
  const server = await startServer(join(dir, 'server'));
  keep(server.process);
  await startSwitches(dir);

  for (const [name, stage] of [
    ['mesh', mesh],
    ['ring', ring],
  ] as const) {
    try {
      await stage(server, dir);
    } catch (error) {
      report.holds(
        `stage ${name} ran to its end`,
        false,
        error instanceof Error ? error.message : String(error),
        'no error',
      );
      if (KEEP) return;
    }
  }
}

async function cleanUp(dir: string): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await stopSwitches();
  await takeDown();
  rmSync(dir, { recursive: true, force: true });
  giveLock();
}

if (process.getuid?.() !== 0) {
  process.stderr.write('evio: the demo makes network namespaces and has to run as root; try: sudo make demo\n');
  process.exit(1);
}
takeLock('demo');
const dir = mkdtempSync(join(tmpdir(), FOLDER));
// The servers run as their own users and have to get through to their folders; those are closed by themselves.
chmodSync(dir, 0o711);
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    say(`${signal}: cleaning up`);
    void cleanUp(dir).then(() => process.exit(130));
  });
}
await takeDown();
try {
  await main(dir);
} catch (error) {
  if (!interrupted)
    report.holds('the demo ran to its end', false, error instanceof Error ? error.message : String(error), 'no error');
}
if (!interrupted) {
  const file = report.save();
  say(`results in ${file}`);
  if (KEEP) {
    say(
      `KEEP=1: the network stays. Look around with: ip netns exec ${PREFIX}home1 ${EVIO} peers --run-dir ${dir}/nodes/home1/run`,
    );
    say(`remove it with: node test/demo/down.ts`);
    giveLock();
  } else await cleanUp(dir);
  process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
  process.exit(report.failed === 0 ? 0 : 1);
}
