/**
 * The keys of a machine that joins, beside the node file until that is there (`node.json.join`, mode 0600): asked again by the same keys,
 * the authority answers the same and counts no second use.
 */
import type { KeyObject } from 'node:crypto';
import { rmSync } from 'node:fs';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { readIfThere, writeBeside } from '../../../agent/src/io/atomic-file.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { generatePrivateKey, privateKey, rawPrivateKey } from '../../../agent/src/wire/keys.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { Failure, UsageError } from '../failure.ts';

const draftFile = z.strictObject({
  apiVersion: z.literal('evio-join/1'),
  token: z.string(),
  name: z.string(),
  key: z.string(),
  sessionKey: z.string(),
});

export interface Keys {
  readonly identity: KeyObject;
  readonly session: KeyObject;
}

/** The authority refuses these keys, and will refuse them again. */
export class RefusedError extends Failure {}

export class Draft {
  readonly #path: string;
  /** It may be that the authority has counted this machine by these keys. */
  #counted = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** For the same token and name the same keys. Throws Failure when they cannot be kept. */
  keysFor(token: string, name: string): Keys {
    const before = this.#read();
    if (before?.token === token && before.name === name) {
      try {
        const keys = {
          identity: privateKey('ed25519', Buffer.from(before.key, 'base64')),
          session: privateKey('x25519', Buffer.from(before.sessionKey, 'base64')),
        };
        this.#counted = true;
        return keys;
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
      }
    }
    const keys = { identity: generatePrivateKey('ed25519'), session: generatePrivateKey('x25519') };
    const draft: z.infer<typeof draftFile> = {
      apiVersion: 'evio-join/1',
      token,
      name,
      key: rawPrivateKey(keys.identity).toString('base64'),
      sessionKey: rawPrivateKey(keys.session).toString('base64'),
    };
    try {
      writeBeside(this.#path, `${JSON.stringify(draft)}\n`, 0o600);
    } catch (error) {
      throw new Failure(`cannot write ${this.#path}: ${systemReason(error)}`);
    }
    return keys;
  }

  /** The request may have arrived. */
  heard(): void {
    this.#counted = true;
  }

  /**
   * The keys stay unless the authority has refused them, or has never heard of them. That the server is away, or does not take the
   * token's account, tells nothing of what the authority has written down.
   */
  failed(error: unknown): void {
    const refused = error instanceof RefusedError || error instanceof UsageError;
    if (refused || !this.#counted) rmSync(this.#path, { force: true });
  }

  #read(): z.infer<typeof draftFile> | undefined {
    try {
      return draftFile.parse(JSON.parse(readIfThere(this.#path) ?? 'null'));
    } catch {
      return undefined;
    }
  }
}
