/** What parts work with: transfers that are judged, and how large they are. */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { Place } from '../bench/place.ts';
import type { Report } from '../demo/report.ts';
import { dropsIn, grown } from './drops.ts';
import { judgeDatagrams, judgeLost, judgeStream } from './judge.ts';
import { type DatagramOptions, type StreamOptions, sendDatagrams, sendStream } from './transfer.ts';

/** Where transfers begin and end. */
export interface Host {
  readonly ns: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** A stable path has nothing to say for longer only when the machine gives nobody a turn. */
const PAUSE_MS = 3_000;

/** Of rows that say nothing else: a queue of a thousand fragments holds a quarter of a second of it. */
const DATAGRAMS_MBPS = 50;

/** Whose loss is whose: a busy relay loses some, whatever the ends do. */
export type Line = 'any' | 'relayed';

export interface StreamOn extends StreamOptions {
  /** The longest pause that is no stall. */
  readonly pauseMs?: number;
}

export interface DatagramsOn extends DatagramOptions {
  readonly line?: Line;
  /** Datagrams and fragments of datagrams may overtake each other. */
  readonly anyOrder?: boolean;
}

export class Stage {
  readonly report: Report;
  /** Less of everything: part of `make test`. */
  readonly short: boolean;
  readonly place: Place;
  /** Namespaces whose full queues may lose datagrams. */
  watched: readonly string[] = [];
  /** Bytes that have arrived, by what was told of them. */
  carried = 0;

  constructor(report: Report, short: boolean, place: Place) {
    this.report = report;
    this.short = short;
    this.place = place;
  }

  /** A share of all that is transferred: of 1 GB, in the long form of 10. */
  bytes(share: number): number {
    return Math.round(share * (this.short ? 1e9 : 10e9));
  }

  /** So many datagrams; ten times as many in the long form. */
  count(short: number): number {
    return this.short ? short : short * 10;
  }

  /** A file of this run that no other has. */
  file(name: string): string {
    return join(this.place.dir, `${randomUUID().slice(0, 8)}-${name}`);
  }

  /** One TCP transfer, and one check: it arrives byte for byte, without a stall. */
  async stream(name: string, from: Host, address: string, options: StreamOn): Promise<void> {
    const { pauseMs = PAUSE_MS, ...rest } = options;
    await this.#judged(name, 'byte for byte, without a stall', async () => {
      const found = await sendStream(from.ns, address, rest);
      this.carried += found.arrived.bytes;
      return judgeStream(found, pauseMs);
    });
  }

  /**
   * One row of datagrams, and two checks: what arrives is in order, once and as it was sent, and nothing is lost
   * that no full queue explains.
   */
  async datagrams(name: string, from: Host, address: string, options: DatagramsOn): Promise<void> {
    const { line = 'any', anyOrder = false, ...rest } = options;
    await this.#judged(name, anyOrder ? 'once and whole' : 'in order, once and whole', async () => {
      const before = await dropsIn(this.watched);
      const found = await sendDatagrams(from.ns, address, { mbps: DATAGRAMS_MBPS, ...rest });
      const drops = grown(before, await dropsIn(this.watched));
      this.carried += found.arrived.bytes;
      const lost = judgeLost(found, drops, line === 'relayed');
      this.report.holds(`${name}: lost`, lost.ok, lost.value, 'none but to full queues');
      return judgeDatagrams(found, anyOrder);
    });
  }

  async #judged(name: string, limit: string, run: () => Promise<{ ok: boolean; value: string }>): Promise<void> {
    const { ok, value } = await run().catch((error: unknown) => ({
      ok: false,
      value: error instanceof Error ? error.message : String(error),
    }));
    this.report.holds(name, ok, value, limit);
  }
}

/** Both families of a host. */
export const families = (host: Host): readonly (readonly ['IPv4' | 'IPv6', string])[] => [
  ['IPv4', host.ipv4],
  ['IPv6', host.ipv6],
];
