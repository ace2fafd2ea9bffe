/** Where the parts run: pairs of nodes, each kind of pair with something of its own, and a ring. */
import { join } from 'node:path';
import { type EvioPeer, openEvio, stopSwitches, type Variant } from '../bench/evio.ts';
import { type Place, routerOf, SIDES, TO_B } from '../bench/place.ts';
import { OFFLOADS } from '../bench/tcp.ts';
import { openRing, type Ring } from '../bench/transit.ts';
import { POD, removeNamespaces } from '../demo/internet.ts';
import type { Joined } from '../demo/overlay.ts';
import { attempt, run, until } from '../demo/shell.ts';
import { families, type Host } from './stage.ts';
import { takeTransfers } from './transfer.ts';

/**
 * pair   two nodes, a veth between them
 * plain  the same, and neither tincan sends or receives batches of datagrams
 * jumbo  the same over a veth of MTU 9000, in an overlay of MTU 8900
 * ovs    the same with Open vSwitch at the edge of each
 * line   the same with a router between them, whose link to b has another MTU than all others
 */
export const PAIR_KINDS = ['pair', 'plain', 'jumbo', 'ovs', 'line'] as const;
export type PairKind = (typeof PAIR_KINDS)[number];

export interface Pair {
  readonly a: Host;
  readonly b: Host;
  readonly peer: EvioPeer;
}

const VARIANTS: Readonly<Record<PairKind, Variant>> = {
  pair: { name: 'evio' },
  plain: { name: 'evio-plain', environment: ['EVIO_UDP_GSO=off'] },
  jumbo: { name: 'evio-jumbo', overlay: ['--mtu', '8900'] },
  ovs: { name: 'evio-ovs', ovs: true },
  line: { name: 'evio-line' },
};

const JUMBO = '9000';

/** What a line's link to b takes when the pair is opened. */
export const FIRST_MTU = 1_400;

const host = ({ name, ipv4, ipv6 }: Joined): Host => ({ ns: name, ipv4, ipv6 });

export async function openPair(place: Place, kind: PairKind): Promise<Pair> {
  const variant = VARIANTS[kind];
  const peer = await openEvio({ ...place, kind: kind === 'line' ? 'line' : 'pair' }, variant);
  if (kind === 'jumbo') for (const side of SIDES) await setMtu(peer.ends[side].ns, 'eth0', JUMBO);
  if (kind === 'line') {
    const router = routerOf(variant.name);
    for (const [ns, link] of [
      [peer.ends.a.ns, 'eth0'],
      [peer.ends.b.ns, 'eth0'],
      [router, 'to-a'],
    ] as const)
      await setMtu(ns, link, JUMBO);
    await setMtu(router, TO_B.link, String(FIRST_MTU));
    for (const side of SIDES) await offloads(peer.ends[side].ns, 'eth0', OFFLOADS, 'off');
  }
  for (const side of SIDES) await peer.start(side);
  const pair = { a: host(peer.nodes.a), b: host(peer.nodes.b), peer };
  await untilDirect(pair);
  for (const { ns } of [pair.a, pair.b]) await takeTransfers(ns, join(place.dir, `${ns}-transfers.log`));
  return pair;
}

/** Waits until both ends send by the direct path, by the underlay's addresses, and each family is answered. */
export async function untilDirect({ a, b, peer }: Pair): Promise<void> {
  for (const [, address] of families(b)) await answers(a.ns, address);
  await peer.ready();
}

/** Waits until an address answers. */
export const answers = (ns: string, address: string, withinMs = 30_000): Promise<unknown> =>
  until(`${address} answers ${ns}`, withinMs, async () => {
    const done = await attempt(ns, ['ping', '-n', '-q', '-c', '1', '-W', '1', address]);
    return done.code === 0;
  });

export const setMtu = (ns: string, link: string, bytes: string): Promise<string> =>
  run(ns, 'ip', 'link', 'set', link, 'mtu', bytes);

export const offloads = (ns: string, link: string, names: readonly string[], state: 'on' | 'off'): Promise<string> =>
  run(ns, 'ethtool', '-K', link, ...names.flatMap((name) => [name, state]));

/** Agents and tincans end; the namespaces stay until the place is closed. */
export async function closePair({ peer }: Pair): Promise<void> {
  await removeNamespaces([POD]);
  await Promise.all(SIDES.map((side) => peer.stop(side)));
  await stopSwitches();
}

/** Two nodes that reach each other over a third one. */
export interface Row {
  readonly a: Host;
  readonly b: Host;
  readonly ring: Ring;
}

export async function openRow(place: Place): Promise<Row> {
  const ring = await openRing(place);
  const row = { a: host(ring.a), b: host(ring.c), ring };
  for (const [, address] of families(row.b)) await answers(row.a.ns, address);
  for (const { ns } of [row.a, row.b]) await takeTransfers(ns, join(place.dir, `${ns}-transfers.log`));
  return row;
}
