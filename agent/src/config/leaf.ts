/**
 * What each key of the node file says about itself. One description serves three readers: the check (zod), the error
 * message (`allowed`) and docs/configuration.md, so that none of them can lie about the others.
 */

import type { z } from 'zod';

export interface Leaf {
  /** What the key is for, one or two sentences. */
  readonly description: string;
  /** What may stand there, read after "allowed:". */
  readonly allowed: string;
  /** A secret's value is never printed. */
  readonly secret?: boolean;
  /** Shown in the documentation where the default is computed. */
  readonly default?: string;
}

/** Attaches a description to a schema; `leafOf` finds it again. */
export function leaf<T extends z.ZodType>(schema: T, about: Leaf): T {
  return schema.meta({ ...about });
}

function isLeaf(meta: Record<string, unknown> | undefined): boolean {
  return typeof meta?.allowed === 'string' && typeof meta.description === 'string';
}

/** The schema inside `.optional()`, `.default()` and the like. */
function inner(schema: z.ZodType): z.ZodType | undefined {
  const def = schema.def as { innerType?: z.ZodType };
  return def.innerType;
}

export function leafOf(schema: z.ZodType): Leaf | undefined {
  const meta = schema.meta() as Record<string, unknown> | undefined;
  if (isLeaf(meta)) return meta as unknown as Leaf;
  const next = inner(schema);
  return next === undefined ? undefined : leafOf(next);
}

/** The members of an object schema, or undefined when it is none. */
export function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> | undefined {
  const def = schema.def as { type: string; shape?: Record<string, z.ZodType> };
  if (def.type === 'object') return def.shape;
  const next = inner(schema);
  return next === undefined ? undefined : shapeOf(next);
}

/** The default written in the schema, if it has one. */
export function defaultOf(schema: z.ZodType): unknown {
  const def = schema.def as { type: string; defaultValue?: unknown };
  if (def.type === 'default' || def.type === 'prefault') return def.defaultValue;
  const next = inner(schema);
  return next === undefined ? undefined : defaultOf(next);
}

/** Whether a key may be left out. */
export function isOptional(schema: z.ZodType): boolean {
  return ['optional', 'default', 'prefault'].includes((schema.def as { type: string }).type);
}
