/** Who reaches whom, how fast, and what broadcast does. */
import type { PathName } from '../../agent/src/api.ts';
import { report, SHORT } from './context.ts';
import { arp, floodFromPod, plugPod, unplugPod } from './floods.ts';
import { latency, type Pair, underlayLatency } from './measure.ts';
import { type Joined, peers } from './overlay.ts';
import { round, say } from './report.ts';

export interface Hop {
  readonly pair: Pair;
  readonly path: PathName;
}

/** Round trips of every ordered pair over both families, beside the underlay's own; prints the matrix. */
export async function matrix(stage: string, nodes: readonly Joined[]): Promise<readonly Hop[]> {
  const count = SHORT ? 10 : 40;
  const under = await underlayLatency(count);
  const found: Hop[] = [];
  const rows: unknown[] = [];
  let silent = 0;
  say(`  ${stage}: round trips in ms, ${count} pings each: path, IPv4 p50/p99, IPv6 p50/p99, underlay p50`);
  for (const from of nodes) {
    const known = new Map((await peers(from)).map((peer) => [peer.name, peer]));
    for (const to of nodes) {
      if (to === from) continue;
      const four = await latency(from.name, to.ipv4, count);
      const six = await latency(from.name, to.ipv6, count);
      silent += four.sent - four.received + six.sent - six.received;
      const path = known.get(to.name)?.path ?? 'none';
      const below = (under.get(from.name)?.p50 ?? 0) + (under.get(to.name)?.p50 ?? 0);
      found.push({ pair: { from, to }, path });
      rows.push({ from: from.name, to: to.name, path, four, six, underlayP50: round(below) });
      say(
        `    ${`${from.name} > ${to.name}`.padEnd(18)} ${path.padEnd(7)} ${ms(four.p50)}/${ms(four.p99)}  ${ms(six.p50)}/${ms(six.p99)}  ${ms(below)}`,
      );
    }
  }
  report.details[`${stage}.matrix`] = rows;
  const sent = found.length * count * 2;
  // UDP carries all of it and edges still settle: one in two hundred may be lost, a pair may not.
  report.holds(
    `${stage}: pings of the matrix without a reply`,
    silent <= sent / 200,
    `${silent} of ${sent}`,
    '<= 0.5 %',
  );
  return found;
}

const ms = (value: number): string => value.toFixed(2).padStart(6);

export async function floods(stage: string, nodes: readonly Joined[]): Promise<void> {
  const host = nodes[0];
  const member = nodes[3];
  if (host === undefined || member === undefined) throw new Error('too few nodes');
  const pod = await plugPod(host);
  try {
    for (const { kind, received } of await floodFromPod(pod, nodes)) {
      const wrong = [...received]
        .filter(([, counts]) => counts.some((count) => count !== 1))
        .map(([name, counts]) => `${name} ${counts.join('')}`);
      report.holds(
        `${stage}: each ${kind} frame of a host behind evio0 reaches 6 nodes exactly once`,
        wrong.length === 0 && received.size === 6,
        wrong.join('; ') || '6 nodes, once',
        'once',
      );
    }
    const seen = await arp(pod, member, nodes);
    report.holds(`${stage}: ARP for a member is answered`, seen.memberAnswered);
    report.holds(`${stage}: ARP for a member causes no flood`, seen.forMember === 0, seen.forMember, '0', 'frames');
    report.holds(
      `${stage}: ARP for a foreign host is flooded and succeeds`,
      seen.foreignAnswered && seen.forForeign === nodes.length - 2,
      `${seen.forForeign} nodes saw it, ${seen.foreignAnswered ? 'answered' : 'silent'}`,
      `${nodes.length - 2} nodes, answered`,
    );
  } finally {
    await unplugPod(pod);
  }
}
