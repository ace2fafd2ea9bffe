/** From seven started agents to a full matrix. */
import { keep, RELAYED, report } from './context.ts';
import { orderedPairs, pairName } from './measure.ts';
import { type Joined, peers, startAgent, status } from './overlay.ts';
import { round, say } from './report.ts';
import { attempt, sleep } from './shell.ts';

/** Starts all agents and waits for every ordered pair to answer over IPv4 and IPv6. */
export async function joinAll(stage: string, nodes: readonly Joined[]): Promise<void> {
  for (const node of nodes) keep(startAgent(node));
  const started = performance.now();
  const waiting = new Map(
    orderedPairs(nodes).flatMap((pair) =>
      [pair.to.ipv4, pair.to.ipv6].map((target) => [`${pairName(pair)} ${target}`, { pair, target }]),
    ),
  );
  let first: number | undefined;
  const limitMs = 40_000;
  while (waiting.size > 0 && performance.now() - started < limitMs) {
    const batch = [...waiting].slice(0, 28);
    await Promise.all(
      batch.map(async ([key, { pair, target }]) => {
        const done = await attempt(pair.from.name, ['ping', '-n', '-q', '-c', '1', '-W', '1', target]);
        waiting.delete(key);
        if (done.code !== 0) waiting.set(key, { pair, target });
        else first ??= performance.now() - started;
      }),
    );
  }
  const took = (performance.now() - started) / 1000;
  say(`first ping after ${((first ?? Number.NaN) / 1000).toFixed(1)} s`);
  report.details[`${stage}.firstPingS`] = round((first ?? Number.NaN) / 1000);
  report.holds(
    `${stage}: all 42 ordered pairs over IPv4 and IPv6`,
    waiting.size === 0,
    `${84 - waiting.size} of 84`,
    '84',
  );
  report.atMost(
    `${stage}: from the last agent's start to the full matrix`,
    waiting.size === 0 ? took : Number.POSITIVE_INFINITY,
    10,
    's',
  );
  if (waiting.size > 0) say(`silent: ${[...waiting.keys()].slice(0, 10).join(', ')}`);
}

export async function showNodes(nodes: readonly Joined[]): Promise<void> {
  const rows: Record<string, unknown> = {};
  for (const node of nodes) {
    const [seen, known] = [await status(node), await peers(node).catch(() => [])];
    const edges = known
      .filter((peer) => peer.kinds.length > 0)
      .map((peer) => `${peer.name}:${peer.kinds.map((kind) => kind[0]).join('')}`);
    say(
      `  ${node.name.padEnd(8)} ${node.ipv4.padEnd(14)} NAT ${(seen?.nat.class ?? '?').padEnd(22)} ${edges.join(' ')}`,
    );
    rows[node.name] = { nat: seen?.nat, edges };
  }
  report.details[`nodes.${report.details['nodes.mesh'] === undefined ? 'mesh' : 'ring'}`] = rows;
}

/** Waits until every adjacent pair that can be direct is, and checks how long that took after the tunnel opened. */
export async function settleDirect(nodes: readonly Joined[], limitMs: number): Promise<void> {
  const started = performance.now();
  const open = async (): Promise<readonly string[]> => {
    const late: string[] = [];
    for (const node of nodes) {
      for (const peer of await peers(node)) {
        const expected = RELAYED.has(`${node.name}-${peer.name}`) ? 'webrtc' : 'direct';
        if (peer.kinds.length > 0 && peer.path !== expected) late.push(`${node.name}-${peer.name} is ${peer.path}`);
      }
    }
    return late;
  };
  let late = await open();
  while (late.length > 0 && performance.now() - started < limitMs * 3) {
    await sleep(100);
    late = await open();
  }
  report.atMost(
    `direct paths in use after the matrix was full${late.length > 0 ? ` (${late.slice(0, 4).join(', ')})` : ''}`,
    late.length > 0 ? Number.POSITIVE_INFINITY : (performance.now() - started) / 1000,
    limitMs / 1000,
    's',
  );
}
