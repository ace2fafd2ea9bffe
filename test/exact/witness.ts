/** Counters (nft) that tell that a test has tested what it says: packets of a kind that came by. */
import { attempt, feed, run } from '../demo/shell.ts';

/** Where packets are counted. */
export type Hook =
  /** IP packets as they come in, before fragments are joined. */
  | { readonly at: 'in' }
  /** IP packets as this host sends them. */
  | { readonly at: 'out' }
  /** Frames as they come in by one device. */
  | { readonly at: 'device'; readonly device: string };

const TABLE = 'evio_exact';

function family(hook: Hook): string {
  return hook.at === 'device' ? 'netdev' : 'inet';
}

function chain(hook: Hook): string {
  switch (hook.at) {
    case 'in':
      // Joining them is at -400 (NF_IP_PRI_CONNTRACK_DEFRAG).
      return 'type filter hook prerouting priority -450';
    case 'out':
      return 'type filter hook output priority 0';
    case 'device':
      return `type filter hook ingress device "${hook.device}" priority 0`;
  }
}

/** The rules as a table: each counts what its expression matches, under its name. */
export const table = (hook: Hook, rules: Readonly<Record<string, string>>): string =>
  `table ${family(hook)} ${TABLE} {
${Object.keys(rules)
  .map((name) => `  counter ${name} { }`)
  .join('\n')}
  chain count {
    ${chain(hook)}; policy accept;
${Object.entries(rules)
  .map(([name, rule]) => `    ${rule.replace('COUNT', `counter name ${name}`)}`)
  .join('\n')}
  }
}
`;

/** Packets by counter, out of `nft -j list counters`. */
export function counts(text: string): Readonly<Record<string, number>> {
  const { nftables } = JSON.parse(text) as {
    readonly nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
  };
  return Object.fromEntries(
    nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
  );
}

/** Counts packets in a namespace while `during` runs; COUNT in a rule is where the counter goes. */
export async function witnessed(
  ns: string,
  hook: Hook,
  rules: Readonly<Record<string, string>>,
  during: () => Promise<void>,
): Promise<Readonly<Record<string, number>>> {
  await feed(ns, table(hook, rules), 'nft', '-f', '-');
  try {
    await during();
    return counts(await run(ns, 'nft', '-j', 'list', 'counters', 'table', family(hook), TABLE));
  } finally {
    await attempt(ns, ['nft', 'delete', 'table', family(hook), TABLE]);
  }
}
