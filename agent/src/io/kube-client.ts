/** `Client` over a `Connection`. Every request has an end in time; every answer is checked to be what was asked for. */

import type { ApplyOptions, Client, DeleteOptions, ListOptions, PatchStep, TokenOptions } from '../kube-api/client.ts';
import { ApiFailure, isNotFound } from '../kube-api/client.ts';
import { type Answer, broken, refusal } from '../kube-api/failure.ts';
import { SERVICE_ACCOUNT } from '../kube-api/kinds.ts';
import { type Applied, apiVersionOf, type Key, type Kind, type KubeObject, keyOf } from '../kube-api/object.ts';
import { readObject, readPage } from '../kube-api/parse.ts';
import { PAGE_LIMIT } from '../kube-api/reflector.ts';
import { pathOf, type Target } from '../kube-api/request.ts';
import { DecodeError } from '../wire/reader.ts';
import { type Ask, type Connection, NoAnswer } from './kube-connection.ts';

export interface ClientOptions {
  /** Who owns the fields that are applied. */
  readonly fieldManager: string;
  /** Asked right before each write: a process that was paused may not know yet that another one leads. */
  readonly mayWrite?: () => boolean;
  readonly timeoutMs?: number;
  /** For metrics: each request with its outcome. */
  readonly observe?: (verb: Target['verb'], resource: string, status: number, seconds: number) => void;
}

const TIMEOUT_MS = 30_000;
const APPLY = 'application/apply-patch+yaml';
const JSON_PATCH = 'application/json-patch+json';
type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export class ApiClient implements Client {
  readonly #connection: Connection;
  readonly #options: ClientOptions;

  constructor(connection: Connection, options: ClientOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async get<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<T> {
    const target: Target = { verb: 'get', kind, key };
    return read(target, await this.#ask(target, 'GET'), (text) => object(text, kind));
  }

  async find<T extends KubeObject>(kind: Kind<T>, key: Key): Promise<T | undefined> {
    return this.get(kind, key).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<readonly T[]> {
    const { namespace, ...selectors } = options;
    const target: Target = { verb: 'list', kind, key: '', namespace };
    const items: T[] = [];
    let query: Query = { ...selectors, limit: PAGE_LIMIT };
    for (;;) {
      let text: string;
      try {
        text = await this.#ask(target, 'GET', query);
      } catch (error) {
        // A page that came too late: all at once then.
        if (!(error instanceof ApiFailure) || error.status !== 410 || query.limit === undefined) throw error;
        items.length = 0;
        query = selectors as Query;
        continue;
      }
      const page = read(target, text, () => readPage(text, { kind }));
      items.push(...page.items);
      if (page.continue === undefined) return items;
      query = { ...selectors, limit: PAGE_LIMIT, continue: page.continue };
    }
  }

  create<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>): Promise<T> {
    const { namespace } = wanted.metadata;
    const target: Target = { verb: 'create', kind, key: keyOf(wanted) };
    const path = pathOf({ ...target, key: '', namespace }, { fieldManager: this.#options.fieldManager });
    return this.#write(target, kind, { method: 'POST', path, body: bodyOf(kind, wanted) });
  }

  update<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>): Promise<T> {
    const target: Target = { verb: 'update', kind, key: keyOf(wanted) };
    const path = pathOf(target, { fieldManager: this.#options.fieldManager });
    return this.#write(target, kind, { method: 'PUT', path, body: bodyOf(kind, wanted) });
  }

  apply<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>, options: ApplyOptions = {}): Promise<T> {
    return this.#apply(kind, wanted, options, undefined);
  }

  applyStatus<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>, options: ApplyOptions = {}): Promise<T> {
    return this.#apply(kind, wanted, options, 'status');
  }

  patch<T extends KubeObject>(
    kind: Kind<T>,
    key: Key,
    steps: readonly PatchStep[],
    subresource?: 'status',
  ): Promise<T> {
    const target: Target = { verb: 'patch', kind, key, subresource };
    const path = pathOf(target, { fieldManager: this.#options.fieldManager });
    return this.#write(target, kind, { method: 'PATCH', path, body: JSON.stringify(steps), contentType: JSON_PATCH });
  }

  async delete(kind: Kind, key: Key, options: DeleteOptions = {}): Promise<boolean> {
    const { uid, resourceVersion, propagation } = options;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(propagation !== undefined && { propagationPolicy: propagation }),
      preconditions: { uid, resourceVersion },
    };
    const target: Target = { verb: 'delete', kind, key };
    try {
      await this.#send(target, {
        method: 'DELETE',
        path: pathOf(target),
        body: JSON.stringify(body),
        may: this.#options.mayWrite,
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async token(
    serviceAccount: Key,
    options: TokenOptions = {},
  ): Promise<{ readonly token: string; readonly expires: string }> {
    const target: Target = { verb: 'create', kind: SERVICE_ACCOUNT, key: serviceAccount, subresource: 'token' };
    const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { ...options } });
    const text = await this.#send(target, { method: 'POST', path: pathOf(target), body, may: this.#options.mayWrite });
    const { status } = read(target, text, JSON.parse) as {
      status?: { token?: unknown; expirationTimestamp?: unknown };
    };
    if (typeof status?.token !== 'string' || typeof status.expirationTimestamp !== 'string')
      throw broken(target, 'Garbage', 'the answer has no token');
    return { token: status.token, expires: status.expirationTimestamp };
  }

  #apply<T extends KubeObject>(
    kind: Kind<T>,
    wanted: Applied<T>,
    options: ApplyOptions,
    subresource: 'status' | undefined,
  ): Promise<T> {
    const { force = true, fieldManager = this.#options.fieldManager } = options;
    const target: Target = { verb: 'patch', kind, key: keyOf(wanted), subresource };
    const path = pathOf(target, { fieldManager, force });
    return this.#write(target, kind, { method: 'PATCH', path, body: bodyOf(kind, wanted), contentType: APPLY });
  }

  async #write<T extends KubeObject>(target: Target, kind: Kind<T>, ask: Omit<Ask, 'timeoutMs'>): Promise<T> {
    return read(target, await this.#send(target, { ...ask, may: this.#options.mayWrite }), (text) =>
      object(text, kind),
    );
  }

  #ask(target: Target, method: 'GET', query: Query = {}): Promise<string> {
    return this.#send(target, { method, path: pathOf(target, query) });
  }

  /** The body of a 2xx answer. */
  async #send(target: Target, ask: Omit<Ask, 'timeoutMs'>): Promise<string> {
    const started = performance.now();
    let answer: Answer;
    try {
      answer = await this.#connection.request({ timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS, ...ask });
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      this.#observe(target, 0, started);
      throw broken(target, error.reason, error.message);
    }
    this.#observe(target, answer.status, started);
    if (answer.status < 200 || answer.status > 299) throw refusal(target, answer);
    return answer.text;
  }

  #observe(target: Target, status: number, started: number): void {
    this.#options.observe?.(target.verb, target.kind.plural, status, (performance.now() - started) / 1000);
  }
}

function bodyOf<T extends KubeObject>(kind: Kind<T>, wanted: Applied<T>): string {
  return JSON.stringify({ apiVersion: apiVersionOf(kind), kind: kind.kind, ...wanted });
}

function read<R>(target: Target, text: string, parse: (text: string) => R): R {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof DecodeError) && !(error instanceof SyntaxError)) throw error;
    throw broken(target, 'Garbage', 'the answer is not of an API server: see what answers at its address');
  }
}

const object = <T extends KubeObject>(text: string, kind: Kind<T>): T => readObject(JSON.parse(text), { kind });
