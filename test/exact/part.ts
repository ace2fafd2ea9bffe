/** What is tested, and where. */
import type { Pair, PairKind, Row } from './sites.ts';
import type { Stage } from './stage.ts';

interface Named {
  /** As `--only` takes it. */
  readonly name: string;
  /** Part of `make test` too. */
  readonly short?: boolean;
}

export interface PairPart extends Named {
  readonly site: PairKind;
  run(stage: Stage, pair: Pair): Promise<void>;
}

export interface RingPart extends Named {
  readonly site: 'ring';
  run(stage: Stage, row: Row): Promise<void>;
}

export type Part = PairPart | RingPart;
