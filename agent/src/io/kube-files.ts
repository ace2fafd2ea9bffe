/**
 * What a node of a cluster keeps on its disk, so that it starts without the cluster: its keys, the authority it knows, the node file, what
 * pods get, and where the API server answered. One directory, mode 0700, every file whole at any moment.
 */
import { join } from 'node:path';
import type { Stored } from '../kube/enroller.ts';
import type { Enrolled, OwnKeys } from '../kube/enrolment.ts';
import { StartError } from '../obstacle.ts';
import { generatePrivateKey, KEY_BYTES, rawPrivateKey } from '../wire/keys.ts';
import { readIfThere, writeAtomic } from './atomic-file.ts';
import { isObject } from './json-lines.ts';
import { makeDirectory, systemReason } from './system-error.ts';

export class KubeFiles {
  readonly #dir: string;

  /** Throws StartError. */
  constructor(dir: string) {
    this.#dir = dir;
    try {
      makeDirectory(dir, 0o700);
    } catch (error) {
      throw new StartError(`cannot make ${dir}: ${systemReason(error)}`);
    }
  }

  get nodeFile(): string {
    return join(this.#dir, 'node.json');
  }

  get pinFile(): string {
    return join(this.#dir, 'authority.pub');
  }

  /** Made once: with other keys it would be another node. Throws StartError. */
  keys(): OwnKeys {
    const path = join(this.#dir, 'keys.json');
    const text = this.#read(path);
    if (text === undefined) {
      const keys = { identity: raw('ed25519'), session: raw('x25519') };
      const content = { identity: keys.identity.toString('base64'), session: keys.session.toString('base64') };
      this.#write(path, `${JSON.stringify(content)}\n`);
      return keys;
    }
    const value = json(text);
    const key = (name: string): Buffer => Buffer.from(isObject(value) ? String(value[name] ?? '') : '', 'base64');
    const keys = { identity: key('identity'), session: key('session') };
    if (keys.identity.length !== KEY_BYTES || keys.session.length !== KEY_BYTES)
      throw new StartError(
        `${path} holds no keys: restore it; or remove it, and the node is enrolled anew, as another node of the same name`,
      );
    return keys;
  }

  /** The authority key in base64. */
  pinned(): string | undefined {
    return this.#read(this.pinFile)?.trim() || undefined;
  }

  /** Throws what the system says, like all that writes. */
  pin(authorityKey: string): void {
    writeAtomic(this.pinFile, `${authorityKey}\n`, 0o600);
  }

  stored(): Stored | undefined {
    const file = this.#read(this.nodeFile);
    const beside = json(this.#read(this.#podsFile) ?? '');
    if (file === undefined || !isObject(beside) || typeof beside.serial !== 'string') return undefined;
    // Written by us, in the same form.
    return { serial: beside.serial, file, pods: (beside.pods ?? undefined) as Stored['pods'] };
  }

  store({ serial, file, pods }: Enrolled): void {
    writeAtomic(this.nodeFile, file, 0o600);
    writeAtomic(this.#podsFile, `${JSON.stringify({ serial, pods: pods ?? null })}\n`, 0o600);
  }

  apiServers(): readonly string[] {
    const value = json(this.#read(this.#serversFile) ?? '');
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  }

  rememberApiServers(urls: readonly string[]): void {
    writeAtomic(this.#serversFile, `${JSON.stringify(urls)}\n`, 0o600);
  }

  get #podsFile(): string {
    return join(this.#dir, 'enrolment.json');
  }

  get #serversFile(): string {
    return join(this.#dir, 'api-servers.json');
  }

  #read(path: string): string | undefined {
    try {
      return readIfThere(path);
    } catch (error) {
      throw new StartError(`cannot read ${path}: ${systemReason(error)}`);
    }
  }

  #write(path: string, text: string): void {
    try {
      writeAtomic(path, text, 0o600);
    } catch (error) {
      throw new StartError(`cannot write ${path}: ${systemReason(error)}`);
    }
  }
}

const raw = (curve: 'ed25519' | 'x25519'): Buffer => Buffer.from(rawPrivateKey(generatePrivateKey(curve)));

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
