/** What README.md tells people to type, and on which machine: `<!-- readme: NAME NAME -->` stands before each block. Pure. */

export interface Block {
  /** Machines, each of which runs it. */
  readonly on: readonly string[];
  /** For `sh`, as it is typed. */
  readonly code: string;
}

const MARK = /^<!-- readme: ([a-z0-9 ]+) -->$/;
const INDENT = '    ';

/** Throws when a mark has no block after it. */
export function blocksOf(markdown: string): readonly Block[] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, at) => {
    const [, names] = MARK.exec(line) ?? [];
    if (names === undefined) return [];
    const code: string[] = [];
    for (const next of lines.slice(at + 1)) {
      if (next.startsWith(INDENT)) code.push(next.slice(INDENT.length));
      else if (next.trim() !== '' || code.length > 0) break;
    }
    if (code.length === 0) throw new Error(`README.md: no code after line ${at + 1}: ${line}`);
    return [{ on: names.split(' '), code: `${code.join('\n')}\n` }];
  });
}

/** The one block of a machine that has just one. */
export function onlyBlock(markdown: string, name: string): string {
  const found = blocksOf(markdown).filter(({ on }) => on.includes(name));
  const [block] = found;
  if (block === undefined || found.length > 1)
    throw new Error(`README.md has ${found.length} blocks for ${name}, not one`);
  return block.code;
}
