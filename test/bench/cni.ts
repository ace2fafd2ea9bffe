/** How long a pod's network takes, beside the reference plugins. */
import { join } from 'node:path';
import { addNamespace } from '../demo/internet.ts';
import { median, quantile } from '../demo/ping.ts';
import { PREFIX, run } from '../demo/shell.ts';
import type { Bench, Measured, Stage } from './bench.ts';
import { addEnds } from './place.ts';
import { PLUGIN } from './pods.ts';

const TIMES = 60;
const WORKER = join(import.meta.dirname, 'cni-times.ts');

async function measure(ns: string, program: string, config: object): Promise<Measured> {
  const netns = `/run/netns/${PREFIX}pod-cni`;
  const printed = await run(ns, process.execPath, WORKER, program, JSON.stringify(config), netns, String(TIMES));
  const { add, del } = JSON.parse(printed) as { readonly add: readonly number[]; readonly del: readonly number[] };
  return {
    'cni-add-p50': median(add),
    'cni-add-p99': quantile(add, 0.99),
    'cni-del-p50': median(del),
    'cni-del-p99': quantile(del, 0.99),
  };
}

async function times(stage: Stage): Promise<void> {
  const place = await stage.place('pair');
  const { ns } = (await addEnds(place, 'cni')).a;
  await addNamespace('pod-cni');
  // A node's bridge, as an agent makes it; its overlay is not needed to attach a pod.
  await run(ns, 'ip', 'link', 'add', 'evio0', 'type', 'bridge');
  await run(ns, 'ip', 'link', 'set', 'evio0', 'up');
  await run(ns, 'ip', 'address', 'add', '10.45.0.4/16', 'dev', 'evio0');
  await run(ns, 'ip', 'address', 'add', 'fd45::4/64', 'dev', 'evio0', 'nodad');
  const subnets = ['10.244.3.0/24', 'fd00:10:244:3::/64'];
  const evio = {
    ...{ cniVersion: '1.0.0', name: 'evio', type: 'evio-cni', attachment: 'routed', bridge: 'evio0', mtu: 1400 },
    ...{ subnets, gateways: ['10.45.0.4', 'fd45::4'], dataDir: join(place.dir, 'cni') },
  };
  const reference = {
    ...{ cniVersion: '1.0.0', name: 'reference', type: 'bridge', bridge: 'cni0', isGateway: true, mtu: 1400 },
    ipam: {
      ...{ type: 'host-local', dataDir: join(place.dir, 'reference') },
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      ranges: subnets.map((subnet) => [{ subnet }]),
    },
  };
  await stage.record.rounds(stage.rounds, [
    { name: 'evio-cni', measure: () => measure(ns, PLUGIN, evio) },
    { name: 'bridge+host-local', measure: () => measure(ns, '/usr/lib/cni/bridge', reference) },
  ]);
  await stage.close();
}

export const CNI: Bench = {
  name: 'cni',
  title: 'Attaching a pod',
  text: `ADD and DEL of both families, ${TIMES} times a round, whole processes each: \`evio-cni\`, and the reference plugins \`bridge\` and \`host-local\` of Debian.`,
  run: times,
};
