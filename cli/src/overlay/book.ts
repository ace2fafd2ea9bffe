/**
 * The directory of an overlay, on the administrator's machine:
 *
 *     authority.key   the Ed25519 seed that signs everything; whoever has it owns the overlay
 *     overlay.json    the address book: signed parameters, and what each node was given
 *     revocations     the signed revocation list in base64, once there is one
 *     tokens.json     join tokens by their hashes, once there is one (agent/src/join/tokens.ts)
 */

import type { KeyObject } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { exposedError, FileError, readConfigFile } from '../../../agent/src/config/files.ts';
import { readIfThere, writeAtomic } from '../../../agent/src/io/atomic-file.ts';
import { removeEmpty, systemReason } from '../../../agent/src/io/system-error.ts';
import { NO_TOKENS, type TokenBook, tokenBook } from '../../../agent/src/join/tokens.ts';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { parseCertificate } from '../../../agent/src/wire/certificate.ts';
import { generatePrivateKey, privateKey, rawPrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { type Parameters, verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64, passes } from '../../../agent/src/wire/reader.ts';
import { type Revocations, verifyRevocations } from '../../../agent/src/wire/revocations.ts';
import { Failure } from '../failure.ts';
import { newDirectory, putFile, readJson } from '../server/layout.ts';

const prefix = z.string().refine(passes((text) => parsePrefix(text)));

const nodeEntry = z.strictObject({
  id: z.string(),
  username: z.string(),
  /** With prefix lengths. */
  addresses: z.array(prefix),
  routes: z.array(prefix),
  serial: z.int().min(1),
  /** The certificate of that serial, in base64: who asks with an older one gets it again. Books from before have none. */
  certificate: z
    .string()
    .refine(passes((text) => parseCertificate(fromBase64(text))))
    .optional(),
  /** Seconds since 1970. */
  notAfter: z.int(),
  /** `pending`: allotted, but its file was never finished. A revoked node's addresses are free again. */
  state: z.enum(['pending', 'enrolled', 'revoked']),
});
export type NodeEntry = z.infer<typeof nodeEntry>;

const book = z.strictObject({
  apiVersion: z.literal('evio-overlay/1'),
  name: z.string(),
  /** Path of the server's admin.json. */
  server: z.string(),
  room: z.string(),
  /** Signed, in base64. */
  parameters: z.string(),
  /** Certificate serials never come twice, not even for a certificate that was never handed out. */
  nextSerial: z.int().min(1),
  nodes: z.record(z.string(), nodeEntry),
});
export type Book = z.infer<typeof book>;

const KEY_FILE = 'authority.key';

/** Nodes are named by people, and a name may be one that every object knows: `constructor`. */
export function nodeOf({ nodes }: Book, name: string): NodeEntry | undefined {
  return Object.hasOwn(nodes, name) ? nodes[name] : undefined;
}

/** Of a book that was read: `readBook` has looked at them. */
export const parametersOf = ({ parameters }: Book): Parameters => verifyParameters(fromBase64(parameters));

const LOCK_POLL_MS = 50;

/**
 * Undefined: it is ours now. Else the process that has it. The file comes into being with its text in it, so that nobody takes one
 * that is just being written for one that was left.
 */
function takeLock(lock: string): number | undefined {
  const draft = `${lock}.${process.pid}`;
  try {
    writeFileSync(draft, String(process.pid), { mode: 0o600 });
    for (;;) {
      try {
        linkSync(draft, lock);
        return undefined;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const owner = Number(readIfThere(lock) ?? Number.NaN);
      if (owner > 0 && existsSync(`/proc/${owner}`)) return owner;
      // What a process left that was killed. NaN: it went meanwhile.
      if (!Number.isNaN(owner)) rmSync(lock, { force: true });
    }
  } catch (error) {
    throw new Failure(`cannot write ${lock}: ${systemReason(error)}`);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** On the disk before anything follows from it. */
function writeKept(path: string, text: string): void {
  try {
    writeAtomic(path, text, 0o600);
  } catch (error) {
    throw new Failure(`cannot write ${path}: ${systemReason(error)}`);
  }
}

export class OverlayDirectory {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = resolve(dir);
  }

  get bookPath(): string {
    return join(this.dir, 'overlay.json');
  }

  get revocationsPath(): string {
    return join(this.dir, 'revocations');
  }

  exists(): boolean {
    return existsSync(this.bookPath);
  }

  readBook(): Book {
    const found = readJson(this.bookPath, book, 'restore it from a backup');
    if (found === undefined)
      throw new Failure(`there is no overlay in ${this.dir}; make one with: evio overlay create NAME`);
    try {
      parametersOf(found);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new Failure(`cannot use ${this.bookPath}: parameters: ${error.message}; restore it from a backup`);
    }
    return found;
  }

  writeBook(next: Book): void {
    writeKept(this.bookPath, `${JSON.stringify(next, null, 2)}\n`);
  }

  /** The signed list, or undefined while nobody was revoked. */
  readRevocations(): string | undefined {
    return this.revocations()?.bytes.toString('base64');
  }

  /** The same list, taken apart. */
  revocations(): Revocations | undefined {
    const path = this.revocationsPath;
    if (!existsSync(path)) return undefined;
    try {
      const text = readFileSync(path, 'utf8').trim();
      return verifyRevocations(fromBase64(text), parametersOf(this.readBook()).authorityKey);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const why = error instanceof DecodeError ? error.message : systemReason(error);
      throw new Failure(`cannot use ${path}: ${why}; restore it from a backup`);
    }
  }

  writeRevocations(list: string): void {
    putFile(this.revocationsPath, `${list}\n`, 0o644);
  }

  /** The authority's key; `make` makes the directory and a new one. True when one was there before. */
  makeAuthority(): { readonly key: KeyObject; readonly found: boolean } {
    if (existsSync(join(this.dir, KEY_FILE))) return { key: this.authority(), found: true };
    const key = generatePrivateKey('ed25519');
    putFile(join(this.dir, KEY_FILE), `${rawPrivateKey(key).toString('base64')}\n`, 0o600);
    return { key, found: false };
  }

  /** For a create that cannot be finished. */
  removeAuthority(): void {
    rmSync(join(this.dir, KEY_FILE), { force: true });
  }

  authority(): KeyObject {
    const path = join(this.dir, KEY_FILE);
    try {
      const { text, exposed } = readConfigFile(path);
      if (exposed !== undefined) throw exposedError(path, exposed);
      const key = privateKey('ed25519', fromBase64(text.trim()));
      // What another key signs, every node refuses.
      if (this.exists() && !rawPublicKey(key).equals(parametersOf(this.readBook()).authorityKey))
        throw new Failure(`${path} is the key of another overlay; restore it from a backup`);
      return key;
    } catch (error) {
      if (error instanceof FileError) throw new Failure(error.message);
      if (error instanceof DecodeError) throw new Failure(`${path} holds no authority key; restore it from a backup`);
      throw error;
    }
  }

  get tokensPath(): string {
    return join(this.dir, 'tokens.json');
  }

  /** Join tokens, of which only hashes are kept, and the accounts that they leave. */
  readTokens(): TokenBook {
    return readJson(this.tokensPath, tokenBook, 'remove it: tokens that were made are void then') ?? NO_TOKENS;
  }

  writeTokens(next: TokenBook): void {
    writeKept(this.tokensPath, `${JSON.stringify(next, null, 2)}\n`);
  }

  /** For the one process that answers for this overlay; gives what ends that. */
  claimService(): () => void {
    const lock = join(this.dir, '.serving');
    const owner = takeLock(lock);
    if (owner !== undefined)
      throw new Failure(`evio authority serve runs already for ${this.dir} (pid ${owner}); end that one first`);
    return () => rmSync(lock, { force: true });
  }

  /**
   * Runs `work` while no other command changes this overlay: two enrolments at once would allot one address. `waitMs`: how long another
   * one may take.
   */
  async locked<T>(work: () => Promise<T>, waitMs = 0): Promise<T> {
    const made = newDirectory(this.dir, 0o700);
    const lock = join(this.dir, '.lock');
    const until = performance.now() + waitMs;
    for (let owner = takeLock(lock); owner !== undefined; owner = takeLock(lock)) {
      if (performance.now() >= until)
        throw new Failure(`another command changes ${this.dir} now (pid ${owner}); try again when it has ended`);
      await sleep(LOCK_POLL_MS);
    }
    try {
      return await work();
    } finally {
      rmSync(lock, { force: true });
      // A directory made for something that failed is not left behind; one that holds anything stays.
      if (made !== undefined) removeEmpty(this.dir, made);
    }
  }
}
