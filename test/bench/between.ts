/**
 * The benches between two real machines: whatever tunnels join them, side by side and interleaved (docs/bench.md).
 *
 *   node test/bench/between.ts NAME=ADDRESS...      e.g. veth=192.168.1.2 wireguard-go=10.9.0.2 evio=10.45.0.3
 *
 * The addresses are the other machine's, on which `iperf3 -s -p 5301` runs; the name of the underlay is veth, so that it is the
 * reference. Prints its tables and writes results/bench-between.md, with charts, and .json. ROUNDS and SECONDS_EACH as in main.ts.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { latency } from '../demo/measure.ts';
import { commit, machine } from '../demo/report.ts';
import { Recorder } from './bench.ts';
import { sectionOf } from './page.ts';
import { fromEnvironment, refuse } from './settings.ts';
import { ELSEWHERE, tcp } from './traffic.ts';
import { highestRate } from './udp.ts';
import { enter, machineNow, removeGroups } from './usage.ts';

const PINGS = 400;
const HERE = { ns: undefined, group: 'traffic' };

const targets = process.argv.slice(2).map((argument) => {
  const [name = '', address = ''] = argument.split('=');
  if (!/^[a-z][a-z0-9-]*$/.test(name) || isIP(address) === 0)
    refuse(`${argument} is not of the form NAME=ADDRESS, like evio=10.45.0.3`);
  return { name, address };
});
if (targets.length === 0) refuse('usage: node test/bench/between.ts NAME=ADDRESS...');
if (process.getuid?.() !== 0) refuse('control groups count the processor time, so this has to run as root');
const { rounds, seconds } = fromEnvironment();

enter('bench');
const recorder = new Recorder();
const at = new Date().toISOString();
try {
  await recorder.rounds(
    rounds,
    targets.map(({ name, address }) => ({
      name,
      measure: async () => {
        const before = machineNow().busy;
        const one = await tcp(HERE, ELSEWHERE, address, { seconds, flows: 1 });
        const spent = machineNow().busy - before;
        const back = await tcp(HERE, ELSEWHERE, address, { seconds, flows: 1, back: true });
        const four = await tcp(HERE, ELSEWHERE, address, { seconds, flows: 4 });
        const { p50, p99 } = await latency(undefined, address, PINGS);
        return {
          tcp1: one.mbps,
          'tcp1-back': back.mbps,
          tcp4: four.mbps,
          'machine-cpu': spent / (one.bytes / 1e9),
          udp1200: await highestRate(HERE, ELSEWHERE, address),
          'rtt-p50': p50 * 1000,
          'rtt-p99': p99 * 1000,
        };
      },
    })),
  );
} finally {
  await removeGroups();
}
const { samples, loads, failures } = recorder;
const run = {
  ...{ name: 'between', at, commit: commit(), machine: machine(), seconds, samples, loads },
  ...{ peers: [], notes: [], failures: [...failures] },
};
mkdirSync('results/charts', { recursive: true });
writeFileSync('results/bench-between.json', `${JSON.stringify(run, null, 1)}\n`);
const section = { name: 'between', title: 'Between two machines', text: `Measured on: ${machine()}.` };
const charts = new Map<string, string>();
const text = `${sectionOf(section, run, charts).join('\n\n')}\n`;
for (const [name, svg] of charts) writeFileSync(`results/charts/${name}`, svg);
writeFileSync('results/bench-between.md', text);
process.stdout.write(`\n${text}`);
process.exit(failures.size === 0 ? 0 : 1);
