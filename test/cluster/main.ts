/**
 * Half of `make test-cluster`: Evio on the real cluster of hack/cluster, across NATs; results/cluster.json.
 *
 *   node test/cluster/main.ts [--short]
 *
 * --short leaves out networks of other kinds and departures in another order, which take minutes each. EVIO_CLUSTER_ONLY=NAME,NAME runs
 * these parts alone. KEEP=1 leaves the cluster up. PREFIX, NAT and the like are those of hack/cluster (docs/cluster.md); with NAT=random
 * the results are in results/cluster-random.json.
 */
import { Report, say } from '../demo/report.ts';
import { demandRoom, onCluster } from './cluster.ts';
import { connectivity } from './connectivity.ts';
import { external } from './external.ts';
import { explain, helmTest, install } from './install.ts';
import { inNode } from './kube.ts';
import { departures, uninstall } from './leave.ts';
import { reboot, rejoin } from './life.ts';
import { memory } from './memory.ts';
import { mistakes } from './mistakes.ts';
import { flat, hostNetwork } from './modes.ts';
import { paths } from './paths.ts';
import { peers } from './peers.ts';
import { reach, unreachedWithoutTincan } from './reach.ts';
import { readme } from './readme.ts';
import { tracesOfAll } from './traces.ts';
import { natClasses, startProbes, talk } from './traffic.ts';
import { upgrades } from './upgrades.ts';

const short = process.argv.includes('--short');
const only = process.env.EVIO_CLUSTER_ONLY?.split(',');

demandRoom('test-cluster');
const report = new Report(process.env.NAT === 'random' ? 'cluster-random' : 'cluster', short);
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
  await paths(report);
  await part('traffic', () => talk(report, probes));
  await part('helm test', () => helmTest(report));
  await part('NAT', () => natClasses(report));
  await part('reach', () => reach(report, probes));
  await part('memory', () => memory(report));
  await part('without tincan', () => unreachedWithoutTincan(report, probes, tincanOf));
  await part('mistakes', () => mistakes(report, probes));
  await part('upgrades', () => upgrades(report, probes, short));
  await part('reboot', () => reboot(report));
  await part('rejoin', () => rejoin(report));
  const long = !short || only !== undefined;
  if (long) {
    await part('peers', async () => peers(report, await startProbes()));
    await part('connectivity', () => connectivity(report));
    await part('flat', () => flat(report));
    await part('host network', () => hostNetwork(report));
    await part('external server', () => external(report));
  }
  await part('uninstall', () => uninstall(report, before));
  if (long) await part('readme', () => readme(report));
  if (long) await part('departures', () => departures(report, before));
}).catch((error: unknown) => {
  report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
});
say(`results in ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
