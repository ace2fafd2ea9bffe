/** How findings are printed for people: what is wrong, and under it what to do. */
import type { Finding } from '../../agent/src/diagnosis/finding.ts';

const WORD = { error: 'FAULT', warning: 'WARNING' } as const;

/** Begins with an empty line when there is something to say. */
export function findingsText(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  return `\n${findings.map(({ severity, code, text, fix }) => `${WORD[severity]} ${code}: ${text}\n  to do: ${fix}\n`).join('')}`;
}
