/** How a run of one fuzz target ended, by what libFuzzer wrote (its FuzzerLoop.cpp and FuzzerDriver.cpp). */

/** What was executed, and what is known of it. */
export interface Executed {
  /** Inputs, those of the corpus included. */
  readonly inputs: number;
  readonly seconds: number;
  /** Places of the code that were reached, and inputs that it takes to reach them; unknown where the run was too short to tell. */
  readonly places: number | undefined;
  readonly kept: number | undefined;
}

/** Undefined: it did not come to its end, by a finding or otherwise. */
export function readEnd(code: number, output: string): Executed | undefined {
  const done = /^Done (\d+) runs in (\d+) second/m.exec(output);
  if (code !== 0 || done === null) return undefined;
  const last = [...output.matchAll(/cov: (\d+) ft: \d+ corp: (\d+)/g)].at(-1);
  const count = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
  return { inputs: Number(done[1]), seconds: Number(done[2]), places: count(last?.[1]), kept: count(last?.[2]) };
}

/** Inputs a second; what took less than one counts as one second. */
export const rateOf = ({ inputs, seconds }: Executed): number => Math.round(inputs / Math.max(1, seconds));

/** Whether as many inputs were executed as there were to be; with none to be, any number will do. */
export const reached = (executed: Executed, goal: number | undefined): boolean =>
  goal === undefined || executed.inputs >= goal;

/** One line for a person: how far it came, how fast, and when it would have been there. */
export function describe(executed: Executed, goal: number | undefined): string {
  const { inputs, seconds, places, kept } = executed;
  const rate = rateOf(executed);
  const did = `${inputs}${goal === undefined ? '' : ` of ${goal}`} inputs in ${seconds} s, ${rate}/s`;
  const found = `${places ?? '?'} places reached by ${kept ?? '?'} inputs`;
  if (reached(executed, goal) || goal === undefined) return `${did}, ${found}`;
  const hours = (goal / Math.max(1, rate) / 3_600).toPrecision(2);
  return `FAILED: ${did}, ${found}: the time was over first, all of them take about ${hours} hours here`;
}
