/** A pod's own credentials for the API server: files that the kubelet writes, and exchanges before they expire (bound tokens, KEP-1205). */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemReason } from './system-error.ts';

/** What cannot be read; the message is one line and has no secret in it. */
export class ServiceAccountError extends Error {}

export class ServiceAccount {
  readonly #token: WatchedFile;
  readonly #ca: WatchedFile;

  /** The directory holds `token` and `ca.crt`. */
  constructor(directory: string) {
    this.#token = new WatchedFile(join(directory, 'token'));
    this.#ca = new WatchedFile(join(directory, 'ca.crt'));
  }

  /** What a request to the API server needs of them, as they are now. Throws ServiceAccountError. */
  credentials(): { readonly ca: string; readonly headers: { readonly authorization: string } } {
    return { ca: this.#ca.text(), headers: { authorization: `Bearer ${this.#token.text()}` } };
  }
}

class WatchedFile {
  readonly #path: string;
  #stamp = '';
  #text = '';

  constructor(path: string) {
    this.#path = path;
  }

  text(): string {
    try {
      // The kubelet exchanges a link, so the inode changes even within one tick of the clock.
      const { mtimeMs, ino, size } = statSync(this.#path);
      const stamp = `${mtimeMs} ${ino} ${size}`;
      if (stamp !== this.#stamp) {
        this.#text = readFileSync(this.#path, 'utf8').trim();
        this.#stamp = stamp;
      }
    } catch (error) {
      throw new ServiceAccountError(
        `cannot read ${this.#path}: ${systemReason(error)}; the pod needs its service account's token (automountServiceAccountToken)`,
      );
    }
    if (this.#text === '') throw new ServiceAccountError(`${this.#path} is empty`);
    return this.#text;
  }
}
