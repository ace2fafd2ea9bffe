/** One node with many tunnels: what tincan and the agent need for them. */
import type { Joined } from '../demo/overlay.ts';
import { peers, status } from '../demo/overlay.ts';
import { until } from '../demo/shell.ts';
import type { Bench, Stage } from './bench.ts';
import { lanNode } from './place.ts';
import { tcp } from './traffic.ts';
import { startNodes, untilReached } from './transit.ts';
import { residentMb } from './usage.ts';

const COUNTS = [1, 16, 64] as const;
/** No tunnels but those that are asked for, as far as a ring allows. */
const SPARSE = ['--full-mesh', 'off', '--successors', '1', '--long-distance', '0', '--on-demand', '0'];
const JOIN_MS = 240_000;

async function run(stage: Stage): Promise<void> {
  for (const count of COUNTS) {
    const place = await stage.place('lan', count + 1);
    const others = Array.from({ length: count }, (_, i) => lanNode(i + 2));
    const hub = lanNode(1);
    // The node file's list is short enough for all of them.
    const keys = (name: string): object => (name === hub ? { topology: { static: others } } : {});
    const nodes = await startNodes(place, `star${count}`, count + 1, SPARSE, keys);
    const [centre, first] = nodes as [Joined, Joined];
    await until(`${hub} has ${count} direct tunnels`, JOIN_MS, async () => {
      const known = await peers(centre).catch(() => []);
      return known.filter(({ kinds, path }) => kinds.length > 0 && path === 'direct').length >= count;
    });
    await untilReached(centre, first);
    const name = `${count} ${count === 1 ? 'tunnel' : 'tunnels'}`;
    const host = ({ name: ns }: Joined) => ({ ns, group: `traffic-${ns}` });
    const measure = async () => {
      const { mbps } = await tcp(host(centre), host(first), first.ipv4, { seconds: stage.seconds, flows: 1 });
      const { agent, tincan } = (await status(centre)) ?? {};
      if (agent === undefined || !tincan) throw new Error(`evio status of ${hub} tells no processes`);
      return { tcp1: mbps, 'rss-tincan': residentMb(tincan.pid), 'rss-agent': residentMb(agent.pid) };
    };
    await stage.record.rounds(stage.rounds, [{ name, measure }]);
    await stage.close();
  }
}

export const TUNNELS: Bench = {
  name: 'tunnels',
  title: 'Many tunnels',
  text: 'One node with tunnels to 1, 16 and 64 others, real agents all of them on this one machine: the resident memory of its tincan and its agent, and a flow to one of the others.',
  run,
};
