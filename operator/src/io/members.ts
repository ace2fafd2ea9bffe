/** The EvioNodes as they were last heard of, or as they were left here where the watch has not told of that yet. */

import type { Cache } from '../../../agent/src/kube-api/cache.ts';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';

const BEHIND_MS = 30_000;

interface Left {
  readonly member: EvioNode;
  /** Versions that are older. */
  readonly older: ReadonlySet<string>;
  readonly at: number;
}

export class Members {
  readonly #cache: Pick<Cache<EvioNode>, 'get' | 'list'>;
  readonly #left = new Map<string, Left>();

  constructor(cache: Pick<Cache<EvioNode>, 'get' | 'list'>) {
    this.#cache = cache;
  }

  /** By name. */
  all(): ReadonlyMap<string, EvioNode> {
    const all = new Map(this.#cache.list().map((member) => [member.metadata.name, member]));
    for (const [name, { member, older, at }] of this.#left) {
      const heard = all.get(name);
      const behind = heard === undefined ? older.size === 0 : older.has(heard.metadata.resourceVersion);
      if (!behind || performance.now() - at > BEHIND_MS) this.#left.delete(name);
      else all.set(name, member);
    }
    return all;
  }

  /** What a write has made of one. */
  leave(member: EvioNode): void {
    const { name, resourceVersion } = member.metadata;
    const before = this.#left.get(name);
    const versions = [before?.member.metadata.resourceVersion, this.#cache.get(name)?.metadata.resourceVersion];
    const older = [...(before?.older ?? []), ...versions].filter(
      (version): version is string => version !== undefined && version !== resourceVersion,
    );
    this.#left.set(name, { member, older: new Set(older), at: performance.now() });
  }

  gone(name: string): void {
    this.#left.delete(name);
  }
}
