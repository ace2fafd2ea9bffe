/** Whether this machine stood still: what was timed meanwhile proves nothing. */

const TICK_MS = 250;
/** A busy machine is late by less. */
const STILL_MS = 3_000;
/** A machine that goes on standing still is no place to measure. */
const TRIES = 3;

let count = 0;
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  if (now - last > STILL_MS) count++;
  last = now;
}, TICK_MS).unref();

/** What `work` gives; anew when it is not `right` and the machine stood still in between. */
export async function awake<T>(work: () => Promise<T>, right: (result: T) => boolean): Promise<T> {
  for (let left = TRIES; ; left--) {
    const before = count;
    const result = await work();
    if (right(result)) return result;
    // The tick that tells of it may be due right now.
    await new Promise((done) => setTimeout(done, TICK_MS));
    if (count === before || left === 1) return result;
  }
}
