/** docs/logs.md: fields of log lines from their catalogue, tincan's lines from its source. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_FIELDS, TINCAN_FIELDS } from '../agent/src/log-fields.ts';

const TINCAN = 'agent/tincan/src';

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: readonly string[];
}

/** The calls of `log!` in Rust source; those in the macro itself and in tests write nothing that is shipped. */
export function linesIn(source: string): readonly Line[] {
  return [...source.matchAll(/\blog!\(\s*(Error|Warn|Info|Debug),\s*"((?:[^"\\]|\\.)*)"/g)].map((found) => {
    const rest = argumentsAfter(source, found.index + found[0].length);
    return {
      level: (found[1] ?? '').toLowerCase(),
      message: found[2] ?? '',
      fields: rest.flatMap((argument) => /^\s*(\w+)\s*=(?!=)/.exec(argument)?.[1] ?? []),
    };
  });
}

/** The arguments up to the bracket that closes the call, cut at its own commas. */
function argumentsAfter(source: string, from: number): readonly string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (let at = from, inText = false; at < source.length; at++) {
    const character = source.charAt(at);
    if (character === '"' && source.charAt(at - 1) !== '\\') inText = !inText;
    if (!inText && '([{'.includes(character)) depth++;
    if (!inText && ')]}'.includes(character) && depth-- === 0) break;
    if (!inText && depth === 0 && character === ',') parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function rustFiles(dir: string): readonly string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return entry.name === 'tests' ? [] : rustFiles(path);
    return entry.name.endsWith('.rs') && !/(^|_)tests?\.rs$/.test(entry.name) ? [path] : [];
  });
}

/** Each line of tincan's once. Throws for a field that is not explained, and for an explanation of none. */
export function tincanLines(root = '.'): readonly Line[] {
  const all = rustFiles(join(root, TINCAN)).flatMap((file) => linesIn(readFileSync(file, 'utf8')));
  const byMessage = new Map<string, Line>();
  for (const line of all) {
    const known = byMessage.get(line.message);
    const fields = [...new Set([...(known?.fields ?? []), ...line.fields])];
    byMessage.set(line.message, { ...line, fields });
  }
  const lines = [...byMessage.values()].sort((a, b) => (a.message < b.message ? -1 : 1));
  const used = new Set(lines.flatMap(({ fields }) => fields));
  const unexplained = [...used].filter((field) => !(field in TINCAN_FIELDS));
  const unused = Object.keys(TINCAN_FIELDS).filter((field) => !used.has(field));
  if (unexplained.length + unused.length > 0)
    throw new Error(
      `agent/src/log-fields.ts: not explained: ${unexplained.join(', ') || 'none'}; explained and in no line: ${unused.join(', ') || 'none'}`,
    );
  return lines;
}

export function logsPage(): string {
  const lines = tincanLines();
  const rows = (fields: Readonly<Record<string, string>>): string =>
    Object.entries(fields)
      .map(([name, means]) => `| \`${name}\` | ${means} |\n`)
      .join('');
  return `# Logs

Agent, operator and \`evio authority serve\` write one line for each entry to standard output: as text, \`TIMESTAMP LEVEL MESSAGE\`, or as one JSON object. JSON
is \`"log": {"format": "json"}\` in a node file, and \`operator.logFormat=json\` of the chart for operator and agents. No secret is in them; names of nodes and
addresses are. Beyond 150 lines at once and one a second, lines of \`info\` and \`warn\` are left out and counted; not at level \`debug\`.

| field | what |
|---|---|
${rows(LOG_FIELDS)}
tincan writes text with fields, \`TIMESTAMP LEVEL MESSAGE key=value ...\`: on a machine to \`tincan.log\` in the run directory, in a cluster to its pod's standard error.
What is wrong *now* is not to be found in logs but by \`evio status\` ([diagnosis.md](diagnosis.md)).

<!-- Made from agent/src/log-fields.ts and tincan's source by hack/generated.ts: change those, not this file. -->

| key of tincan | what |
|---|---|
${rows(TINCAN_FIELDS)}
## What tincan writes

| level | message | keys |
|---|---|---|
${lines.map(({ level, message, fields }) => `| ${level} | ${message} | ${fields.map((field) => `\`${field}\``).join(', ')} |\n`).join('')}`;
}
