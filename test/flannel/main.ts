/**
 * `make test-flannel`: stock Flannel over Evio in its mode HostNetwork, on the real cluster of hack/cluster, across NATs;
 * results/flannel.json.
 *
 *   node test/flannel/main.ts
 *
 * EVIO_FLANNEL_ONLY=NAME,NAME runs these parts alone, or these backends (host-gw, vxlan), or both. KEEP=1 leaves the cluster up, with
 * the last backend on it. PREFIX and NAT are those of hack/cluster (docs/cluster.md); with NAT=random the results are in
 * results/flannel-random.json.
 */
import { existsSync } from 'node:fs';
import { demandRoom, onCluster, refuse } from '../cluster/cluster.ts';
import { explain, helmTest } from '../cluster/install.ts';
import { attempt, get, helm, inNode, isTrue, list, must, NODES, seconds, wait } from '../cluster/kube.ts';
import { addressed, pinged, untouched } from '../cluster/modes.ts';
import { paths } from '../cluster/paths.ts';
import { reach } from '../cluster/reach.ts';
import { type Probe, startProbes, stopProbes, talk } from '../cluster/traffic.ts';
import { Report, say } from '../demo/report.ts';
import { behindNat } from './behind-nat.ts';
import { names, recreated, restarted, sizes } from './cases.ts';
import { closeUnderlay, seen } from './firewall.ts';
import { bringFlannel, IMAGES, overlayMtu, removeFlannel } from './flannel.ts';
import { newcomers } from './join.ts';
import { BACKENDS, type Backend } from './manifest.ts';
import { moveToOverlay, RELEASE } from './overlay-only.ts';
import { throughput } from './throughput.ts';

const PARTS = [
  'host network',
  'traffic',
  'sizes',
  'names',
  'reach',
  'throughput',
  'pod',
  'restart',
  'helm test',
  'join',
  'behind NAT',
] as const;
type Part = (typeof PARTS)[number];
const only = process.env.EVIO_FLANNEL_ONLY?.split(',');
const unknown = only?.find((name) => ![...PARTS, ...BACKENDS].some((known) => known === name));
if (unknown !== undefined)
  refuse(`EVIO_FLANNEL_ONLY has no part ${JSON.stringify(unknown)}; there are: ${[...PARTS, ...BACKENDS].join(', ')}`);
const chosen = <T extends string>(names: readonly T[]): readonly T[] => {
  const some = names.filter((name) => only?.includes(name));
  return some.length > 0 ? some : names;
};

demandRoom('test-flannel');
for (const file of IMAGES) if (!existsSync(file)) refuse(`${file} is missing; make it: hack/flannel/build.sh`);
// Whichever of them the control plane gets, the API server's certificate is for it.
process.env.API_ADDRESSES ??= NODES.map((_, at) => `10.45.0.${at + 1}`).join(' ');
process.env.NODE_CIDRS = 'on';
/** Where the control plane is under the overlay; kubelets and agents begin there, XMPP and TURN stay. */
const UNDERLAY = '203.0.113.6';

const report = new Report(process.env.NAT === 'random' ? 'flannel-random' : 'flannel', false);
const parts = chosen(PARTS);

/** One part; what it throws is one failure, and the others go on. */
async function part(name: Part, title: string, run: () => Promise<void>): Promise<void> {
  if (!parts.includes(name)) return;
  say(`${title}${name}`);
  try {
    await run();
  } catch (error) {
    report.holds(`${title}${name}: ran to its end`, false, error instanceof Error ? error.message : String(error));
    await explain();
  }
}

