/** The world around traces that begin elsewhere (`../trace/elsewhere.ts`): those asked of other nodes, and those begun for them. */
import { randomBytes } from 'node:crypto';
import {
  type Answer,
  Asking,
  type AskingAction,
  type AskingEvent,
  Hosting,
  type Said,
  tellingOf,
} from '../trace/elsewhere.ts';
import type { Outcome } from '../trace/machine.ts';
import type { Body, BodyOf } from '../wire/bodies.ts';
import type { NodeId } from '../wire/ids.ts';
import { ApiError } from './api-server.ts';
import { drive } from './drive.ts';

export interface ElsewhereParts {
  send(to: NodeId, body: Body): void;
  /** Sends the frames from this node; throws ApiError. */
  run(from: string, to: string, frames: number): Promise<{ readonly outcome: Outcome; readonly bytes: number }>;
  ovs(): boolean;
}

export class TracesElsewhere {
  readonly #parts: ElsewhereParts;
  readonly #hosting = new Hosting();
  readonly #asked = new Map<string, { readonly of: NodeId; give(event: AskingEvent): void }>();

  constructor(parts: ElsewhereParts) {
    this.#parts = parts;
  }

  /** Has the agent of `of` begin a trace. */
  ask(
    of: NodeId,
    ends: { readonly from: string; readonly to: string; readonly frames: number },
  ): Promise<Answer & { readonly trace: string }> {
    const trace = randomBytes(8).toString('hex');
    return drive<AskingEvent, AskingAction, Answer & { readonly trace: string }>(
      new Asking(),
      (action, done) => {
        if (action.kind === 'ask') this.#parts.send(of, { type: 'trace-begin', trace, ...ends });
        else done({ ...action.answer, trace });
      },
      {
        start: (give) => this.#asked.set(trace, { of, give }),
        end: () => this.#asked.delete(trace),
      },
    );
  }

  /** Of another node than the one that was asked nothing is taken. */
  said(from: NodeId, body: Said): void {
    const asked = this.#asked.get(body.trace);
    if (asked?.of === from) asked.give({ kind: 'said', body });
  }

  /** For another member: it is told what came of it, and nothing of this node's flows. */
  async host(from: NodeId, { trace, ...ends }: BodyOf<'trace-begin'>): Promise<void> {
    const tell = (telling: readonly Body[]): void => {
      for (const body of telling) this.#parts.send(from, body);
    };
    const asked = this.#hosting.asked(from, trace, performance.now());
    if (asked !== 'begin') return tell(asked);
    tell([{ type: 'trace-begun', trace }]);
    const telling = await this.#hosted(trace, ends);
    this.#hosting.over(trace, telling, performance.now());
    tell(telling);
  }

  async #hosted(trace: string, { from, to, frames }: Omit<BodyOf<'trace-begin'>, 'trace'>): Promise<readonly Body[]> {
    try {
      const { outcome, bytes } = await this.#parts.run(from, to, frames);
      return tellingOf(trace, outcome, { bytes, ovs: this.#parts.ovs() });
    } catch (error) {
      const code = error instanceof ApiError ? error.code : undefined;
      const reason = code === 'not-found' ? 'unknown' : code === 'busy' ? 'busy' : 'away';
      return [{ type: 'trace-refused', trace, reason }];
    }
  }
}
