/** What `evio preflight` prints for people. */
import { columns } from '../output.ts';
import type { PreflightReport, Verdict } from './check.ts';

const WORD: Readonly<Record<Verdict, string>> = { pass: 'pass', fail: 'FAIL', uncertain: 'uncertain' };

export function preflightText({ name, checks, passed, failed, uncertain }: PreflightReport): string {
  const rows = checks.flatMap(({ verdict, name: check, text, fix }) => [
    [WORD[verdict], check, text],
    ...(fix === null ? [] : [['', '', `to do: ${fix}`]]),
  ]);
  return `${name}\n${columns(rows)}${passed} passed, ${failed} failed, ${uncertain} uncertain\n`;
}
