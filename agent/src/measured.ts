/**
 * What tincan measured of its tunnels, for who is told seldom (a cluster): it tells of a tunnel by itself only when its path changes. Asked
 * now and then; what is moved between two answers is a rate.
 */
import type { Instant } from './machine.ts';
import type { TincanTunnel } from './tincan.ts';
import type { NodeId } from './wire/ids.ts';

export interface Measures {
  readonly rttMs: number | undefined;
  /** Share of probes lost, 0 to 1. */
  readonly loss: number | undefined;
  /** Bits of frames a second, both directions together, since the answer before. */
  readonly bps: number | undefined;
}

export class Measured {
  #tunnels: ReadonlyMap<NodeId, TincanTunnel> = new Map();
  #rates: ReadonlyMap<NodeId, number> = new Map();
  #at: Instant | undefined;

  take(tunnels: readonly TincanTunnel[], now: Instant): void {
    const passedMs = now - (this.#at ?? now);
    const rates = tunnels.flatMap(({ peer, txBytes, rxBytes }) => {
      const before = this.#tunnels.get(peer);
      const moved = txBytes + rxBytes - (before === undefined ? 0 : before.txBytes + before.rxBytes);
      // It counts from nothing where the tunnel was made anew.
      return before === undefined || passedMs <= 0 || moved < 0 ? [] : [[peer, (moved * 8_000) / passedMs] as const];
    });
    this.#rates = new Map(rates);
    this.#tunnels = new Map(tunnels.map((tunnel) => [tunnel.peer, tunnel]));
    this.#at = now;
  }

  /** Of the tunnel as it is now: what was measured on another path says nothing about this one. */
  of({ peer, path, remote, rttUs, lossPpm }: TincanTunnel): Measures {
    const measured = this.#tunnels.get(peer);
    const newer = measured?.path === path && measured.remote === remote ? measured : { rttUs, lossPpm };
    return {
      rttMs: newer.rttUs === null ? undefined : newer.rttUs / 1_000,
      loss: newer.lossPpm === null ? undefined : newer.lossPpm / 1e6,
      bps: this.#rates.get(peer),
    };
  }
}
