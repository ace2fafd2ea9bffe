/** What every object of the Kubernetes API has, and the words for naming one. */

/** As the API server sends it; dates are RFC 3339 text. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  /** Opaque: compared for equality only. */
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly generation?: number;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** One kind of the API. `T` is what the server sends of it. */
export interface Kind<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** As in the URL. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never there: it ties the kind to its type. */
  readonly object?: T;
}

/** An object's name, or `namespace/name`. */
export type Key = string;

export function keyOf(object: { readonly metadata: { readonly name: string; readonly namespace?: string } }): Key {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

export function splitKey(key: Key): { readonly name: string; readonly namespace?: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** `v1`, `apps/v1`. */
export function apiVersionOf(kind: Kind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/** `nodes`, `daemonsets.apps`: as `kubectl` and RBAC rules name a kind. */
export function resourceOf(kind: Kind): string {
  return kind.group === '' ? kind.plural : `${kind.plural}.${kind.group}`;
}

/** For `ownerReferences`: the owner blocks nothing and owns alone. */
export function ownerReference(kind: Kind, owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, name, uid, controller: true };
}

/**
 * A generated class as the JSON it stands for: dates are text, fields lose the underscore they have where their name is a word of
 * the language (`_from`), and nothing can be changed.
 */
export type Json<T> = T extends Date
  ? string
  : T extends readonly (infer U)[]
    ? readonly Json<U>[]
    : T extends object
      ? { readonly [K in keyof T as K extends `_${infer Plain}` ? Plain : K]: Json<T[K]> }
      : T;

/** The same for an object the server sent: its metadata has a name, a uid and a resource version. */
export type Served<T> = Omit<Json<T>, 'metadata'> & KubeObject;

/** What one writer wants of an object: any part of it, under its name. */
export type Applied<T extends KubeObject> = Part<Omit<T, 'apiVersion' | 'kind' | 'metadata'>> & {
  readonly metadata: { readonly name: string; readonly namespace?: string } & Part<
    Omit<ObjectMeta, 'name' | 'namespace'>
  >;
};

/** Lists are whole: what of them is merged is the server's matter. */
export type Part<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: Part<T[K]> }
    : T;
