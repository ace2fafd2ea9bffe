/** The EvioNodes as they were last heard of, with those made here that the watch has not told of yet. */
import type { EvioNode } from '../kinds.ts';
import type { Cache } from '../kube/cache.ts';

const BEHIND_MS = 30_000;

export class Members {
  readonly #cache: Pick<Cache<EvioNode>, 'get' | 'list'>;
  readonly #fresh = new Map<string, { readonly member: EvioNode; readonly at: number }>();

  constructor(cache: Pick<Cache<EvioNode>, 'get' | 'list'>) {
    this.#cache = cache;
  }

  /** By name. */
  all(): ReadonlyMap<string, EvioNode> {
    const all = new Map(this.#cache.list().map((member) => [member.metadata.name, member]));
    for (const [name, { member, at }] of this.#fresh) {
      if (all.has(name) || performance.now() - at > BEHIND_MS) this.#fresh.delete(name);
      else all.set(name, member);
    }
    return all;
  }

  made(member: EvioNode): void {
    this.#fresh.set(member.metadata.name, { member, at: performance.now() });
  }

  gone(name: string): void {
    this.#fresh.delete(name);
  }
}
