/**
 * `make test-cluster`: Evio on the real cluster of hack/cluster, across NATs; results/cluster.json.
 *
 *   node test/cluster/main.ts [--short]
 *
 * KEEP=1 leaves the cluster up. PREFIX, NAT and the like are those of hack/cluster (docs/cluster.md).
 */
import { Report, say } from '../demo/report.ts';
import { demandRoom, onCluster } from './cluster.ts';
import { explain, install } from './install.ts';
import { inNode } from './kube.ts';
import { reboot, rejoin, uninstall, upgrades } from './life.ts';
import { memory } from './memory.ts';
import { reach, unreachedWithoutTincan } from './reach.ts';
import { tracesOfAll } from './traces.ts';
import { startProbes, talk } from './traffic.ts';

const short = process.argv.includes('--short');
const only = process.env.EVIO_CLUSTER_ONLY?.split(',');

demandRoom('test-cluster');
const report = new Report('cluster', short);
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

await onCluster(async () => {
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
}).catch((error: unknown) => {
  report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
});
say(`results in ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
