/** How a pair's traffic really went: a known amount is sent, and the counters tell where it came by. */
import { atCoturn, type Counts, counted, grown, type Place, total } from './counters.ts';
import { byName, type DemoNode, SERVER } from './internet.ts';
import type { Pair } from './measure.ts';
import { attempt } from './shell.ts';

/** `lan`: between two private addresses, by no router. `other`: no one way took all of it. `none`: it did not arrive. */
export type Crossing = 'lan' | 'direct' | 'relayed' | 'other' | 'none';

/** What the counters took up while a known amount went from one node to another and as much came back. */
export type Seen = Readonly<Record<Place, Counts>>;

export interface Crossed {
  readonly crossing: Crossing;
  /** Bytes the known amount was, one way. */
  readonly sent: number;
  /** Bytes by each way, in the direction that had less: all of them reach `sent` on the way that was taken. */
  readonly direct: number;
  readonly relayed: number;
  readonly lan: number;
  /** Bytes at coturn of the end and the direction that had most: small unless the pair is relayed. */
  readonly coturn: number;
  /** Bytes the NAT of home1's LAN was handed, of any kind. */
  readonly wan: number;
}

const SIZE = 1200;
const COUNT = 16;

/** Sends a known amount over one pair, to and fro. */
export async function crossing(pair: Pair, target: string): Promise<Crossed> {
  const before = await look();
  const done = await attempt(pair.from.name, [
    ...['ping', '-n', '-q', '-i', '0.005', '-c', String(COUNT), '-W', '1', '-s', String(SIZE)],
    target,
  ]);
  const after = await look();
  const seen: Seen = {
    router: grown(before.router, after.router),
    coturn: grown(before.coturn, after.coturn),
    lan: grown(before.lan, after.lan),
  };
  const judged = judge(byName(pair.from.name), byName(pair.to.name), SIZE * COUNT, seen);
  return done.code === 0 ? judged : { ...judged, crossing: 'none' };
}

async function look(): Promise<Seen> {
  const [router, coturn, lan] = await Promise.all([counted('router'), counted('coturn'), counted('lan')]);
  return { router, coturn, lan };
}

/**
 * Which way `sent` bytes went in each direction. Tunnels that are kept for other traffic add a little everywhere, so half of
 * `sent` on a way says that it was not only that.
 */
export function judge(a: DemoNode, b: DemoNode, sent: number, seen: Seen): Crossed {
  const between = (counts: Counts, set: string, from: string, to: string): number =>
    Math.min(...[`${set} ${from} ${to}`, `${set} ${to} ${from}`].map((key) => counts.get(key)?.bytes ?? 0));
  const behindOneNat = a.outside === b.outside;
  const ends = [a.outside, b.outside];
  const direct = behindOneNat ? 0 : between(seen.router, 'data', a.outside, b.outside);
  const withCoturn = ends.flatMap((address) =>
    (['in', 'out'] as const).map((way) => atCoturn(seen.coturn, { way, kind: 'data', address }).bytes),
  );
  const withServer = ends.flatMap((end) =>
    [true, false].map((up) =>
      SERVER.addresses.reduce(
        (sum, server) => sum + (seen.router.get(up ? `data ${end} ${server}` : `data ${server} ${end}`)?.bytes ?? 0),
        0,
      ),
    ),
  );
  const relayed = Math.min(...withCoturn, ...withServer);
  const coturn = Math.max(...withCoturn, ...withServer);
  const lan = behindOneNat ? between(seen.lan, 'bridged', a.address, b.address) : 0;
  const hairpin = [`routed ${a.address} ${b.address}`, `routed ${b.address} ${a.address}`].some(
    (key) => (seen.lan.get(key)?.packets ?? 0) > 0,
  );
  const wan = total(seen.lan, (key) => key.startsWith('routed ')).bytes;
  const found = { sent, direct, relayed, lan, coturn, wan };
  if (relayed >= sent && direct < sent / 2) return { crossing: 'relayed', ...found };
  if (coturn >= sent / 2) return { crossing: 'other', ...found };
  if (direct >= sent) return { crossing: 'direct', ...found };
  // By the NAT it would be twice `sent` each way, once for each of the two.
  if (lan >= sent && !hairpin && wan < sent) return { crossing: 'lan', ...found };
  return { crossing: 'other', ...found };
}
