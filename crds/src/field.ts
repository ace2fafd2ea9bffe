/**
 * How the schemas of the API are written: zod for the types and defaults, with what only Kubernetes knows (CEL rules, list
 * types) carried in zod's metadata. `generate.ts` makes the CustomResourceDefinitions of it.
 */
import type { z } from 'zod';

/** One entry of `x-kubernetes-validations`. */
export interface Rule {
  /** A CEL expression that is true when all is well. `self` is the value, `oldSelf` what stood there before an update. */
  readonly rule: string;
  /** What is wrong and what to do, in one sentence. */
  readonly message: string;
  /** The field to blame where the rule stands above it, like ".podCIDRs". */
  readonly fieldPath?: string;
}

export interface About {
  readonly description: string;
  readonly rules?: readonly Rule[];
  /** For lists; without it `atomic`: whoever writes the list writes the whole list. */
  readonly listKeys?: readonly string[];
  /** For maps. */
  readonly maxProperties?: number;
  /** What OpenAPI calls `format`. */
  readonly format?: string;
  /** For the documentation, where the default depends on other fields. */
  readonly absent?: string;
}

/** Where `absent` is kept: not part of the API, the generator takes it out. */
export const ABSENT = 'x-evio-absent';

/** Attaches to a schema what the API says about it. */
export function field<T extends z.ZodType>(schema: T, about: About): T {
  return schema.meta({
    description: about.description,
    ...(about.rules === undefined ? {} : { 'x-kubernetes-validations': about.rules }),
    ...(about.listKeys === undefined
      ? {}
      : { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': about.listKeys }),
    ...(about.maxProperties === undefined ? {} : { maxProperties: about.maxProperties }),
    ...(about.format === undefined ? {} : { format: about.format }),
    ...(about.absent === undefined ? {} : { [ABSENT]: about.absent }),
  });
}
