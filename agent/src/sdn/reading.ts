/**
 * One read of what the switch holds: the flows, and the groups where there may be some of ours. Nothing is changed meanwhile, or we
 * would not know whether the answer has the change.
 */

import type { Flow } from './flow.ts';
import { type Group, type Message, normal } from './openflow/index.ts';

export class Reading {
  readonly flows: Flow[] = [];
  readonly groups: Group[] = [];
  readonly #flowsXid: number;
  #groupsXid: number | undefined;
  #flowsDone = false;

  constructor(flowsXid: number, groupsXid: number | undefined) {
    this.#flowsXid = flowsXid;
    this.#groupsXid = groupsXid;
  }

  get done(): boolean {
    return this.#flowsDone && this.#groupsXid === undefined;
  }

  take({ xid, body, more }: Message & { type: 'multipart-reply' }): void {
    if (xid === this.#flowsXid && body.of === 'flows') {
      for (const { table, priority, cookie, flags, match, instructions } of body.flows) {
        this.flows.push({ table, priority, cookie, flags, match: normal(match), instructions });
      }
      this.#flowsDone = !more;
    }
    if (xid === this.#groupsXid && body.of === 'groups') {
      for (const group of body.groups) this.groups.push(group);
      if (!more) this.#groupsXid = undefined;
    }
  }

  /** The switch refused to answer: without the flows there is no read; a switch that knows no groups has none. */
  refused(xid: number): 'flows' | 'groups' | undefined {
    if (xid === this.#flowsXid) return 'flows';
    if (xid !== this.#groupsXid) return undefined;
    this.#groupsXid = undefined;
    return 'groups';
  }
}
