/** What can be asked of the API server, and how it fails. `io/kube-client.ts` does it. */
import type { Applied, Key, Kind, KubeObject } from './object.ts';

export interface ListOptions {
  /** Only this namespace; all without it. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ApplyOptions {
  /** Takes fields from other managers; default true, since only fields of our own are ever sent. */
  readonly force?: boolean;
  /** Default: the client's. */
  readonly fieldManager?: string;
}

/** One step of a JSON patch (RFC 6902). */
export type PatchStep =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly from: string; readonly path: string };

export interface DeleteOptions {
  /** Only if it still is this very object. */
  readonly uid?: string;
  /** Only if nobody changed it since. */
  readonly resourceVersion?: string;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
}

export interface TokenOptions {
  readonly audiences?: readonly string[];
  /** At least 600. */
  readonly expirationSeconds?: number;
}

/** Every call throws an `ApiFailure`, and has an end in time. Answers are complete and frozen. */
export interface Client {
  get<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<T>;
  /** Undefined when there is none. */
  find<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<T | undefined>;
  /** All of it, page by page. */
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<readonly T[]>;
  create<T extends KubeObject>(kind: Kind<T>, object: Applied<T>): Promise<T>;
  /** Replaces the whole object; with `metadata.resourceVersion` only if nobody changed it since (409 otherwise). */
  update<T extends KubeObject>(kind: Kind<T>, object: Applied<T>): Promise<T>;
  /** Server-side apply (KEP-555): makes the object, or changes the fields named, and takes back those named before and not now. */
  apply<T extends KubeObject>(kind: Kind<T>, object: Applied<T>, options?: ApplyOptions): Promise<T>;
  /** The same for the status subresource. */
  applyStatus<T extends KubeObject>(kind: Kind<T>, object: Applied<T>, options?: ApplyOptions): Promise<T>;
  patch<T extends KubeObject>(kind: Kind<T>, key: Key, steps: readonly PatchStep[], subresource?: 'status'): Promise<T>;
  /** False when it was not there. */
  delete(kind: Kind, key: Key, options?: DeleteOptions): Promise<boolean>;
  /** A token of a service account (TokenRequest). It is a secret. */
  token(serviceAccount: Key, options?: TokenOptions): Promise<{ readonly token: string; readonly expires: string }>;
}

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/**
 * `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`, ... as the API server says (metav1.StatusReason), and of our own:
 * those of `Missed`.
 */
export type Reason = string;

/**
 * `Unreachable` (no connection, or it broke), `NoAnswer` (in time), `Garbage` (no answer of an API server), `NoCredentials` (of our
 * own), `NotLeading` (this process may write no more), `Closed` (it ends).
 */
export type Missed = 'Unreachable' | 'NoAnswer' | 'Garbage' | 'NoCredentials' | 'NotLeading' | 'Closed';

export interface FailureDetails {
  readonly verb: Verb;
  /** `daemonsets.apps`. */
  readonly resource: string;
  /** Empty for a whole list. */
  readonly key: Key;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly reason: Reason;
  /** The message without what was asked: the same for whoever gets no answer. */
  readonly why?: string;
  /** What the server asks to wait, from now. */
  readonly retryAfterMs?: number | undefined;
}

/** The message is one line: verb, object, reason, and what to do. It never has a body that was sent, nor a header. */
export class ApiFailure extends Error {
  readonly verb: Verb;
  readonly resource: string;
  readonly key: Key;
  readonly status: number;
  readonly reason: Reason;
  readonly why: string;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: FailureDetails) {
    super(message);
    this.name = 'ApiFailure';
    this.verb = details.verb;
    this.resource = details.resource;
    this.key = details.key;
    this.status = details.status;
    this.reason = details.reason;
    this.why = details.why ?? message;
    this.retryAfterMs = details.retryAfterMs;
  }
}

const because =
  (...reasons: readonly Reason[]) =>
  (error: unknown): error is ApiFailure =>
    error instanceof ApiFailure && reasons.includes(error.reason);

export const isNotFound = because('NotFound');
/** Somebody was faster: look again. */
export const isConflict = because('Conflict', 'AlreadyExists');
export const isForbidden = because('Forbidden');
/** What was sent is wrong: the same again will fail again. */
export const isInvalid = because('Invalid', 'BadRequest');
