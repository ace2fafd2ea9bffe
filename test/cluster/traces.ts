/** What of a node Evio touches: links, addresses, routes, rules, tables, files, processes. Compared before and after. */
import { inNode, NODES } from './kube.ts';

export type Traces = Readonly<Record<string, readonly string[]>>;

const LOOKS: Readonly<Record<string, readonly string[]>> = {
  links: ['sh', '-c', "ip -o link | sed -E 's/^[0-9]+: //; s/@[^:]*//' | cut -d: -f1"],
  addresses: ['sh', '-c', "ip -o addr | awk '$2 != \"lo\" {print $2, $4}' | grep -v ' fe80:'"],
  routes: ['sh', '-c', 'ip -4 route show table all; ip -6 route show table all | grep -v -e fe80: -e ff00:'],
  rules: ['sh', '-c', 'ip rule; ip -6 rule'],
  neighbours: ['sh', '-c', 'ip neigh show nud permanent'],
  // What asked is whether a table is there; kube-proxy makes its own when it likes.
  'nftables tables': ['sh', '-c', 'nft list tables | grep -v kube-proxy'],
  files: [
    'sh',
    '-c',
    'find /etc/cni/net.d /opt/cni/bin /var/lib/cni /var/lib/evio /run/evio -mindepth 1 2>/dev/null | grep -v /var/lib/cni/results',
  ],
  processes: [
    'sh',
    '-c',
    // Without those that look, of which some run beside this one.
    "ps -eo args= | grep -E 'evio|tincan|prosody|turnserver' | grep -v -e grep -e 'ps -eo' -e '^find ' | sort",
  ],
};

export async function tracesOf(node: string): Promise<Traces> {
  const found = await Promise.all(
    Object.entries(LOOKS).map(async ([what, command]) => {
      const out = await inNode(node, 'sh', '-c', `${command.slice(2).join(' ')} || true`);
      return [what, out.split('\n').filter(Boolean).sort()] as const;
    }),
  );
  return Object.fromEntries(found);
}

export async function tracesOfAll(): Promise<ReadonlyMap<string, Traces>> {
  return new Map(await Promise.all(NODES.map(async (node) => [node, await tracesOf(node)] as const)));
}

/** What is there now and was not, and the other way round: `NODE: + link evio0`. */
export function differences(
  before: ReadonlyMap<string, Traces>,
  after: ReadonlyMap<string, Traces>,
): readonly string[] {
  return [...before].flatMap(([node, was]) => {
    const now = after.get(node) ?? {};
    return Object.keys(was).flatMap((what) => {
      const [old, young] = [new Set(was[what]), new Set(now[what])];
      return [
        ...[...young].filter((one) => !old.has(one)).map((one) => `${node}: + ${what}: ${one}`),
        ...[...old].filter((one) => !young.has(one)).map((one) => `${node}: - ${what}: ${one}`),
      ];
    });
  });
}
