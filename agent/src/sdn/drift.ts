/**
 * What somebody else did to our flows and groups: remembered until they are put back, and said in one line; the same again at most
 * once a minute, however long it goes on.
 */
import type { Instant } from '../machine.ts';
import { Seldom } from '../seldom.ts';
import { type Edit, itemOf, type Known, keyOf, textOf } from './edit.ts';
import { type Flow, flowKey, sameFlow } from './flow.ts';
import { groupText } from './group.ts';
import type { Group } from './openflow/index.ts';

type Harm = 'deleted' | 'changed';

export class Drift {
  readonly #harmed = new Map<string, Harm>();
  readonly #said = new Seldom();

  harmed(item: Flow | Group, how: Harm): void {
    this.#harmed.set(keyOf(item), how);
  }

  /** What was read is not what we knew. */
  compare(before: Known, is: Known, foreign: readonly Flow[]): void {
    // Somebody's flow in the place of ours has replaced it.
    const replaced = new Set(foreign.map(flowKey));
    for (const [key, flow] of before.flows) {
      const now = is.flows.get(key);
      if (now === undefined) this.harmed(flow, replaced.has(key) ? 'changed' : 'deleted');
      else if (!sameFlow(now, flow)) this.harmed(flow, 'changed');
    }
    for (const [id, group] of before.groups) {
      const now = is.groups.get(id);
      if (now === undefined) this.harmed(group, 'deleted');
      else if (groupText(now) !== groupText(group)) this.harmed(group, 'changed');
    }
  }

  clear(): void {
    this.#harmed.clear();
  }

  /** These edits are about to be sent: the line to say, if one is due. */
  mended(edits: readonly Edit[], now: Instant): string | undefined {
    if (this.#harmed.size === 0) return undefined;
    const count = new Map<string, number>();
    let first: Edit | undefined;
    for (const edit of edits) {
      const deletes = edit.command === 'delete' || edit.command === 'delete-strict';
      const how = deletes ? undefined : this.#harmed.get(keyOf(itemOf(edit)));
      if (how === undefined) continue;
      const kind = `${how} ${'flow' in edit ? 'flow' : 'group'}`;
      count.set(kind, (count.get(kind) ?? 0) + 1);
      first ??= edit;
    }
    this.#harmed.clear();
    if (first === undefined) return undefined;
    const parts = (['deleted', 'changed'] as const).flatMap((how) =>
      (['flow', 'group'] as const).flatMap((what) => {
        const n = count.get(`${how} ${what}`);
        return n === undefined ? [] : [`${how} ${n} ${n === 1 ? what : `${what}s`}`];
      }),
    );
    return this.#said.line(`somebody ${parts.join(' and ')}; put back (the first: ${textOf(first)})`, now);
  }
}
