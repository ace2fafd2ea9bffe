/** How the two nodes behind NATs reach each other, by what their agents say. */
import type { TunnelStatus } from '../../crds/src/evio-node.ts';
import type { Report } from '../demo/report.ts';
import { EDGES, get, wait } from './kube.ts';

/** Of NATs with a random port for each destination no pair can be punched. */
const EXPECTED: readonly (TunnelStatus['path'] & string)[] =
  process.env.NAT === 'random' ? ['Relayed', 'Via'] : ['Direct'];

/** From each edge to the other: the kind of its path. */
export async function edgePaths(): Promise<readonly string[]> {
  return Promise.all(
    EDGES.map(async (edge) => {
      const tunnels = ((await get('evionode', edge))?.status?.tunnels ?? []) as readonly TunnelStatus[];
      return tunnels.find(({ peer }) => EDGES.some((other) => other !== edge && other === peer))?.path ?? 'none';
    }),
  );
}

export async function paths(report: Report): Promise<void> {
  let seen: readonly string[] = [];
  const expected = (path: string): boolean => EXPECTED.some((one) => one === path);
  await wait('the edges have their path', 60_000, async () => {
    seen = await edgePaths();
    return seen.every(expected);
  }).catch(() => undefined);
  report.holds(
    `the path between ${EDGES.join(' and ')}, by either`,
    seen.every(expected),
    seen.join(', '),
    EXPECTED.join(' or '),
  );
}
