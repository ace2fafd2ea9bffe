/** What comes at which instant, the earliest first; of equal instants what was planned first. */
import type { Instant } from '../../../agent/src/machine.ts';

interface Entry<T> {
  readonly at: Instant;
  readonly order: number;
  readonly value: T;
}

export class Heap<T> {
  readonly #entries: Entry<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#entries.length;
  }

  first(): Entry<T> | undefined {
    return this.#entries[0];
  }

  push(at: Instant, value: T): void {
    const entries = this.#entries;
    const entry = { at, order: this.#order++, value };
    let place = entries.push(entry) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = entries[above];
      if (parent === undefined || !before(entry, parent)) break;
      entries[place] = parent;
      place = above;
    }
    entries[place] = entry;
  }

  pop(): T | undefined {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    if (top === undefined || last === undefined || entries.length === 0) return top?.value;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      const [left, right] = [entries[child], entries[child + 1]];
      if (left === undefined) break;
      const least = right !== undefined && before(right, left) ? right : left;
      if (least === right) child++;
      if (!before(least, last)) break;
      entries[place] = least;
      place = child;
    }
    entries[place] = last;
    return top.value;
  }
}

const before = <T>(a: Entry<T>, b: Entry<T>): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
