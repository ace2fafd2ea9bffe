/** As much of a Dockerfile as it takes to say what its targets put into their images. */

export interface Target {
  /** Packages of all `apt-get install` lines, also of the stages it is built on. */
  readonly packages: readonly string[];
  /** Destinations of single files, and `FOLDER/*.mjs` for a bundle. */
  readonly paths: readonly string[];
  readonly links: Readonly<Record<string, string>>;
  readonly users: Readonly<Record<string, number>>;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly user: string;
  readonly stopSignal: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

interface Stage {
  readonly from: string;
  readonly lines: readonly string[];
}

function stages(text: string): ReadonlyMap<string, Stage> {
  const found = new Map<string, { from: string; lines: string[] }>();
  let last: { from: string; lines: string[] } | undefined;
  const plain = text.replace(/^#.*\n/gm, '').replace(/\\\n/g, ' ');
  for (const line of plain.split('\n').map((l) => l.trim())) {
    const [, from, name] = /^FROM (?:--platform=\S+ )?(\S+) AS (\S+)$/.exec(line) ?? [];
    if (from !== undefined && name !== undefined) {
      last = { from, lines: [] };
      found.set(name, last);
    } else if (line !== '') last?.lines.push(line);
  }
  return found;
}

/** COPY of several files goes into a folder, of one to a name. */
function copied(line: string): readonly string[] {
  const words = line
    .split(/\s+/)
    .slice(1)
    .filter((word) => !word.startsWith('--'));
  const to = words.pop() ?? '';
  if (!to.endsWith('/')) return [to];
  return words.map((word) => `${to}${word.slice(word.lastIndexOf('/') + 1)}`);
}

export function targetOf(text: string, name: string): Target {
  const all = stages(text);
  const lines: string[] = [];
  for (let stage = all.get(name); stage !== undefined; stage = all.get(stage.from)) lines.unshift(...stage.lines);
  if (lines.length === 0) throw new Error(`the Dockerfile has no target ${name}`);
  const last = (word: string): string | undefined =>
    lines.findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
  const list = (word: string): readonly string[] => JSON.parse(last(word) ?? '[]') as readonly string[];
  const matches = (pattern: RegExp): readonly RegExpMatchArray[] =>
    lines.flatMap((line) => [...line.matchAll(pattern)]);
  return {
    packages: matches(/apt-get install -y --no-install-recommends ([\w.+ -]+?)(?= &&|$)/g).flatMap(
      ([, words]) => words?.split(' ') ?? [],
    ),
    paths: lines.filter((line) => line.startsWith('COPY ')).flatMap(copied),
    links: Object.fromEntries(matches(/ln -s (\S+) (\S+)/g).map(([, target, path]) => [path, target])),
    users: Object.fromEntries(
      matches(/useradd --uid (\d+) .*? (\w+)(?= &&|$)/g).map(([, id, user]) => [user, Number(id)]),
    ),
    entrypoint: list('ENTRYPOINT'),
    cmd: list('CMD'),
    user: last('USER') ?? '',
    stopSignal: last('STOPSIGNAL'),
    env: Object.fromEntries(matches(/^ENV (\w+)=(\S+)$/g).map(([, key, value]) => [key, value])),
  };
}
