/** The steps for people. Pure. */
import type { StepReport } from './judge.ts';

const PROBLEMS_MAX = 20;

export function stepText(step: StepReport): string {
  const { number, title, outcome, about, seconds, problems, notes } = step;
  const word = { passed: 'ok', failed: 'FAILED', skipped: 'skipped' }[outcome];
  const head = `${String(number).padStart(2)}  ${title.padEnd(28)}  ${word.padEnd(7)}  ${about.padEnd(16)}  ${seconds.toFixed(1).padStart(5)} s\n`;
  const more = problems.length - PROBLEMS_MAX;
  const shown = [...problems.slice(0, PROBLEMS_MAX), ...notes, ...(more > 0 ? [`and ${more} lines more`] : [])];
  return head + shown.map((line) => `      ${line}\n`).join('');
}

export function sumText(steps: readonly StepReport[]): string {
  const of = (outcome: StepReport['outcome']): number => steps.filter((step) => step.outcome === outcome).length;
  return `${of('passed')} passed, ${of('failed')} failed, ${of('skipped')} skipped\n`;
}
