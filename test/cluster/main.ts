/**
 * `make test-cluster`: Evio on the real cluster of hack/cluster, across NATs; results/cluster.json.
 *
 *   node test/cluster/main.ts [--short]
 *
 * KEEP=1 leaves the cluster up. PREFIX, NAT and the like are those of hack/cluster (docs/cluster.md).
 */
import { existsSync } from 'node:fs';
import { Report, say } from '../demo/report.ts';
import { explain, install } from './install.ts';
import { attempt, inNode, must, NODES, STATE } from './kube.ts';
import { departures, uninstall } from './leave.ts';
import { reboot, rejoin, upgrades } from './life.ts';
import { memory } from './memory.ts';
import { reach, unreachedWithoutTincan } from './reach.ts';
import { tracesOfAll } from './traces.ts';
import { startProbes, talk } from './traffic.ts';

const short = process.argv.includes('--short');
const keep = process.env.KEEP === '1';
const only = process.env.EVIO_CLUSTER_ONLY?.split(',');

if (process.getuid?.() !== 0) {
  process.stderr.write(
    'evio: the cluster needs network namespaces and has to run as root; try: sudo make test-cluster\n',
  );
  process.exit(1);
}
if (existsSync(STATE)) {
  process.stderr.write(`evio: a cluster is up already (${STATE}); remove it with: make cluster-down\n`);
  process.exit(1);
}

const report = new Report('cluster', short);
let ended = false;
async function cleanUp(): Promise<void> {
  if (ended) return;
  ended = true;
  if (keep) say('KEEP=1: the cluster stays up; make cluster-down removes it');
  else await attempt('down.sh', []);
}
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    say(`${name}: cleaning up`);
    void cleanUp().then(() => process.exit(130));
  });
}

const tincanOf = async (node: string): Promise<string> => (await inNode(node, 'pgrep', '-x', 'tincan')).trim();

/** One part; what it throws is one failure, and the others go on. */
async function part(name: string, run: () => Promise<void>): Promise<void> {
  if (only !== undefined && !only.includes(name)) return;
  say(name);
  try {
    await run();
  } catch (error) {
    report.holds(`${name}: ran to its end`, false, error instanceof Error ? error.message : String(error));
    await explain();
  }
}

try {
  say(`a cluster of ${NODES.length} nodes, ${process.env.NAT ?? 'punchable'} NATs`);
  say((await must('up.sh', [])).trim());
  const before = await tracesOfAll();
  await install(report);
  const probes = await startProbes();
  await part('traffic', () => talk(report, probes));
  await part('reach', () => reach(report, probes));
  await part('memory', () => memory(report));
  await part('without tincan', () => unreachedWithoutTincan(report, probes, tincanOf));
  await part('upgrades', () => upgrades(report, probes, short));
  await part('reboot', () => reboot(report));
  await part('rejoin', () => rejoin(report));
  await part('uninstall', () => uninstall(report, before));
  await part('departures', () => departures(report, before, short));
} catch (error) {
  report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
} finally {
  await cleanUp();
}
say(`results in ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
