/**
 * What somebody else did to our flows: remembered until they are put back, and said in one line; the same again at most once a
 * minute, however long it goes on.
 */
import type { Instant } from '../machine.ts';
import { Seldom } from '../seldom.ts';
import { type Flow, type FlowEdit, flowKey, flowText } from './flow.ts';

export class Drift {
  readonly #harmed = new Map<string, 'deleted' | 'changed'>();
  readonly #said = new Seldom();

  harmed(flow: Flow, how: 'deleted' | 'changed'): void {
    this.#harmed.set(flowKey(flow), how);
  }

  clear(): void {
    this.#harmed.clear();
  }

  /** These edits are about to be sent: the line to say, if one is due. */
  mended(edits: readonly FlowEdit[], now: Instant): string | undefined {
    if (this.#harmed.size === 0) return undefined;
    const count = { deleted: 0, changed: 0 };
    let first: Flow | undefined;
    for (const { command, flow } of edits) {
      const how = command === 'add' ? this.#harmed.get(flowKey(flow)) : undefined;
      if (how === undefined) continue;
      count[how]++;
      first ??= flow;
    }
    this.#harmed.clear();
    if (first === undefined) return undefined;
    const parts = (['deleted', 'changed'] as const).flatMap((how) =>
      count[how] === 0 ? [] : [`${how} ${count[how]} ${count[how] === 1 ? 'flow' : 'flows'}`],
    );
    return this.#said.line(`somebody ${parts.join(' and ')}; put back (the first: ${flowText(first)})`, now);
  }
}
