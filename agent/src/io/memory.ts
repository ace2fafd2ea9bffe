/**
 * What a node remembers over a restart, so that it finds its peers with the XMPP server away: certificates of members and the
 * addresses they were last reached at. Nothing in it is trusted: certificates are verified again, addresses are only probed.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject } from './json-lines.ts';
import { makeDirectory, removeEmpty, systemReason } from './system-error.ts';

export interface Remembered {
  /** base64. */
  readonly certificates: readonly string[];
  /** base64, or null. */
  readonly revocations: string | null;
  /** By node id: "address:port". */
  readonly addresses: Readonly<Record<string, readonly string[]>>;
}

const NOTHING: Remembered = { certificates: [], revocations: null, addresses: {} };
/** Changes come in bursts; a crash loses at most this much. */
const WRITE_DELAY_MS = 2_000;
/** The disk is full, or read-only for now. */
const RETRY_MS = 2_000;

export class Memory {
  readonly #file: string;
  readonly #report: (message: string) => void;
  readonly #dir: string;
  /** The first directory that had to be made. */
  readonly #made: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #snapshot: (() => Remembered) | undefined;
  #written = '';
  /** It was said that the file cannot be written. */
  #failing = false;

  constructor(stateDir: string, report: (message: string) => void) {
    this.#dir = stateDir;
    this.#file = join(stateDir, 'members.json');
    this.#report = report;
    try {
      this.#made = makeDirectory(stateDir, 0o700);
    } catch (error) {
      report(`cannot make ${stateDir}: ${systemReason(error)}; nothing is remembered over a restart`);
    }
  }

  read(): Remembered {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#report(`cannot read ${this.#file}: ${systemReason(error)}`);
      return NOTHING;
    }
    try {
      return remembered(JSON.parse(text));
    } catch {
      this.#report(`${this.#file} is damaged: starting without it`);
      return NOTHING;
    }
  }

  /** Writes what `snapshot` says then, a little later. */
  changed(snapshot: () => Remembered): void {
    this.#snapshot = snapshot;
    this.#timer ??= setTimeout(() => this.flush(), WRITE_DELAY_MS);
  }

  /** As if it had never been made: for a node that could not start. */
  abandon(): void {
    clearTimeout(this.#timer);
    if (this.#made !== undefined) removeEmpty(this.#dir, this.#made);
  }

  /** Writes now what is waiting to be written; again a little later when it cannot be. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    const text = `${JSON.stringify(snapshot())}\n`;
    try {
      if (text !== this.#written) this.#replace(text);
    } catch (error) {
      if (!this.#failing)
        this.#report(`cannot write ${this.#file}: ${systemReason(error)}; trying again until it works`);
      this.#failing = true;
      // A process that ends does not wait for it.
      this.#timer = setTimeout(() => this.flush(), RETRY_MS).unref();
      return;
    }
    this.#snapshot = undefined;
    if (this.#failing) this.#report(`${this.#file} is written again`);
    this.#failing = false;
  }

  /** Written beside and renamed: a crash leaves the old file or the new one, never half of one. */
  #replace(text: string): void {
    const beside = `${this.#file}.new`;
    try {
      writeFileSync(beside, text, { mode: 0o600 });
      renameSync(beside, this.#file);
    } catch (error) {
      rmSync(beside, { force: true, recursive: true });
      throw error;
    }
    this.#written = text;
  }
}

function remembered(value: unknown): Remembered {
  if (!isObject(value)) return NOTHING;
  const addresses = isObject(value.addresses) ? value.addresses : {};
  return {
    certificates: strings(value.certificates),
    revocations: typeof value.revocations === 'string' ? value.revocations : null,
    addresses: Object.fromEntries(Object.entries(addresses).map(([peer, list]) => [peer, strings(list)])),
  };
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
