/** What crosses the servers once tunnels are up: nothing of the direct pairs; of the relayed ones, what coturn itself says as well. */
import { readFileSync } from 'node:fs';
import { RELAYED, report } from './context.ts';
import { UNSAID_PACKETS, type Usage, usageOf } from './coturn-log.ts';
import { atCoturn, atServer, type Counts, counted, grown, onTheWire, payload } from './counters.ts';
import { NODES } from './internet.ts';
import { exchange, orderedPairs, pairName } from './measure.ts';
import type { Joined, Server } from './overlay.ts';
import { say } from './report.ts';

const COUNT = 100;
const SIZE = 1200;
/** Before the data on a channel (RFC 8656 §12.4). */
const CHANNEL_HEADER_BYTES = 4;
const HOLDERS = new Set([...RELAYED].flatMap((name) => name.split('-')));

export interface Shares {
  /** Data of relayed pairs: records, DTLS, and the ICE checks that TURN carries as data between client and coturn. */
  readonly relayed: number;
  /** ICE's checks and consent that peers sent to allocations and got from them (RFC 7675). */
  readonly consent: number;
  /** STUN bindings; TURN's allocations, permissions, channels and their refreshes. */
  readonly control: number;
  /** Streams to the XMPP server. */
  readonly xmpp: number;
  readonly all: number;
}

/** IP bytes that entered and left the server host, by what they were. */
export function shares(counts: Counts): Shares {
  const seen = onTheWire(counts);
  const all = atServer(seen).bytes;
  const relayed = atCoturn(seen, { kind: 'data' }).bytes;
  const consent = atCoturn(seen, { leg: 'peer', kind: 'stun' }).bytes;
  const control = atCoturn(seen, { leg: 'client', kind: 'stun' }).bytes;
  return { relayed, consent, control, xmpp: all - relayed - consent - control, all };
}

const inWords = ({ relayed, consent, control, xmpp }: Shares): string =>
  `${relayed} data of relayed pairs, ${consent} ICE consent, ${control} STUN and TURN control, ${xmpp} XMPP`;

/** Runs something that leaves the overlay alone, and says what crossed the servers meanwhile. */
export async function serversAtRest<T>(seconds: number, meanwhile: () => Promise<T>): Promise<T> {
  const before = await counted('coturn');
  const result = await meanwhile();
  const idle = shares(grown(before, await counted('coturn')));
  report.details['servers.idleBytes'] = { seconds, ...idle };
  say(`  idle, IP bytes at the servers in ${seconds} s: ${inWords(idle)}`);
  return result;
}

/** All direct pairs exchange a known amount at once; the servers must not notice. */
export async function nothingCrosses(nodes: readonly Joined[]): Promise<void> {
  const pairs = orderedPairs(nodes).filter((pair) => !RELAYED.has(pairName(pair)));
  const before = await counted('coturn');
  const known = await exchange(pairs, COUNT, SIZE);
  const counts = grown(before, await counted('coturn'));
  const seen = shares(counts);
  report.details['servers.whileDirectPairsTalk'] = { known, ...seen };
  const clouds = NODES.filter(({ name }) => !HOLDERS.has(name)).map(({ outside }) => outside);
  const ofClouds = clouds.reduce((sum, address) => sum + atCoturn(counts, { kind: 'data', address }).bytes, 0);
  const amount = `of ${megabytes(known)} MB`;
  // One pair by TURN would bring 14 %: a fourteenth of the amount, in and out. What is kept for relayed pairs grows with the time.
  const enough = known >= (pairs.length * COUNT * SIZE * 2) / 2;
  report.holds(
    'data at coturn while the 14 direct pairs exchange a known amount',
    enough && seen.relayed <= known * 0.03,
    seen.relayed,
    `<= 3 % ${amount}`,
    'bytes',
  );
  // A direct path that is lost for a moment has its WebRTC connection remade, which asks coturn a little.
  report.holds(
    'of that, data of nodes without relayed pairs',
    enough && ofClouds <= known / 1000,
    ofClouds,
    `<= 0.1 % ${amount}`,
    'bytes',
  );
  report.holds(
    'all IP at the servers meanwhile',
    enough && seen.all <= known * 0.04,
    `${seen.all} bytes: ${inWords(seen)}`,
    `<= 4 % ${amount}`,
  );
}

/**
 * Compares what coturn says it relayed for an overlay with what its sockets gave out since `before`. What they were handed is no
 * measure: a busy coturn loses some of it in their receive buffers. Its word lags: see coturn-log.ts.
 */
export async function coturnsWord(server: Server, overlay: string, before: Counts): Promise<void> {
  const seen = grown(before, await counted('coturn'));
  const usage = usageOf(readFileSync(server.log, 'utf8'), overlay);
  const said = [...usage.values()].reduce((sum, { fromPeers, toPeers }) => sum + fromPeers + toPeers, 0);
  const toClients = atCoturn(seen, { way: 'out', leg: 'client', kind: 'data' });
  const toPeers = atCoturn(seen, { way: 'out', leg: 'peer' });
  const gave = payload(toClients) - CHANNEL_HEADER_BYTES * toClients.packets + payload(toPeers);
  const allocations = [...usage.values()].reduce((sum, one) => sum + one.allocations, 0);
  const unsaid = (gave / (toClients.packets + toPeers.packets)) * UNSAID_PACKETS * allocations;
  report.details['coturn.usage'] = { said: Object.fromEntries(usage), counted: Object.fromEntries(seen) };
  report.holds(
    "coturn's own usage lines, of what its sockets gave out by nft",
    gave > unsaid && said >= gave * 0.98 - unsaid && said <= gave * 1.01,
    `${megabytes(said)} of ${megabytes(gave)} MB by ${allocations} allocations`,
    `98-101 %, and ${megabytes(unsaid)} MB may be unsaid yet`,
  );
  const wrong = misusers(usage);
  report.holds(
    'by its own word, coturn relayed for all relayed pairs and no others',
    wrong.length === 0,
    wrong.join('; ') || [...usage.keys()].sort().join(', '),
    'one end of each pair',
  );
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(2);

/** What is wrong with who held the allocations: a relayed pair needs one at one of its ends, other pairs none. */
export function misusers(usage: ReadonlyMap<string, Usage>): readonly string[] {
  const strangers = [...usage.keys()].filter((name) => !HOLDERS.has(name)).map((name) => `${name} has no relayed pair`);
  const unserved = [...RELAYED]
    .filter((name) => name.split('-').every((end) => !usage.has(end)))
    .map((name) => `${name} had no allocation`);
  return [...strangers, ...unserved];
}
