/** What crosses the underlay while nobody wants anything. */
import { SERVER } from '../demo/internet.ts';
import type { Joined } from '../demo/overlay.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { figure } from '../sim/scale/measure.ts';
import { hasTunnel } from './ring.ts';
import { type Counts, counted, rates, sum } from './traffic.ts';
import { type Run, since } from './whole.ts';

const XMPP_BYTES_PER_S = 4_300;
const XMPP_STRETCH_BYTES_PER_S = 1_000;

export const xmpp = (of: Readonly<Record<string, number>>) => ({ in: of['xmpp-in'] ?? 0, out: of['xmpp-out'] ?? 0 });

export async function idle({ report, agents }: Run, nodes: readonly Joined[], seconds: number): Promise<void> {
  const look = async (): Promise<{ readonly server: Counts; readonly nodes: readonly Counts[] }> => ({
    server: await counted(SERVER.name),
    nodes: await Promise.all(nodes.map((node) => counted(node.name))),
  });
  const [before, began] = [await look(), performance.now()];
  await sleep(seconds * 1_000);
  const [after, took] = [await look(), since(began)];
  const server = rates(before.server, after.server, took);
  const each = after.nodes.map((now, i) => rates(before.nodes[i] ?? {}, now, took));
  const kinds = Object.keys(each[0] ?? {});
  const perKind = Object.fromEntries(
    kinds.map((kind) => [kind, Math.round(sum(each.map((of) => of[kind] ?? 0)) / each.length)]),
  );
  const totals = each.map((of) => sum(Object.values(of)));
  const tunnels = [...(await agents.everyPeers(nodes)).values()].map((peers) => peers.filter(hasTunnel).length);
  report.details.idle = {
    seconds: took,
    server: Object.fromEntries(Object.entries(server).map(([name, value]) => [name, Math.round(value)])),
    meanByKind: perKind,
    nodes: Object.fromEntries(
      nodes.map((node, i) => [node.name, { bytes: Math.round(totals[i] ?? 0), tunnels: tunnels[i] }]),
    ),
  };
  say(
    `  idle, bytes a second that a node sends, mean by kind: ${kinds
      .filter((kind) => (perKind[kind] ?? 0) > 0)
      .map((kind) => `${kind} ${perKind[kind]}`)
      .join(', ')}`,
  );
  const inOut = xmpp(server);
  const all = inOut.in + inOut.out;
  const words = `in ${Math.round(inOut.in)}, out ${Math.round(inOut.out)}`;
  report.atMost(`idle: bytes at the XMPP server's port of the whole network (${words})`, all, XMPP_BYTES_PER_S, 'B/s');
  report.atMost('idle: the same, the stretch', all, XMPP_STRETCH_BYTES_PER_S, 'B/s');
  const { mean, max } = figure(totals);
  report.atMost(
    `idle: IP bytes that a node sends, mean (most ${Math.round(max)})`,
    mean,
    idleGoal(nodes.length),
    'B/s',
  );
  const { mean: perNode } = figure(tunnels);
  report.atMost('tunnels of a node, mean', perNode, 4 + 2 * Math.ceil(Math.log2(nodes.length)), '');
}

/** 1 KB/s at 16 nodes, 1.5 at 128, and between them by the logarithm, as tunnels grow. */
const idleGoal = (n: number): number => 1_000 + (500 * Math.log2(n / 16)) / 3;
