/** What tincan's log says of the paths of a node's tunnels. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Joined } from './overlay.ts';

interface PathLine {
  readonly atMs: number;
  /** The peer's label. */
  readonly peer: string;
  /** Kind and address. */
  readonly path: string;
}

function pathLines(one: Joined): readonly PathLine[] {
  const text = readFileSync(join(one.runDir, 'tincan.log'), 'utf8');
  return [...text.matchAll(/^(\S+) info path peer=(\S+) path=(\S+) remote=(\S+)/gm)].map(
    ([, at = '', peer = '', kind = '', remote = '']) => ({ atMs: Date.parse(at), peer, path: `${kind} ${remote}` }),
  );
}

/** By peer, in order: when a path began, and which. A line that tells of another record size only begins nothing. */
export function courses(one: Joined): ReadonlyMap<string, readonly PathLine[]> {
  const found = new Map<string, PathLine[]>();
  for (const line of pathLines(one)) {
    const course = found.get(line.peer) ?? [];
    found.set(line.peer, course);
    if (course.at(-1)?.path !== line.path) course.push(line);
  }
  return found;
}

export const nameOf = (nodes: readonly Joined[], label: string): string =>
  nodes.find(({ id }) => id.startsWith(label))?.name ?? label;

/** Changes of path between two times of Date.now(). */
export function pathChanges(nodes: readonly Joined[], fromMs: number, toMs: number): readonly string[] {
  return nodes.flatMap((one) =>
    [...courses(one)].flatMap(([peer, course]) =>
      course
        .filter(({ atMs }) => atMs > fromMs && atMs <= toMs)
        .map(({ path }) => `${one.name} to ${nameOf(nodes, peer)}: ${path}`),
    ),
  );
}
