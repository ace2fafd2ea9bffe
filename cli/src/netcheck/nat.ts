/** What the NATs before this machine do: the tests of RFC 5780 §4, as far as the STUN servers at hand can take part. */
import {
  type Filtering,
  filteringOf,
  type Idle,
  type Lifetime,
  lifetimeOf,
  type Mapping,
  mappingOf,
  type Sight,
} from './behaviour.ts';
import { type Endpoint, sameEndpoint } from './endpoint.ts';
import { familyOf, UdpSocket } from './udp-socket.ts';

export interface NatReport {
  readonly family: 4 | 6;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** Whether a packet to the own outside address comes back in; null: not known, or nothing is translated. */
  readonly hairpin: boolean | null;
  /** Null: not asked, or not known. */
  readonly lifetime: Lifetime | null;
  /** How the servers see one socket of this machine. */
  readonly mapped: readonly Endpoint[];
}

/** A silence must be believed sooner than an answer: most NATs filter. */
const FILTER_PAUSES_MS = [250, 500, 750];
const HAIRPIN_MS = 400;
const HAIRPIN_TRIES = 2;

/** `servers`: of one family, each has answered. */
export async function natReport(servers: readonly Endpoint[]): Promise<Omit<NatReport, 'lifetime'>> {
  const [first] = servers;
  if (first === undefined) throw new Error('no STUN server has answered');
  const family = familyOf(first.address);
  const sockets = await Promise.all(Array.from({ length: 4 }, () => UdpSocket.open(family)));
  try {
    const [a, b, c, d] = sockets as [UdpSocket, UdpSocket, UdpSocket, UdpSocket];
    const [seen, filtering, hairpin] = await Promise.all([
      mapped(a, servers),
      filtered(b, c, first),
      hairpinned(d, first),
    ]);
    const mapping = mappingOf(seen, a.own);
    return {
      family,
      mapping,
      filtering: filteringOf(mapping, filtering),
      hairpin: mapping === 'none' ? null : hairpin,
      mapped: seen
        .map((one) => one.mapped)
        .filter((one, i, all) => all.findIndex((other) => sameEndpoint(one, other)) === i),
    };
  } finally {
    for (const socket of sockets) socket.close();
  }
}

/** RFC 5780 §4.3: the servers themselves, and the other addresses and ports that they name. */
async function mapped(socket: UdpSocket, servers: readonly Endpoint[]): Promise<readonly Sight[]> {
  const sights: Sight[] = [];
  const others: Endpoint[] = [];
  const ask = async (server: Endpoint): Promise<void> => {
    const answer = await socket.ask(server);
    if (answer?.binding.mapped === undefined) return;
    sights.push({ by: server, mapped: answer.binding.mapped });
    const { other } = answer.binding;
    if (other === undefined || familyOf(other.address) !== familyOf(server.address)) return;
    others.push({ address: other.address, port: server.port }, other, { address: server.address, port: other.port });
  };
  // One after the other: what a NAT does with the first packet may differ from what it does with two at once.
  for (const server of servers) await ask(server);
  const further = others.filter(
    (one, i, all) =>
      !servers.some((server) => sameEndpoint(one, server)) && all.findIndex((other) => sameEndpoint(one, other)) === i,
  );
  for (const server of further.slice(0, 3)) await ask(server);
  return sights;
}

/** RFC 5780 §4.4, each question by a socket of its own, which has sent nothing to where the answer comes from. */
async function filtered(
  b: UdpSocket,
  c: UdpSocket,
  server: Endpoint,
): Promise<{ readonly fromOtherAddress: boolean; readonly fromOtherPort: boolean } | undefined> {
  const [known] = await Promise.all([b.ask(server), c.ask(server)]);
  if (known?.binding.other === undefined) return undefined;
  const [both, port] = await Promise.all([
    b.ask(server, { changeIp: true, changePort: true }, FILTER_PAUSES_MS),
    c.ask(server, { changePort: true }, FILTER_PAUSES_MS),
  ]);
  // A server that answers from where it was asked has not understood.
  if ([both, port].some((answer) => answer !== undefined && sameEndpoint(answer.from, server))) return undefined;
  return { fromOtherAddress: both !== undefined, fromOtherPort: port !== undefined };
}

/** RFC 5780 §4.5: a packet to the own outside address, which filters let in because it was written to. */
async function hairpinned(socket: UdpSocket, server: Endpoint): Promise<boolean | null> {
  const outside = (await socket.ask(server))?.binding.mapped;
  if (outside === undefined) return null;
  for (let i = 0; i < HAIRPIN_TRIES; i++) if (await socket.hears(socket.throw(outside), HAIRPIN_MS)) return true;
  return false;
}

/** Seconds that a mapping is left alone for, each by a socket of its own, all at once. RFC 4787 asks for 120 at least. */
const IDLE_S = [5, 10, 15, 20, 25, 30, 40, 50, 60, 90, 120, 150, 180, 240, 300, 400, 600];

/**
 * RFC 5780 §4.6: another socket asks the server to answer to the port of one that was silent so long. Null: the server does not do that.
 * Takes as long as the mapping lives, `maxS` at most; `tell` hears how long it has taken.
 */
export async function mappingLifetime(
  server: Endpoint,
  maxS: number,
  tell: (text: string) => void,
): Promise<Lifetime | null> {
  const family = familyOf(server.address);
  const idle = [...new Set([...IDLE_S.filter((seconds) => seconds < maxS), maxS])];
  const sockets: UdpSocket[] = [];
  const asker = await UdpSocket.open(family);
  sockets.push(asker);
  try {
    const open = async (): Promise<{ readonly socket: UdpSocket; readonly port: number | undefined }> => {
      const socket = await UdpSocket.open(family);
      sockets.push(socket);
      return { socket, port: (await socket.ask(server))?.binding.mapped?.port };
    };
    const started = performance.now();
    const quiet = await Promise.all(idle.map(open));
    const fresh = await open();
    if (fresh.port === undefined || !(await alive(asker, server, fresh.socket, fresh.port))) return null;
    const seen: Idle[] = [];
    for (const [i, idleS] of idle.entries()) {
      const one = quiet[i];
      if (one?.port === undefined) continue;
      await idleUntil(started, idleS, maxS, tell);
      const is = await alive(asker, server, one.socket, one.port);
      seen.push({ idleS, alive: is });
      if (!is) break;
    }
    return lifetimeOf(seen);
  } finally {
    for (const socket of sockets) socket.close();
  }
}

/** Until so long after `started`, with a word every second. */
async function idleUntil(started: number, idleS: number, maxS: number, tell: (text: string) => void): Promise<void> {
  for (;;) {
    const passedMs = performance.now() - started;
    const left = idleS * 1_000 - passedMs;
    if (left <= 0) return;
    tell(`mapping lifetime: idle for ${Math.round(passedMs / 1_000)} s (${maxS} s at most)`);
    await new Promise((done) => setTimeout(done, Math.min(left, 1_000)));
  }
}

async function alive(asker: UdpSocket, server: Endpoint, quiet: UdpSocket, port: number): Promise<boolean> {
  for (let i = 0; i < 3; i++) if (await quiet.hears(asker.throw(server, { responsePort: port }), 400)) return true;
  return false;
}
