/** docs/configuration.md, made from the schema: `node hack/generated.ts`. */

import type { z } from 'zod';
import { defaultOf, isOptional, leafOf, shapeOf } from './leaf.ts';
import { nodeFile } from './schema.ts';

const HEAD = `# The node file

A node takes one JSON file. \`evio node enroll\` writes a complete one; \`evio config check FILE\` says everything that is wrong with
it: each problem names the key, its value (never a secret's) and what is allowed, and the exit code is 2. \`evio agent run\` makes the
same check and starts nothing when it fails.

- A key that is not listed here is an error.
- A secret is a text in place, or \`{"file": "PATH"}\`; a path is meant from the directory of the node file. A final newline is ignored.
- A file that holds a secret (the node file too, when a secret stands in it) is refused when group or others can read it, or when
  another user owns it: \`chmod 600\`.
- The certificate must be signed by the overlay's authority, belong to both keys and to \`name\`, hold addresses of the overlay's subnets,
  and not have expired.

<!-- Made from agent/src/config/schema.ts by hack/generated.ts: change the schema, not this file. -->
`;

const EXAMPLE = `## Example

\`\`\`json
{
  "apiVersion": "evio/1",
  "name": "pi1",
  "overlay": { "parameters": "RVZQMQEAEP..." },
  "identity": {
    "key": { "file": "pi1.key" },
    "sessionKey": { "file": "pi1.session-key" },
    "certificate": "RVZDMQEAEP..."
  },
  "signalling": {
    "service": "xmpps://203.0.113.10:5223",
    "domain": "evio.example.org",
    "username": "pi1.lab",
    "password": { "file": "pi1.password" },
    "ca": { "file": "ca.crt" },
    "room": "lab@conference.evio.example.org"
  },
  "ice": { "stun": ["203.0.113.10:3478", "203.0.113.11:3478"] }
}
\`\`\`
`;

const code = (text: string): string => `\`${text}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|');

function fallback(schema: z.ZodType): string {
  if (!isOptional(schema)) return '**required**';
  const written = leafOf(schema)?.default;
  if (written !== undefined) return written.startsWith('/') ? code(written) : written;
  return code(JSON.stringify(defaultOf(schema)));
}

function row(key: string, schema: z.ZodType): string {
  const about = leafOf(schema);
  if (about === undefined) throw new Error(`${key} has no description: add one in schema.ts`);
  const description = about.secret ? `${about.description} A secret.` : about.description;
  return `| ${code(key)} | ${cell(description)} | ${cell(about.allowed)} | ${cell(fallback(schema))} |`;
}

function table(prefix: string, keys: readonly (readonly [string, z.ZodType])[]): string {
  const rows = keys.map(([key, schema]) => row(prefix + key, schema));
  return ['| key | what | allowed | default |', '|---|---|---|---|', ...rows, ''].join('\n');
}

/** The whole page. */
export function configurationPage(): string {
  const members = Object.entries(shapeOf(nodeFile) ?? {});
  const plain = members.filter(([, schema]) => shapeOf(schema) === undefined);
  const sections = members.filter(([, schema]) => shapeOf(schema) !== undefined);
  return [
    HEAD,
    '## Top level\n',
    table('', plain),
    ...sections.flatMap(([name, schema]) => [
      `## ${name}\n`,
      `${leafOf(schema)?.description} ${isOptional(schema) ? 'May be left out.' : 'Required.'}\n`,
      table(`${name}.`, Object.entries(shapeOf(schema) ?? {})),
    ]),
    EXAMPLE,
  ].join('\n');
}
