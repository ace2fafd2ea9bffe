/** Where a request goes: paths of the API (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris). */
import type { Verb } from './client.ts';
import { type Key, type Kind, resourceOf, splitKey } from './object.ts';

export interface Target {
  readonly verb: Verb;
  readonly kind: Kind;
  /** Empty for the whole collection. */
  readonly key: Key;
  /** Of a collection. */
  readonly namespace?: string | undefined;
  readonly subresource?: string | undefined;
}

export function pathOf(
  target: Target,
  query: Readonly<Record<string, string | number | boolean | undefined>> = {},
): string {
  const { kind, key, subresource } = target;
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const { name, namespace = target.namespace } = key === '' ? { name: '' } : splitKey(key);
  const within = kind.namespaced && namespace !== undefined ? ['namespaces', namespace] : [];
  const parts = [
    ...within,
    kind.plural,
    ...(name === '' ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  const asked = Object.entries(query).flatMap(([field, value]) =>
    value === undefined ? [] : [`${field}=${encodeURIComponent(value)}`],
  );
  const path = `${root}/${parts.map(encodeURIComponent).join('/')}`;
  return asked.length === 0 ? path : `${path}?${asked.join('&')}`;
}

/** `daemonsets.apps evio-system/evio-agent`, `the status of nodes a`, `secrets in evio-system`. */
export function nameOf({ kind, key, namespace, subresource }: Target): string {
  const resource = resourceOf(kind);
  if (key === '') return namespace === undefined ? resource : `${resource} in ${namespace}`;
  return subresource === undefined ? `${resource} ${key}` : `the ${subresource} of ${resource} ${key}`;
}
