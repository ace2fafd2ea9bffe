/**
 * Half of `make test-cluster`: Evio on the real cluster of hack/cluster, across NATs; results/cluster.json.
 *
 *   node test/cluster/main.ts [--short]
 *
 * --short leaves out the networks of other kinds. EVIO_CLUSTER_ONLY=NAME,NAME runs these parts alone. KEEP=1 leaves the cluster up. PREFIX,
 * NAT and the like are those of hack/cluster (docs/cluster.md); with NAT=random the results are in results/cluster-random.json.
 */
import { existsSync } from 'node:fs';
import { Report, say } from '../demo/report.ts';
import { external } from './external.ts';
import { explain, install } from './install.ts';
import { attempt, inNode, must, NODES, STATE } from './kube.ts';
import { departures, uninstall } from './leave.ts';
import { reboot, rejoin } from './life.ts';
import { memory } from './memory.ts';
import { mistakes } from './mistakes.ts';
import { flat, hostNetwork } from './modes.ts';
import { paths } from './paths.ts';
import { reach, unreachedWithoutTincan } from './reach.ts';
import { tracesOfAll } from './traces.ts';
import { natClasses, startProbes, talk } from './traffic.ts';
import { upgrades } from './upgrades.ts';

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

const report = new Report(process.env.NAT === 'random' ? 'cluster-random' : 'cluster', short);
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
  await paths(report);
  await part('traffic', () => talk(report, probes));
  await part('NAT', () => natClasses(report));
  await part('reach', () => reach(report, probes));
  await part('memory', () => memory(report));
  await part('without tincan', () => unreachedWithoutTincan(report, probes, tincanOf));
  await part('mistakes', () => mistakes(report, probes));
  await part('upgrades', () => upgrades(report, probes, short));
  await part('reboot', () => reboot(report));
  await part('rejoin', () => rejoin(report));
  // Three networks more, of minutes each.
  if (!short || only !== undefined) {
    await part('flat', () => flat(report));
    await part('host network', () => hostNetwork(report));
    await part('external server', () => external(report));
  }
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
