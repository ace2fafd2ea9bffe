/**
 * Counters (nft) in the three places where traffic between nodes can pass: the router, coturn's sockets on the server host, and
 * the LAN that home1 and desk1 share. They count what the kernel moved, whatever an agent or a server says of itself.
 */
import { SERVER } from './internet.ts';
import { feed, run } from './shell.ts';

export interface Count {
  readonly packets: number;
  /** With IP headers. */
  readonly bytes: number;
}

/** By the name of a counter's set and its key: `data 192.0.2.6 198.51.100.6`. */
export type Counts = ReadonlyMap<string, Count>;

export type Place = 'router' | 'coturn' | 'lan';

const MAGIC_COOKIE = '0x2112a442';
/** TURN's Send and Data indications: the cookie of STUN before them, a peer's data in them (RFC 8656 §11). */
const INDICATIONS = '0x0016, 0x0017';
/** Both hold the ports that `evio server init` sets by default: of STUN and TURN, and of allocations. */
const CLIENT_PORTS = '3478-3479';
const RELAY_PORTS = '49152-65535';

/** Rules that count UDP in one set when it carries data, and in the other when it is STUN (cookie at byte 4, RFC 8489 §5). */
const split = (data: string, stun: string | undefined, key: string): readonly string[] => [
  `@th,96,32 != ${MAGIC_COOKIE} update @${data} { ${key} } return`,
  `@th,64,16 { ${INDICATIONS} } update @${data} { ${key} } return`,
  ...(stun === undefined ? [] : [`update @${stun} { ${key} }`]),
];

const set = (name: string, type: string): string => `set ${name} { type ${type}; flags dynamic; counter; size 4096; }`;
const chain = (name: string, lines: readonly string[]): string => `chain ${name} {\n    ${lines.join('\n    ')}\n  }`;
const hook = (name: string): string => `type filter hook ${name} priority filter; policy accept;`;
const table = (family: string, parts: readonly string[]): string =>
  `table ${family} evio_count {\n  ${parts.join('\n  ')}\n}\n`;

const PAIR = 'ip saddr . ip daddr';
const PAIR_TYPE = 'ipv4_addr . ipv4_addr';

/** UDP that crosses the router, by outside addresses. */
const ROUTER = table('ip', [
  set('data', PAIR_TYPE),
  chain('sorted', split('data', undefined, PAIR)),
  chain('forward', [hook('forward'), 'meta l4proto udp goto sorted']),
]);

/**
 * What coturn takes in and gives out, by the far address. Its clients reach it on the ports of TURN, and peers on the port of
 * an allocation; two allocations that talk to each other do so over lo, from the server's own address to it. `ip` is all the
 * host takes in and gives out, the XMPP server's streams with it.
 */
const COTURN = table(
  'ip',
  (
    [
      ['in', 'input', 'dport', 'ip saddr'],
      ['out', 'output', 'sport', 'ip daddr'],
    ] as const
  ).flatMap(([way, hooked, port, far]) => [
    set(`${way}_ip`, 'ipv4_addr'),
    ...(['client', 'peer'] as const).flatMap((leg) => [
      set(`${way}_${leg}_data`, 'ipv4_addr'),
      set(`${way}_${leg}_stun`, 'ipv4_addr'),
      chain(`${way}_${leg}`, split(`${way}_${leg}_data`, `${way}_${leg}_stun`, far)),
    ]),
    chain(way, [
      hook(hooked),
      `update @${way}_ip { ${far} }`,
      `udp ${port} ${CLIENT_PORTS} goto ${way}_client`,
      `udp ${port} ${RELAY_PORTS} goto ${way}_peer`,
    ]),
  ]),
);

/** Frames between the ports of home1's LAN, and what its NAT is handed: for the internet, for another host of the LAN, for itself. */
const LAN =
  table('bridge', [
    set('bridged', PAIR_TYPE),
    chain('forward', [hook('forward'), `meta l4proto udp update @bridged { ${PAIR} }`]),
  ]) +
  table('ip', [
    set('routed', PAIR_TYPE),
    chain('forward', [hook('forward'), `update @routed { ${PAIR} }`]),
    chain('input', [hook('input'), `iifname "lan" update @routed { ${PAIR} }`]),
  ]);

const PLACES: Readonly<Record<Place, { readonly ns: string; readonly rules: string }>> = {
  router: { ns: 'inet', rules: ROUTER },
  coturn: { ns: SERVER.name, rules: COTURN },
  lan: { ns: 'nat-home1', rules: LAN },
};

/** Call it once the internet is built. */
export async function placeCounters(): Promise<void> {
  for (const { ns, rules } of Object.values(PLACES)) await feed(ns, rules, 'nft', '-f', '-');
}

interface Listing {
  readonly nftables: readonly {
    readonly set?: {
      readonly name: string;
      readonly elem?: readonly {
        readonly elem: { readonly val: string | { readonly concat: readonly string[] }; readonly counter: Count };
      }[];
    };
  }[];
}

/** What a place has counted so far. */
export async function counted(place: Place): Promise<Counts> {
  return parseSets(await run(PLACES[place].ns, 'nft', '-j', 'list', 'sets'));
}

/** The output of `nft -j list sets`. */
export function parseSets(text: string): Counts {
  const { nftables } = JSON.parse(text) as Listing;
  return new Map(
    nftables.flatMap(({ set: found }) =>
      (found?.elem ?? []).map(({ elem: { val, counter } }) => [
        `${found?.name} ${typeof val === 'string' ? val : val.concat.join(' ')}`,
        { packets: counter.packets, bytes: counter.bytes },
      ]),
    ),
  );
}

/** What was added between two looks. */
export const grown = (before: Counts, after: Counts): Counts =>
  new Map(
    [...after].map(([key, { packets, bytes }]) => [
      key,
      { packets: packets - (before.get(key)?.packets ?? 0), bytes: bytes - (before.get(key)?.bytes ?? 0) },
    ]),
  );

/** Sum over the keys that match. */
export function total(counts: Counts, matches: (key: string) => boolean = () => true): Count {
  let [packets, bytes] = [0, 0];
  for (const [key, count] of counts) {
    if (!matches(key)) continue;
    packets += count.packets;
    bytes += count.bytes;
  }
  return { packets, bytes };
}

/** A part of coturn's counters; what is left out is summed over. */
export interface CoturnPart {
  readonly way?: 'in' | 'out';
  readonly leg?: 'client' | 'peer';
  readonly kind?: 'data' | 'stun';
  /** The far end. */
  readonly address?: string;
}

/** Datagrams of coturn's sockets among the counts of `coturn`. */
export const atCoturn = (counts: Counts, part: CoturnPart): Count =>
  total(counts, (key) => {
    const [name, address] = key.split(' ');
    const [way, leg, kind] = name?.split('_') ?? [];
    return (
      kind !== undefined &&
      (part.way ?? way) === way &&
      (part.leg ?? leg) === leg &&
      (part.kind ?? kind) === kind &&
      (part.address ?? address) === address
    );
  });

/** What entered and left the server host by its wire, without what coturn sent to itself. */
export const onTheWire = (counts: Counts): Counts =>
  new Map([...counts].filter(([key]) => !SERVER.addresses.some((own) => key.endsWith(` ${own}`))));

/** All of IP at the server host. */
export const atServer = (counts: Counts): Count => total(counts, (key) => /^(in|out)_ip /.test(key));

const IP_AND_UDP_BYTES = 28;
/** Payload of counted datagrams. */
export const payload = ({ packets, bytes }: Count): number => bytes - packets * IP_AND_UDP_BYTES;
