/** A world of the join controller without a cluster: an API server and an XMPP server as they look from there. */
import { XmppError } from '../../../../agent/src/io/xmpp-error.ts';
import { offerOf, offerTexts, TOKEN_SECRET_TYPE, tokenSecretName } from '../../../../agent/src/join/cluster-token.ts';
import { NO_TOKENS, type TokenBook } from '../../../../agent/src/join/tokens.ts';
import { EVIO_NODE, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { type ConfigMap, SECRET, type Secret } from '../../../../agent/src/kube-api/kinds.ts';
import type { KubeObject } from '../../../../agent/src/kube-api/object.ts';
import { privateKey, rawPublicKey } from '../../../../agent/src/wire/keys.ts';
import { authorityData, secretData } from '../../desired/authority.ts';
import type { SignallingPlace } from '../../desired/enrolment.ts';
import { EMPTY_LEDGER, withParameters } from '../../desired/ledger.ts';
import { parametersOf } from '../../desired/parameters.ts';
import { aNetwork, aSecret } from '../../desired/testing.ts';
import { AuthorityBook } from '../../io/authority-book.ts';
import { AUTHORITY_SECRET, TOKENS_KEY } from '../../names.ts';
import type { World } from '../world.ts';

export const NOW = 1_800_000_000;
export const KEY = privateKey('ed25519', Buffer.alloc(32, 1));
export const PLACE: SignallingPlace = {
  ...{ service: 'xmpps://127.0.0.1:5223', domain: 'evio.test', conference: 'rooms.evio.test', ca: undefined },
  ...{ stun: [], turn: 'none', cni: undefined, excludeRoutes: [] },
};
const NAMESPACE = 'evio-system';
const keyOf = (name: string): string => `${NAMESPACE}/${name}`;

export class JoinWorld {
  readonly network = aNetwork({ mode: 'HostNetwork' });
  readonly members = new Map<string, EvioNode>();
  /** On the XMPP server. */
  readonly users = new Set<string>();
  /** An account that it makes for nobody. */
  refuses = '';
  away = false;
  session = 1;
  /** Where it is. */
  place = PLACE;
  readonly log: string[] = [];
  applied = '';
  published: Readonly<Record<string, string>> = {};
  /** What the watch has beside what is there. */
  cached: readonly Secret[] = [];
  readonly #secrets = new Map<string, Secret>();
  #versions = 1;
  readonly book: AuthorityBook;
  readonly world: World;

  constructor() {
    const parameters = parametersOf(this.network.spec);
    const ledger = withParameters(EMPTY_LEDGER, parameters, KEY, NOW);
    this.#put(aSecret(AUTHORITY_SECRET, authorityData({ key: KEY, ledger, tokens: NO_TOKENS })));
    const client = this.#client();
    this.book = new AuthorityBook(client, { get: (key) => this.#secrets.get(key) }, NAMESPACE);
    let turn: Promise<unknown> = Promise.resolve();
    const world: Partial<Record<keyof World, unknown>> = {
      settings: { namespace: NAMESPACE },
      client,
      log: { warn: (line: string) => this.log.push(line) },
      networks: { get: () => this.network },
      nodes: { list: () => [] },
      secrets: {
        list: () => [...this.#secrets.values(), ...this.cached],
        get: (key: string) => this.#secrets.get(key),
      },
      configMaps: { get: () => undefined },
      members: { all: () => this.members, leave: (one: EvioNode) => this.members.set(one.metadata.name, one) },
      book: this.book,
      link: this.#link(),
      applier: {
        apply: async (_: unknown, { metadata, data }: Pick<ConfigMap, 'metadata' | 'data'>) => {
          this.applied = metadata.name;
          this.published = data ?? {};
        },
      },
      allotting: (work: () => Promise<unknown>) => {
        const mine = turn.then(work);
        turn = mine.catch(() => undefined);
        return mine;
      },
      signalling: () => ({ place: this.place, admin: {} }),
      key: keyOf,
      now: () => NOW,
    };
    this.world = world as World;
  }

  get tokens(): TokenBook {
    return this.book.read().authority?.tokens ?? NO_TOKENS;
  }

  get secretList(): readonly Secret[] {
    return [...this.#secrets.values()].filter(({ metadata }) => metadata.name !== AUTHORITY_SECRET);
  }

  get secretNames(): readonly string[] {
    return this.secretList.map(({ metadata }) => metadata.name);
  }

  get publicKey(): Buffer {
    return rawPublicKey(KEY);
  }

  addSecret(name: string, texts: Readonly<Record<string, string>>): void {
    this.#put({ ...aSecret(name, secretData(texts)), type: TOKEN_SECRET_TYPE });
  }

  /** Gives its id. */
  offer(secret: Buffer, uses = 1): string {
    const offer = offerOf(secret, { expires: NOW + 600, uses });
    this.addSecret(tokenSecretName(offer.id), offerTexts(offer));
    return offer.id;
  }

  /** As somebody wrote it by hand. */
  breakBook(): void {
    const secret = this.#secrets.get(keyOf(AUTHORITY_SECRET));
    if (secret !== undefined) this.#put({ ...secret, data: { ...secret.data, ...secretData({ [TOKENS_KEY]: '{' }) } });
  }

  #put(secret: Secret): Secret {
    const made = { ...secret, metadata: { ...secret.metadata, resourceVersion: `${this.#versions++}` } };
    this.#secrets.set(keyOf(made.metadata.name), made);
    return made;
  }

  #client() {
    const client: Partial<Record<keyof World['client'], unknown>> = {
      get: async (_: unknown, key: string) => this.#secrets.get(key),
      find: async (_: unknown, key: string) => this.#secrets.get(key),
      update: async (_: unknown, secret: Secret) => this.#put({ ...secret, apiVersion: 'v1', kind: 'Secret' }),
      delete: async (kind: unknown, key: string) => kind === SECRET && this.#secrets.delete(key),
      create: async (kind: unknown, made: KubeObject) => {
        if (kind !== EVIO_NODE) throw new Error('not made here');
        return { ...made, metadata: { ...made.metadata, uid: `${made.metadata.name}-uid`, resourceVersion: '1' } };
      },
    };
    return client as World['client'];
  }

  #link() {
    const of = this;
    const admin = {
      addUser: async (name: string) => {
        if (name === this.refuses) throw new XmppError('refused', 'no such account may be');
        return !this.users.has(name) && this.users.add(name) !== undefined;
      },
      changePassword: async () => undefined,
      deleteUser: async (name: string) => void this.users.delete(name),
    };
    return {
      reach: { kind: 'up' },
      get session() {
        return of.session;
      },
      use: async (work: (of: typeof admin) => Promise<unknown>) => (this.away ? undefined : work(admin)),
      end: async (name: string) => !this.away && this.users.delete(name),
    };
  }
}
