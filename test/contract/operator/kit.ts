/** What the operator's tests against a real API server share. */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../../../agent/src/io/kube-client.ts';
import { Connection } from '../../../agent/src/io/kube-connection.ts';
import type { Log } from '../../../agent/src/io/log.ts';
import type { ConfigMap } from '../../../agent/src/kube-api/kinds.ts';
import type { KubeApi } from '../../servers/kube-api.ts';

/** Straight to the server, or over a proxy. */
export function connect(api: KubeApi, options: { readonly server?: string; readonly as?: string } = {}): Connection {
  const { server = api.url, as = 'admin' } = options;
  const headers = { authorization: `Bearer ${api.tokens[as]}` };
  return new Connection({ servers: [server], options: async () => ({ ca: api.ca, headers }) });
}

export function clientOf(connection: Connection, fieldManager = 'test'): ApiClient {
  return new ApiClient(connection, { fieldManager });
}

/** A folder as a pod has it for its service account, for the operator's own way in. */
export function serviceAccount(api: KubeApi, as = 'admin'): string {
  writeFileSync(`${api.directory}/token`, api.tokens[as] ?? '', { mode: 0o600 });
  return api.directory;
}

export function keptLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  return { lines, error: write, warn: write, info: write, debug: write };
}

/** Throws what `state` says last when it does not become so in time. */
export async function until(what: string, limitMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(50);
  }
}

/** Name to everything that tells one state of an object from another. */
export function stateOf(maps: readonly ConfigMap[]): Record<string, string> {
  const states = maps.map(
    ({ metadata, data }) =>
      [metadata.name, `${metadata.uid} ${metadata.resourceVersion} ${JSON.stringify(data)}`] as const,
  );
  return Object.fromEntries(states.sort(([a], [b]) => (a < b ? -1 : 1)));
}
