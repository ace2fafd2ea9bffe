/** What `evio preflight` finds: one thing looked at, with its verdict. */

/** `uncertain`: it may be well, and cannot be told from here; or it matters for some uses only. The text says which. */
export type Verdict = 'pass' | 'fail' | 'uncertain';

export interface Check {
  /** A word that stays the same over versions. */
  readonly name: string;
  readonly verdict: Verdict;
  /** One sentence: what was seen, with which file, port or host. */
  readonly text: string;
  /** What a person does about it; null when it passed. */
  readonly fix: string | null;
}

export interface PreflightReport {
  /** `machine`: this one. `cluster`: the one of the kubeconfig. */
  readonly of: 'machine' | 'cluster';
  readonly name: string;
  readonly checks: readonly Check[];
  readonly passed: number;
  readonly failed: number;
  readonly uncertain: number;
  /** Nothing failed. */
  readonly ok: boolean;
}

export const pass = (name: string, text: string): Check => ({ name, verdict: 'pass', text, fix: null });
export const fail = (name: string, text: string, fix: string): Check => ({ name, verdict: 'fail', text, fix });
export const uncertain = (name: string, text: string, fix: string): Check => ({
  name,
  verdict: 'uncertain',
  text,
  fix,
});

export function reportOf(of: PreflightReport['of'], name: string, checks: readonly Check[]): PreflightReport {
  const count = (verdict: Verdict): number => checks.filter((one) => one.verdict === verdict).length;
  const failed = count('fail');
  return { of, name, checks, passed: count('pass'), failed, uncertain: count('uncertain'), ok: failed === 0 };
}