/** One value of the chart, and the addresses that both families need; where the servers are, because the API server is to move. */
async function bringEvio(): Promise<void> {
  const spec = `network.spec.nodeCIDRs={10.45.0.0/16,fd45::/64},network.spec.signalling.embedded.host=${UNDERLAY}`;
  const values = `network.mode=HostNetwork,${spec},apiServers={https://${UNDERLAY}:6443}`;
  const took = await seconds(async () => {
    await helm('upgrade', '--install', ...RELEASE, '--create-namespace', '--set', values);
    await wait('every EvioNode Ready', 180_000, async () => {
      const members = await list('evionodes');
      const network = await get('evionetwork', 'default');
      return (
        members.length === NODES.length && members.every((one) => isTrue(one, 'Ready')) && isTrue(network, 'Ready')
      );
    });
  });
  report.atMost('seconds from helm install to every EvioNode Ready', took, 90, 's');
}

/** What was sent between underlay addresses since the firewall came. */
async function nothingElse(title: string): Promise<void> {
  const { evio, other, tried } = await seen();
  report.holds(
    `${title}packets between the nodes outside the overlay that are not Evio's (of ${evio} that are)`,
    other === 0 && evio > 0,
    other === 0 ? 0 : `${other}: ${tried}`.slice(0, 1_000),
    '0',
  );
}

async function withBackend(backend: Backend): Promise<void> {
  const title = `${backend}: `;
  say(`Flannel, ${backend}`);
  await bringFlannel(report, backend);
  let probes: readonly Probe[] = await startProbes();
  await part('traffic', title, () => talk(report, probes, title));
  await part('sizes', title, () => sizes(report, probes, title));
  await part('names', title, () => names(report, probes, title));
  if (backend === chosen(BACKENDS)[0]) await part('reach', title, () => reach(report, probes));
  await part('throughput', title, () => throughput(report, probes, backend));
  await part('pod', title, async () => {
    probes = await recreated(report, probes, title);
  });
  await part('restart', title, () => restarted(report, probes, title));
  await part('helm test', title, () => helmTest(report));
  await nothingElse(title);
  if (backend === chosen(BACKENDS).at(-1)) await part('join', title, () => newcomers(report, title));
}

const overFlannel = async (): Promise<void> => {
  await must('load', IMAGES);
  await bringEvio();
  await part('host network', '', async () => {
    await addressed(report);
    await pinged(report);
    await untouched(report);
    const mtu = await overlayMtu();
    const links = await Promise.all(NODES.map((node) => inNode(node, 'cat', '/sys/class/net/evio0/mtu')));
    report.holds(
      'HostNetwork: MTU of evio0 on every node, as the EvioNetwork says it',
      mtu >= 1280 && links.every((one) => Number(one) === mtu),
      links.map((one) => one.trim()).join(' '),
      String(mtu),
    );
    await paths(report);
  });
  report.details.apiServer = await moveToOverlay();
  say('Kubernetes is on overlay addresses; the underlay closes for all but Evio');
  await closeUnderlay();
  const backends = chosen(BACKENDS);
  for (const backend of backends) {
    try {
      await withBackend(backend);
    } catch (error) {
      report.holds(`${backend}: ran to its end`, false, error instanceof Error ? error.message : String(error));
      await explain();
    }
    if (backend === backends.at(-1)) break;
    await stopProbes();
    await removeFlannel(backend);
  }
  // That the firewall sees what it is there for.
  const before = await seen();
  const said = await attempt('nx', ['cloud1', 'curl', '-sk', '--max-time', '2', `https://${UNDERLAY}:6443/livez`]);
  const after = await seen();
  report.holds(
    'an attempt to reach the API server outside the overlay fails and is counted',
    said.code !== 0 && after.other > before.other,
    `curl ends with ${said.code}, ${after.other - before.other} packets counted`,
    'fails, > 0',
  );
};
// That one alone needs nothing of the first cluster.
if (only?.join() !== 'behind NAT')
  await onCluster(overFlannel).catch((error: unknown) => {
    report.holds('ran to its end', false, error instanceof Error ? error.message : String(error));
  });
await part('behind NAT', '', () => behindNat(report));
say(`results in ${report.save()}`);
process.stdout.write(`${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
