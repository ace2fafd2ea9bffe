/** Server-side apply that asks nothing of the API server while an object is as it was left. */

import type { Client } from '../../../agent/src/kube-api/client.ts';
import { type Applied, type Kind, type KubeObject, keyOf, resourceOf } from '../../../agent/src/kube-api/object.ts';
import { sha256 } from '../../../agent/src/wire/keys.ts';

interface Left {
  readonly hash: string;
  readonly uid: string;
  readonly version: string;
}

export class Applier {
  readonly #client: Client;
  readonly #left = new Map<string, Left>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** `present`: as it was last heard of. Whoever changed it since we wrote it is overruled. */
  async apply<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>, present: T | undefined): Promise<void> {
    const key = `${resourceOf(kind)} ${keyOf(wanted)}`;
    const hash = sha256(Buffer.from(JSON.stringify(wanted))).toString('hex');
    const left = this.#left.get(key);
    const asLeft = present !== undefined && left?.uid === present.metadata.uid && left.version === versionOf(present);
    if (asLeft && left?.hash === hash && present?.metadata.deletionTimestamp === undefined) return;
    const now = await this.#client.apply(kind, wanted);
    this.#left.set(key, { hash, uid: now.metadata.uid, version: versionOf(now) });
  }
}

/** The generation counts changes of the spec alone; kinds without a spec have none. */
const versionOf = ({ metadata }: KubeObject): string => String(metadata.generation ?? metadata.resourceVersion);
