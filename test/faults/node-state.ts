/** What a node has in the kernel and in its switch, in a form that can be compared: what changes by itself (counters, ages) is left out. */
import { join } from 'node:path';
import type { Joined } from '../demo/overlay.ts';
import { run, sleep } from '../demo/shell.ts';

export const BRIDGE = 'evio0';
export const TAP = 'evio0-tap';

/** By topic, sorted lines. */
export type NodeState = ReadonlyMap<string, readonly string[]>;

type Json = Readonly<Record<string, unknown>>;

async function ip(ns: string, ...args: string[]): Promise<readonly Json[]> {
  const printed = await run(ns, 'ip', '-j', ...args);
  // For an empty list some versions print nothing at all.
  return printed.trim() === '' ? [] : (JSON.parse(printed) as Json[]);
}

/** The interfaces on the bridge, and what is set of bridge and tap. A tap that was made again has another MAC of its own. */
async function links(ns: string): Promise<readonly string[]> {
  const all = await ip(ns, '-d', 'link', 'show');
  return all
    .filter(({ ifname, master }) => ifname === BRIDGE || ifname === TAP || master === BRIDGE)
    .map((link) => {
      const { ifname, mtu, master, flags, address, linkinfo, inet6_addr_gen_mode: generated } = link;
      const data = ((linkinfo as Json | undefined)?.info_data ?? {}) as Json;
      const up = (flags as readonly string[]).filter((flag) => flag === 'UP' || flag === 'LOWER_UP');
      if (ifname !== BRIDGE) return JSON.stringify({ ifname, mtu, master, up });
      const { stp_state: stp, mcast_snooping: snooping } = data;
      return JSON.stringify({ ifname, mtu, address, up, stp, snooping, generated, segments: link.gso_max_segs });
    })
    .sort();
}

/** The flows, without counters and ages. */
export async function flows(node: Joined): Promise<readonly string[]> {
  const printed = await run(node.name, 'ovs-ofctl', '-O', 'OpenFlow13', 'dump-flows', switchOf(node));
  return printed
    .split('\n')
    .filter((line) => line.includes('cookie='))
    .map((line) => line.trim().replace(/ duration=[^,]*,| n_packets=\d+,| n_bytes=\d+,/g, ''))
    .sort();
}

/** Table 4, where routes stand, changes with every tunnel: that there are any has to do, pings tell whether they are good. */
function comparable(flows: readonly string[]): readonly string[] {
  const others = flows.filter((flow) => !flow.includes(' table=4,'));
  return others.length === flows.length ? others : [...others, 'routes'];
}

export const switchOf = (node: Joined): string => `unix:${join(node.runDir, 'switch.sock')}`;

export async function stateOf(node: Joined, what: 'links' | 'links and flows' = 'links and flows'): Promise<NodeState> {
  const ns = node.name;
  const addresses = (await ip(ns, 'address', 'show', 'dev', BRIDGE)).flatMap((link) =>
    (link.addr_info as readonly Json[]).map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  );
  const neighbours = (await ip(ns, 'neigh', 'show', 'dev', BRIDGE, 'nud', 'permanent')).map(
    ({ dst, lladdr }) => `${dst} ${lladdr}`,
  );
  const routes = [
    ...(await ip(ns, 'route', 'show', 'dev', BRIDGE)),
    ...(await ip(ns, '-6', 'route', 'show', 'dev', BRIDGE)),
  ].map(({ dst }) => String(dst));
  return new Map([
    ['links', await links(ns)],
    ['addresses', [...addresses].sort()],
    ['neighbours', [...neighbours].sort()],
    ['routes', [...routes].sort()],
    ['flows', what === 'links' ? [] : comparable(await flows(node))],
  ]);
}

/** What differs, one line for each; empty when all is the same. */
export function differences(before: NodeState, now: NodeState): readonly string[] {
  return [...before].flatMap(([topic, lines]) => {
    const have = now.get(topic) ?? [];
    return [
      ...lines.filter((line) => !have.includes(line)).map((line) => `${topic}: ${line} is missing`),
      ...have.filter((line) => !lines.includes(line)).map((line) => `${topic}: ${line} is new`),
    ];
  });
}

export interface Return {
  /** Infinite when it never was. */
  readonly tookMs: number;
  readonly different: readonly string[];
}

/** How long it takes until the node's state is again what it was. */
export async function sameAgain(node: Joined, before: NodeState, withinMs: number): Promise<Return> {
  const started = performance.now();
  const what = before.get('flows')?.length === 0 ? 'links' : 'links and flows';
  for (;;) {
    let different: readonly string[];
    try {
      different = differences(before, await stateOf(node, what));
    } catch (error) {
      // evio0 is not there.
      different = [error instanceof Error ? error.message : String(error)];
    }
    const tookMs = performance.now() - started;
    if (different.length === 0) return { tookMs, different };
    if (tookMs > withinMs) return { tookMs: Number.POSITIVE_INFINITY, different };
    await sleep(50);
  }
}
