/** What must not leave the machine is taken out of every file of a dump, and counted. Pure. */

export interface Secret {
  /** As the list of what was taken out calls it. */
  readonly name: string;
  readonly value: string;
}

export interface Redaction {
  readonly file: string;
  readonly what: string;
  readonly times: number;
}

/** Shorter ones would be found everywhere by chance; what stands in JSON under a secret's key is taken out all the same. */
const SHORTEST = 6;
const WORD = '(redacted)';

/** Whatever looks like a secret, wherever it stands. */
const PATTERNS: readonly (readonly [string, RegExp, string])[] = [
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, WORD],
  ['a join token', /\bevio\d+\.[-_A-Za-z0-9]{20,}/g, WORD],
  ['a bearer token', /\b(Bearer\s+)[-._~+/A-Za-z0-9]{16,}=*/g, `$1${WORD}`],
  [
    'a value called password, secret or token',
    /((?:password|passwd|secret|token|auth[-_]secret)["']?\s*[:=]\s*)(?:"(?!\(redacted\))[^"\n]+"|(?!["({]|\(redacted\))[^\s",;}]+)/gi,
    `$1"${WORD}"`,
  ],
];

export class Redactor {
  readonly #secrets: readonly Secret[];
  readonly #done = new Map<string, Redaction>();

  constructor(secrets: readonly Secret[]) {
    // The longest first: one may be part of another.
    this.#secrets = secrets
      .filter(({ value }) => value.length >= SHORTEST)
      .sort((a, b) => b.value.length - a.value.length);
  }

  /** Each redaction, by file. */
  get redactions(): readonly Redaction[] {
    return [...this.#done.values()];
  }

  text(file: string, text: string): string {
    let clean = text;
    for (const { name, value } of this.#secrets)
      for (const form of new Set([value, JSON.stringify(value).slice(1, -1)])) {
        const parts = clean.split(form);
        this.#count(file, name, parts.length - 1);
        clean = parts.join(WORD);
      }
    for (const [what, pattern, by] of PATTERNS) {
      this.#count(file, what, clean.match(pattern)?.length ?? 0);
      clean = clean.replace(pattern, by);
    }
    return clean;
  }

  #count(file: string, what: string, times: number): void {
    if (times === 0) return;
    const key = `${file}\0${what}`;
    this.#done.set(key, { file, what, times: times + (this.#done.get(key)?.times ?? 0) });
  }
}
