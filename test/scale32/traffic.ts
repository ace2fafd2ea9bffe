/** Counters (nft) at the ends of the underlay: what each node sends, by kind, and what crosses the server's ports. */
import { SERVER } from '../demo/internet.ts';
import { feed, run } from '../demo/shell.ts';

/** Bytes of IP, headers included. */
export interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** By name of the counter. */
export type Counts = Readonly<Record<string, Count>>;

/** As `evio server init` sets them by default. */
const XMPP_PORTS = '5222, 5223';
const TURN_PORTS = '3478-3479';

/**
 * What a datagram is by its first byte: of Evio docs/wire.md §4, of the others RFC 7983. `frame` holds fragments too, `flood` its
 * acknowledgements; `routed` is everything that goes over others.
 */
const BY_FIRST_BYTE: readonly (readonly [name: string, bytes: string])[] = [
  ['probe', '0xc7'],
  ['control', '0xc8'],
  ['routed', '0xc0'],
  ['handshake', '0xc1-0xc2'],
  ['frame', '0xc3-0xc4'],
  ['flood', '0xc5-0xc6'],
  ['notice', '0xc9'],
  ['ice', '0x00-0x03'],
  ['dtls', '0x14-0x3f'],
  ['turn-data', '0x40-0x7f'],
];

const KINDS = ['xmpp', 'turn', 'lan', ...BY_FIRST_BYTE.map(([name]) => name), 'other'];

const NODE = `table inet evio_count {
${KINDS.map((name) => `  counter ${name} { }`).join('\n')}
  chain out {
    type filter hook output priority filter; policy accept;
    oifname != "eth0" return
    tcp dport { ${XMPP_PORTS} } counter name xmpp return
    ip daddr 224.0.0.0/4 counter name lan return
    meta l4proto != udp counter name other return
    udp dport ${TURN_PORTS} @th,64,8 0x00-0x03 counter name turn return
${BY_FIRST_BYTE.map(([name, bytes]) => `    meta l4proto udp @th,64,8 ${bytes} counter name ${name} return`).join('\n')}
    counter name other
  }
}
`;

const AT_SERVER = `table inet evio_count {
  counter xmpp-in { }
  counter xmpp-out { }
  counter turn-in { }
  counter turn-out { }
  chain in {
    type filter hook input priority filter; policy accept;
    iifname != "eth0" return
    tcp dport { ${XMPP_PORTS} } counter name xmpp-in
    meta l4proto udp counter name turn-in
  }
  chain out {
    type filter hook output priority filter; policy accept;
    oifname != "eth0" return
    tcp sport { ${XMPP_PORTS} } counter name xmpp-out
    meta l4proto udp counter name turn-out
  }
}
`;

/** Call it once the internet is built. */
export async function placeCounters(nodes: readonly string[]): Promise<void> {
  await feed(SERVER.name, AT_SERVER, 'nft', '-f', '-');
  for (const node of nodes) await feed(node, NODE, 'nft', '-f', '-');
}

export const counted = async (ns: string): Promise<Counts> =>
  parseCounters(await run(ns, 'nft', '-j', 'list', 'counters'));

/** The output of `nft -j list counters`. */
export function parseCounters(text: string): Counts {
  const { nftables } = JSON.parse(text) as { nftables: readonly { readonly counter?: Count & { name: string } }[] };
  return Object.fromEntries(
    nftables.flatMap(({ counter }) =>
      counter === undefined ? [] : [[counter.name, { packets: counter.packets, bytes: counter.bytes }]],
    ),
  );
}

/** Bytes a second by name, between two looks. */
export const rates = (before: Counts, after: Counts, seconds: number): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(after).map(([name, { bytes }]) => [name, (bytes - (before[name]?.bytes ?? 0)) / seconds]),
  );

export const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);
