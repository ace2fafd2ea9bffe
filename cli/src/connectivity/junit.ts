/** The steps as JUnit's XML, as CI systems read it. Pure. */
import type { StepReport } from './judge.ts';

/** `began`: ISO 8601. */
export function junit(steps: readonly StepReport[], began: string): string {
  const of = (outcome: StepReport['outcome']): number => steps.filter((step) => step.outcome === outcome).length;
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0);
  const counts = `tests="${steps.length}" failures="${of('failed')}" errors="0" skipped="${of('skipped')}" time="${seconds.toFixed(3)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="evio connectivity test" ${counts}>`,
    `  <testsuite name="evio connectivity test" timestamp="${attribute(began)}" ${counts}>`,
    ...steps.flatMap(testcase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testcase(step: StepReport): readonly string[] {
  const { number, title, outcome, about, seconds, problems, notes } = step;
  const open = `    <testcase classname="evio.connectivity" name="${attribute(`${number} ${title}`)}" time="${seconds.toFixed(3)}"`;
  if (outcome === 'passed' && notes.length === 0) return [`${open}/>`];
  const inside =
    outcome === 'passed'
      ? `<system-out>${text(notes.join('\n'))}</system-out>`
      : outcome === 'skipped'
        ? `<skipped message="${attribute(about)}"/>`
        : `<failure message="${attribute(problems[0] ?? about)}">${text(problems.join('\n'))}</failure>`;
  return [`${open}>`, `      ${inside}`, '    </testcase>'];
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
/** XML 1.0 has no way to say most control characters. */
const text = (words: string): string =>
  words
    .replace(/[\p{Cc}\ufffe\uffff]/gu, (c) => ('\t\n\r'.includes(c) ? c : '?'))
    .replace(/[&<>"]/g, (c) => ENTITIES[c] ?? c);
const attribute = (words: string): string => text(words).replace(/\n/g, '&#10;');
