/** The detours of docs/wire.md §10.2, as tincan takes them when the port a core flow names is down. */

import type { Label } from '../../agent/src/wire/ids.ts';

export interface LiveTunnel {
  readonly label: Label;
  readonly port: number;
  /** The labels the neighbour says it has live tunnels to. */
  readonly adjacent: readonly Label[];
}

const RING = 1n << 64n;

/** The first hop of a detour: nothing is known of the record yet. */
export function firstDetour(
  live: readonly LiveTunnel[],
  label: Label,
  cameBy: number | undefined,
  failed: number,
): number | undefined {
  const last = lastHop(live, label, cameBy);
  if (last !== undefined) return last;
  const others = live.filter((t) => t.port !== cameBy && t.port !== failed);
  return least(others, (t) => reach(t, label)) ?? live.find((t) => t.port === cameBy)?.port;
}

/** The next hop of a record that carries DETOUR. */
export function onward(
  own: Label,
  live: readonly LiveTunnel[],
  label: Label,
  cameBy: number | undefined,
): number | undefined {
  const last = lastHop(live, label, cameBy);
  if (last !== undefined) return last;
  const others = live.filter((t) => t.port !== cameBy);
  const nearer = others.filter((t) => distance(t.label, label) < distance(own, label));
  if (nearer.length > 0) return least(nearer, (t) => reach(t, label));
  const previous = live.find((t) => t.port === cameBy);
  if (previous === undefined) return undefined;
  const forward = clockwise(previous.label, own) < clockwise(previous.label, label);
  const left = (a: Label) => (forward ? clockwise(a, label) : clockwise(label, a));
  return least(
    others.filter((t) => left(t.label) < left(own)),
    (t) => left(t.label),
  );
}

function lastHop(live: readonly LiveTunnel[], label: Label, cameBy: number | undefined): number | undefined {
  const others = live.filter((t) => t.port !== cameBy);
  const own = others.find((t) => t.label === label);
  if (own !== undefined) return own.port;
  const beside = others.filter((t) => t.adjacent.includes(label));
  return least(beside, (t) => distance(t.label, label));
}

function least(tunnels: readonly LiveTunnel[], measure: (t: LiveTunnel) => bigint): number | undefined {
  let best: LiveTunnel | undefined;
  for (const tunnel of tunnels) if (best === undefined || measure(tunnel) < measure(best)) best = tunnel;
  return best?.port;
}

function clockwise(a: Label, b: Label): bigint {
  return (b - a + RING) % RING;
}

function distance(a: Label, b: Label): bigint {
  const cw = clockwise(a, b);
  return cw <= RING / 2n ? cw : RING - cw;
}

function reach(tunnel: LiveTunnel, label: Label): bigint {
  let nearest = distance(tunnel.label, label);
  for (const adjacent of tunnel.adjacent) {
    const d = distance(adjacent, label);
    if (d < nearest) nearest = d;
  }
  return nearest;
}
