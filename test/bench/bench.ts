/** What a bench is, and how its rounds are run: every variant once, then every variant again, so that all meet the same machine. */
import { say } from '../demo/report.ts';
import type { Peer } from './peers.ts';
import type { Place, PlaceKind } from './place.ts';
import { type MeasureName, measureOf, type PeerFact, type RoundLoad, type Sample, shown } from './results.ts';
import { machineNow } from './usage.ts';

export interface Bench {
  /** As ONLY takes it. */
  readonly name: string;
  readonly title: string;
  /** How it measures, for the page of results. */
  readonly text: string;
  run(stage: Stage): Promise<void>;
}

/** Measures of one peer in one round. */
export type Measured = Partial<Readonly<Record<MeasureName, number>>>;

export interface Variant {
  readonly name: string;
  measure(round: number): Promise<Measured>;
}

/** What benches work with. */
export interface Stage {
  readonly rounds: number;
  /** How long a flow is measured. */
  readonly seconds: number;
  readonly record: Recorder;
  /** The place of that kind, with nothing in it but what benches before have put there; another one is closed. */
  place(kind: PlaceKind, nodes?: number): Promise<Place>;
  /** Peers of the open place, made and started when they are not there; those that cannot be had are noted, and left out. */
  peers(names: readonly string[]): Promise<readonly Peer[]>;
  /** Closes the place: its peers end. */
  close(): Promise<void>;
}

/** What one bench finds. */
export class Recorder {
  readonly samples: Sample[] = [];
  readonly loads: RoundLoad[] = [];
  readonly notes = new Set<string>();
  readonly failures = new Set<string>();
  readonly peers = new Map<string, PeerFact>();
  readonly #tell: (line: string) => void;

  constructor(tell: (line: string) => void = say) {
    this.#tell = tell;
  }

  /** Runs rounds of the variants; one that fails is noted, and does not keep the others from being measured. */
  async rounds(count: number, variants: readonly Variant[]): Promise<void> {
    for (let round = 1; round <= count; round++) {
      const before = machineNow();
      for (const variant of variants) {
        try {
          const found = await variant.measure(round);
          const entries = Object.entries(found) as [MeasureName, number][];
          for (const [measure, value] of entries) this.samples.push({ peer: variant.name, measure, round, value });
          const words = entries.map(([name, value]) => `${name} ${shown(value)} ${measureOf(name).unit}`).join(', ');
          this.#tell(`  round ${round}  ${variant.name.padEnd(16)} ${words}`);
        } catch (error) {
          this.fail(variant.name, error);
        }
      }
      const after = machineNow();
      const all = after.all - before.all;
      const ours = after.ours - before.ours + (after.kernelThreads - before.kernelThreads);
      this.loads.push({
        round,
        loadBefore: before.load,
        loadAfter: after.load,
        steal: (after.steal - before.steal) / all,
        others: Math.max(0, after.busy - before.busy - ours) / all,
      });
    }
  }

  fail(what: string, error: unknown): void {
    const line = `${what}: ${error instanceof Error ? error.message : String(error)}`.replaceAll('\n', ' ');
    if (!this.failures.has(line)) this.#tell(`  FAIL  ${line}`);
    this.failures.add(line);
  }
}
