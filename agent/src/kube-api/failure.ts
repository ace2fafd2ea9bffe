/**
 * Failures in one line for people: which object, which verb, why, and what to do. What was sent is never in it, and of Secrets not
 * what the server says of their content either.
 */
import { isObject } from '../io/json-lines.ts';
import { ApiFailure, type FailureDetails, type Missed, type Reason } from './client.ts';
import { resourceOf } from './object.ts';
import { nameOf, type Target } from './request.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
  /** As in the header: seconds, or a date. */
  readonly retryAfter?: string | undefined;
}

const SAID_MAX = 300;
/** A server may ask for patience, not for ever. */
const RETRY_AFTER_MAX_MS = 300_000;

/** Of an answer that is not 2xx. */
export function refusal(target: Target, answer: Answer): ApiFailure {
  const said = statusOf(answer.text);
  const reason = reasonOf(answer, said);
  const { status } = answer;
  return failure(target, {
    status,
    reason,
    why: explain(target, answer, said, reason),
    retryAfterMs: retryAfter(answer, said),
  });
}

/** Of a request that got no answer, or one that is none. */
export function broken(target: Target, reason: Missed, why: string): ApiFailure {
  return failure(target, { status: 0, reason, why });
}

function failure(target: Target, details: Omit<FailureDetails, 'verb' | 'resource' | 'key'>): ApiFailure {
  const { verb, kind, key } = target;
  return new ApiFailure(`cannot ${verb} ${nameOf(target)}: ${details.why}`, {
    verb,
    resource: resourceOf(kind),
    key,
    ...details,
  });
}

interface Said {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds: number | undefined;
  readonly causes: readonly { readonly field: string; readonly message: string }[];
}

/** metav1.Status; undefined when it is something else. */
function statusOf(text: string): Said | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.kind !== 'Status') return undefined;
  const details = isObject(value.details) ? value.details : {};
  const causes = Array.isArray(details.causes) ? details.causes.filter(isObject) : [];
  const seconds = details.retryAfterSeconds;
  return {
    reason: textOf(value.reason),
    message: textOf(value.message),
    retryAfterSeconds: typeof seconds === 'number' ? seconds : undefined,
    causes: causes.map(({ field, message }) => ({ field: textOf(field), message: textOf(message) })),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function reasonOf({ status }: Answer, said: Said | undefined): Reason {
  // Go's plain "404 page not found": not the object is missing but its kind.
  if (status === 404 && (said === undefined || said.reason === '')) return 'NoSuchKind';
  if (said !== undefined && said.reason !== '') return said.reason;
  return REASONS[status] ?? (said === undefined && status < 500 ? 'Garbage' : 'Unknown');
}

const REASONS: Readonly<Record<number, Reason>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function explain(target: Target, answer: Answer, said: Said | undefined, reason: Reason): string {
  const { kind, key } = target;
  const secret = kind.group === '' && kind.plural === 'secrets';
  const words = secret && answer.status !== 403 && answer.status !== 404 ? '' : short(said?.message ?? '');
  switch (reason) {
    case 'NotFound':
      return words || `there is no ${resourceOf(kind)} ${key}`;
    case 'NoSuchKind':
      return `the API server knows no ${resourceOf(kind)}: ${kind.group.includes('.') && !kind.group.endsWith('.k8s.io') ? 'install the custom resource definitions' : 'it is too old, or what answers is no API server'}`;
    case 'Unauthorized':
      return 'the API server does not accept our credentials: the token or the certificate is wrong, or has expired';
    case 'Forbidden':
      return forbidden(words);
    case 'AlreadyExists':
      return 'it exists already';
    case 'Conflict':
      return conflict(said, words);
    case 'Invalid':
    case 'BadRequest':
      return `it is refused: ${secret ? fields(said) : words || fields(said)}`;
    case 'TooManyRequests':
      return 'the API server has too much to do (429)';
    default:
      return `the API server says ${answer.status} ${reason}${words === '' ? '' : `: ${words}`}`;
  }
}

/** RBAC says what exactly is not permitted (applying may need `create` too); admission and quotas forbid in other words. */
function forbidden(words: string): string {
  const [, verb, resource, group, namespace] = RBAC.exec(words) ?? [];
  if (verb === undefined) return `it is forbidden: ${words}`;
  const role = namespace === undefined ? 'a ClusterRole' : `a Role in ${namespace}`;
  return `not permitted: the service account needs ${role} with apiGroups ["${group}"], resources ["${resource}"], verbs ["${verb}"]`;
}

const RBAC = / cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/;

function conflict(said: Said | undefined, words: string): string {
  const owners = (said?.causes ?? []).filter(({ message }) => message.startsWith('conflict with'));
  if (owners.length === 0) return `somebody else changed it meanwhile${words === '' ? '' : ` (${words})`}`;
  return `others own fields of it: ${owners.map(({ field, message }) => `${field} (${short(message, 80)})`).join(', ')}`.slice(
    0,
    SAID_MAX,
  );
}

const fields = (said: Said | undefined): string => {
  const named = (said?.causes ?? []).map(({ field }) => field).filter((field) => field !== '');
  return named.length === 0 ? 'its content is not valid' : `${named.join(', ').slice(0, SAID_MAX)} is not valid`;
};

function short(text: string, max = SAID_MAX): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
  return line.length <= max ? line : `${line.slice(0, max)}...`;
}

function retryAfter({ retryAfter: header }: Answer, said: Said | undefined): number | undefined {
  const seconds =
    said?.retryAfterSeconds ?? (header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined);
  return seconds === undefined || seconds <= 0 ? undefined : Math.min(seconds * 1000, RETRY_AFTER_MAX_MS);
}

/** What a broken connection means (codes of Node and of OpenSSL). */
export function wordsOf(error: unknown, server: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known = WORDS[code ?? ''];
  if (known !== undefined) return `${server}: ${known} (${code})`;
  return `${server}: ${short(code ?? message ?? String(error))}: see whether the API server is up`;
}

const UNTRUSTED = 'its certificate is not of the certificate authority that we know';
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing answers there: see whether the API server is up',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'nothing answers there: see the way to it',
  EHOSTUNREACH: 'there is no way to it: see routes and firewalls',
  ENETUNREACH: 'there is no way to it: see routes and firewalls',
  ENOTFOUND: 'its name is unknown: see DNS',
  EAI_AGAIN: 'its name cannot be looked up: see DNS',
  CERT_HAS_EXPIRED: 'its certificate has expired, or a clock is wrong',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: a clock is wrong',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  CERT_SIGNATURE_FAILURE: UNTRUSTED,
};
