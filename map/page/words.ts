/** What the map says of things, for people. */
import type { EdgeKind, MapEdge, MapNode, Nat } from '../src/model.ts';

export const NAT: Readonly<Record<Nat, string>> = {
  none: 'none',
  'endpoint-independent': 'endpoint-independent',
  'address-dependent': 'address-dependent (symmetric)',
  unknown: 'not known',
};
export const STATE = { ready: 'ready', 'not-ready': 'not ready', unknown: 'not told' } as const;
const KIND: Readonly<Record<EdgeKind, string>> = {
  successor: 'ring',
  'long-distance': 'long distance',
  'on-demand': 'on demand',
  static: 'static',
  other: 'on demand or mesh',
};

/** What an edge looks like: how it carries, or that it does not. */
export type Look = 'direct' | 'relayed' | 'via' | 'connecting' | 'down';
export const LOOKS: readonly Look[] = ['direct', 'relayed', 'via', 'connecting', 'down'];
export const LOOK: Readonly<Record<Look, string>> = {
  direct: 'Direct',
  relayed: 'Relayed',
  via: 'Via others',
  connecting: 'Connecting',
  down: 'Down',
};

/** A tunnel that is not up may have its frames carried by others: that is what matters then. */
export function lookOf({ state, path }: Pick<MapEdge, 'state' | 'path'>): Look {
  if (state === 'up') return path === 'relayed' ? 'relayed' : path === 'via' ? 'via' : 'direct';
  return path === 'via' ? 'via' : state;
}

export const kindsText = (kinds: readonly EdgeKind[]): string => kinds.map((kind) => KIND[kind]).join(', ');
export const rttText = (ms: number | null): string =>
  ms === null ? '–' : `${ms < 10 && !Number.isInteger(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
export const shareText = (share: number | null): string =>
  share === null ? '–' : `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function rateText(bps: number | null): string {
  if (bps === null) return '–';
  let [value, unit] = [bps, 0];
  while (value >= 1000 && unit < 3) [value, unit] = [value / 1000, unit + 1];
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'][unit]}`;
}

export function agoText(since: string | null, nowMs: number): string {
  if (since === null) return '–';
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(since)) / 1000));
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

export const clockText = (atMs: number): string => new Date(atMs).toLocaleTimeString([], { hour12: false });

/** One line that says all of a node. */
export function nodeText({ name, state, reason, nat, counts }: MapNode): string {
  const tunnels = counts === null ? '' : `, ${counts.up} tunnels, ${counts.relayed} relayed, ${counts.failed} down`;
  const why = state === 'ready' ? '' : ` (${reason})`;
  return `${name}, ${STATE[state]}${why}, NAT ${NAT[nat]}${tunnels}`;
}
