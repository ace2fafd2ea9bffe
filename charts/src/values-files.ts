/** What is written of the values' schema: values.yaml, values.schema.json, and a table for the documentation. */
import { stringify } from 'yaml';
import * as z from 'zod';
import { values } from './values.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [key: string]: unknown;
}

/** Draft 7 is what every Helm reads. */
const schema = (): Schema =>
  z.toJSONSchema(values, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      // Of sections: their fields say it.
      if (jsonSchema.properties !== undefined) delete jsonSchema.default;
      // Whole numbers that JavaScript knows; nobody asks.
      if (jsonSchema.type === 'object' && jsonSchema.propertyNames !== undefined) delete jsonSchema.propertyNames;
    },
  }) as Schema;

export function valuesSchema(): string {
  const made = schema();
  // Helm puts it there when the chart is part of another.
  const properties = { ...made.properties, global: { type: 'object' } };
  return `${JSON.stringify({ ...made, title: 'Values of the Evio chart', properties }, null, 2)}\n`;
}

const WIDTH = 120;

function comment(text: string, indent: string): string {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line].map((l) => `${l}\n`).join('');
}

function fields(of: Schema, indent: string): string {
  return Object.entries(of.properties ?? {})
    .map(([key, about]) => {
      const said = about.description === undefined ? '' : comment(about.description, indent);
      if (about.properties !== undefined) return `${said}${indent}${key}:\n${fields(about, `${indent}  `)}`;
      const value = stringify({ [key]: about.default }, { lineWidth: 0, defaultStringType: 'PLAIN' });
      return `${said}${value.replace(/^(?=.)/gm, indent)}`;
    })
    .join(indent === '' ? '\n' : '');
}

export const valuesYaml = (): string =>
  `# Values of the Evio chart. Made from charts/src/values.ts by "node hack/generated.ts".\n\n${fields(schema(), '')}`;

function rows(of: Schema, prefix: string): readonly string[] {
  return Object.entries(of.properties ?? {}).flatMap(([key, about]) => {
    const name = `${prefix}${key}`;
    if (about.properties !== undefined) return rows(about, `${name}.`);
    const choices = Array.isArray(about.enum) ? ` One of ${about.enum.filter((one) => one !== '').join(', ')}.` : '';
    const said = `${about.description ?? ''}${choices}`.replaceAll('|', '\\|');
    return [`| \`${name}\` | \`${JSON.stringify(about.default)}\` | ${said} |`];
  });
}

/** Every value, one a row. */
export const valuesTable = (): string =>
  ['| value | default | meaning |', '|---|---|---|', ...rows(schema(), '')].join('\n');
