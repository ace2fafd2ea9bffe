/** Simulated time: what is to happen, in order of its instant, and in order of its planning where instants are equal. */

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Clock {
  now = 0;
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Runs `run` in `delayMs`, or never if the returned function was called before. */
  after(delayMs: number, run: () => void): () => void {
    let cancelled = false;
    this.#push({ at: this.now + Math.max(0, delayMs), order: this.#order++, run: () => cancelled || run() });
    return () => {
      cancelled = true;
    };
  }

  /** Runs `run` every `periodMs` until the returned function is called. */
  every(periodMs: number, run: () => void): () => void {
    let cancel = () => {};
    const again = () => {
      cancel = this.after(periodMs, () => {
        again();
        run();
      });
    };
    again();
    return () => cancel();
  }

  /** Lets time pass until `until` holds (looked at after each thing that happens) or `limitMs` are over. */
  run(limitMs: number, until: () => boolean = () => false): boolean {
    const end = this.now + limitMs;
    if (until()) return true;
    for (let next = this.#heap[0]; next !== undefined && next.at <= end; next = this.#heap[0]) {
      this.#pop();
      this.now = next.at;
      next.run();
      if (until()) return true;
    }
    this.now = end;
    return false;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    heap.push(entry);
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!before(heap[i], heap[parent])) return;
      swap(heap, i, parent);
      i = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      const child = before(heap[right], heap[left]) ? right : left;
      if (!before(heap[child], heap[i])) return;
      swap(heap, i, child);
      i = child;
    }
  }
}

function before(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function swap(heap: Entry[], i: number, j: number): void {
  const [a, b] = [heap[i], heap[j]];
  if (a === undefined || b === undefined) return;
  heap[i] = b;
  heap[j] = a;
}
