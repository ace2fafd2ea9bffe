/** The cluster of hack/cluster, as its administrator sees it. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { until } from '../demo/shell.ts';

export const NODES = ['cp', 'cloud1', 'edge1', 'edge2'] as const;
export type NodeName = (typeof NODES)[number];
export const EDGES: readonly NodeName[] = ['edge1', 'edge2'];
export const PREFIX = process.env.PREFIX ?? 'evk-';
export const STATE = `/tmp/${PREFIX}cluster`;
export const NAMESPACE = 'evio-system';

export const secret = (name: string, stringData: object): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace: NAMESPACE },
  stringData,
});

const HERE = resolve('hack/cluster');

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A program of hack/cluster; never throws for its exit code. */
export function attempt(program: string, args: readonly string[], input = '', timeoutMs = 300_000): Promise<Said> {
  return new Promise((done) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL' as const, maxBuffer: 64 << 20 };
    const child = execFile(`${HERE}/${program}`, args, options, (error, out, err) =>
      done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err }),
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

export async function must(program: string, args: readonly string[], input = '', timeoutMs?: number): Promise<string> {
  const said = await attempt(program, args, input, timeoutMs);
  if (said.code !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${(said.err || said.out).trim().slice(0, 2_000)}`);
  return said.out;
}

export const kubectl = (...args: readonly string[]): Promise<string> => must('k', args);
export const helm = (...args: readonly string[]): Promise<string> => must('h', args);
export const inNode = (node: string, ...args: readonly string[]): Promise<string> => must('nx', [node, ...args]);
export const apply = (objects: readonly object[], ...args: readonly string[]): Promise<string> =>
  must('k', ['apply', ...args, '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));

/** What of an object is looked at here. */
export interface Anything {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
    readonly creationTimestamp?: string;
  };
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
}

export async function list(kind: string, ...args: readonly string[]): Promise<readonly Anything[]> {
  return (JSON.parse(await kubectl('get', kind, '-o', 'json', ...args)) as { items: readonly Anything[] }).items;
}
export async function get(kind: string, name: string, ...args: readonly string[]): Promise<Anything | undefined> {
  const said = await attempt('k', ['get', kind, name, '-o', 'json', ...args]);
  return said.code === 0 ? (JSON.parse(said.out) as Anything) : undefined;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}
export const conditionsOf = (object: Anything | undefined): readonly Condition[] =>
  (object?.status?.conditions ?? []) as readonly Condition[];
export const conditionOf = (object: Anything | undefined, type: string): Condition | undefined =>
  conditionsOf(object).find((one) => one.type === type);
export const isTrue = (object: Anything | undefined, type: string): boolean =>
  conditionOf(object, type)?.status === 'True';

export async function nodesReady(): Promise<boolean> {
  const nodes = await list('nodes');
  return nodes.length === NODES.length && nodes.every((node) => isTrue(node, 'Ready'));
}

/** Waits; what it waited for stands in the error with what there was instead. */
export async function wait(what: string, withinMs: number, probe: () => Promise<boolean>): Promise<void> {
  await until(what, withinMs, probe, 250);
}

/** How long something took, in seconds. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

const TABLE = 'evio_test';
/** While a node has a table of nftables with these chains; `listed` gives how nft lists it. */
export async function withNftables(
  node: string,
  chains: string,
  during: (listed: () => Promise<string>) => Promise<void>,
): Promise<void> {
  await inNode(node, 'nft', `table inet ${TABLE} {\n${chains}\n}`);
  try {
    await during(() => inNode(node, 'nft', 'list', 'table', 'inet', TABLE));
  } finally {
    await attempt('nx', [node, 'nft', 'delete', 'table', 'inet', TABLE]);
  }
}

/** Processes of a node whose command line has this in it, by pid as the machine counts. */
export async function residentMb(node: string, pattern: string): Promise<readonly number[]> {
  // Inside the node, so that only its own are seen; brackets keep pgrep's shell out of its own findings.
  const said = await attempt('nx', [
    node,
    'sh',
    '-c',
    `for p in $(pgrep -f '${pattern}'); do awk '/VmRSS/ {print $2}' /proc/$p/status; done`,
  ]);
  return said.out
    .split('\n')
    .filter(Boolean)
    .map((kb) => Number(kb) / 1024);
}
