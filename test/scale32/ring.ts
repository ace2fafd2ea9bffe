/** What the ring has to be, from the ids alone, and what it is, by what agents say of their tunnels. Pure. */
import type { EdgeKind, Peer } from '../../agent/src/api.ts';

export type Pictures = ReadonlyMap<string, readonly Peer[]>;

/** The id that follows each; ids are hexadecimal and of one length, so their order is the ring's. */
export function followers(ids: readonly string[]): ReadonlyMap<string, string> {
  const sorted = [...ids].sort();
  return new Map(sorted.map((id, i) => [id, sorted[(i + 1) % sorted.length] ?? id]));
}

export const hasTunnel = ({ path }: Peer): boolean => path === 'direct' || path === 'webrtc';

/** Ids without a tunnel to the one that follows, or that is not known from the other end. */
export function gaps(ids: readonly string[], pictures: Pictures): readonly string[] {
  const leads = (from: string, to: string) =>
    pictures.get(from)?.some((peer) => peer.id === to && hasTunnel(peer)) === true;
  return [...followers(ids)].filter(([id, next]) => !leads(id, next) || !leads(next, id)).map(([id]) => id);
}

/** The peers with an edge of that kind, in order. */
export const withKind = (kinds: Iterable<readonly [string, readonly EdgeKind[]]>, kind: EdgeKind): readonly string[] =>
  [...kinds]
    .filter(([, of]) => of.includes(kind))
    .map(([id]) => id)
    .sort();
