/** Flows of others: left alone, and told of once, since somebody looking for a fault should know that there are some beside ours. */

import { type Flow, flowText } from './flow.ts';

export class Foreign {
  #told = '';

  /** The line to say, if these are not those last told of. */
  news(flows: readonly Flow[]): string | undefined {
    const told = flows.map(flowText).sort().join('\n');
    if (told === this.#told) return undefined;
    this.#told = told;
    const [first] = flows;
    if (first === undefined) return undefined;
    const count = flows.length === 1 ? '1 flow that is not ours stays' : `${flows.length} flows that are not ours stay`;
    return `${count} in the table (the first: ${flowText(first)})`;
  }
}
