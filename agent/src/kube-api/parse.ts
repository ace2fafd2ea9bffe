/** What the API server sends for a list and for a watch, read from text. Throws a `DecodeError` and nothing else. */
import { DecodeError } from '../wire/reader.ts';
import { apiVersionOf, type Kind, type KubeObject } from './object.ts';

/** One page of a list (`metadata.continue` says whether there are more). */
export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continue?: string;
}

/** metav1.Status, as far as it matters here. */
export interface Status {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number;
}

export type Line<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly status: Status };

export interface Reading<T extends KubeObject> {
  readonly kind: Kind<T>;
  readonly keep?: ((object: T) => T) | undefined;
}

export function readPage<T extends KubeObject>(text: string, reading: Reading<T>): Page<T> {
  const list = objectOf(json(text), 'a list');
  const metadata = objectOf(list.metadata, 'metadata');
  // An empty list of a Go server may be null.
  const items = list.items ?? [];
  if (!Array.isArray(items)) throw new DecodeError('items is no list');
  const next = metadata.continue;
  return {
    items: items.map((item) => readObject(item, reading)),
    resourceVersion: textOf(metadata.resourceVersion, 'metadata.resourceVersion'),
    ...(typeof next === 'string' && next !== '' && { continue: next }),
  };
}

export function readLine<T extends KubeObject>(text: string, reading: Reading<T>): Line<T> {
  const { type, object } = objectOf(json(text), 'a watch event');
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: readObject(object, reading) };
    case 'BOOKMARK': {
      const { metadata } = objectOf(object, 'a bookmark');
      const { resourceVersion } = objectOf(metadata, 'metadata');
      return { type, resourceVersion: textOf(resourceVersion, 'metadata.resourceVersion') };
    }
    case 'ERROR':
      return { type, status: statusOf(object) };
    default:
      throw new DecodeError('unknown type of a watch event');
  }
}

/** Undefined when the text is no metav1.Status. */
export function readStatus(text: string): Status | undefined {
  try {
    const value = objectOf(json(text), 'a status');
    return value.kind === 'Status' ? statusOf(value) : undefined;
  } catch {
    return undefined;
  }
}

/** Items of lists do not say their kind: every object kept does. */
export function readObject<T extends KubeObject>(value: unknown, { kind, keep = slim }: Reading<T>): T {
  const object = objectOf(value, 'an object');
  const metadata = objectOf(object.metadata, 'metadata');
  textOf(metadata.name, 'metadata.name');
  textOf(metadata.uid, 'metadata.uid');
  textOf(metadata.resourceVersion, 'metadata.resourceVersion');
  if (kind.namespaced) textOf(metadata.namespace, 'metadata.namespace');
  if (object.kind !== undefined && object.kind !== kind.kind) throw new DecodeError(`not a ${kind.kind}`);
  const whole = { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind } as unknown as T;
  return freeze(keep(whole));
}

/** Who set which field is often half of an object, and nothing here asks for it. */
export function slim<T extends KubeObject>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & { managedFields?: unknown };
  return { ...object, metadata };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

function statusOf(value: unknown): Status {
  const { code, reason, message, details } = objectOf(value, 'a status');
  const seconds = isRecord(details) ? details.retryAfterSeconds : undefined;
  return {
    code: typeof code === 'number' ? code : 0,
    reason: typeof reason === 'string' ? reason : 'Unknown',
    message: typeof message === 'string' ? message : '',
    ...(typeof seconds === 'number' && seconds > 0 && { retryAfterMs: seconds * 1000 }),
  };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DecodeError('not JSON');
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (!isRecord(value)) throw new DecodeError(`${what} is missing`);
  return value;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw new DecodeError(`${what} is missing`);
  return value;
}
