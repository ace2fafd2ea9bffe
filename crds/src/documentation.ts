/** docs/api.md, made from the schemas and policies: `node hack/generated.ts`. */
import { NETWORK_CONDITIONS, NODE_CONDITIONS, PEER_CONDITIONS, REASONS } from './condition.ts';
import { EXAMPLES } from './examples.ts';
import { ABSENT, type Rule } from './field.ts';
import { openApi, type Schema, schemaOf } from './generate.ts';
import { EVIO_NETWORK, EVIO_NODE, EVIO_PEER, KINDS, type Kind } from './kinds.ts';
import { API_VERSION } from './object-meta.ts';
import { policies } from './policies.ts';

const HEAD = `# The API

\`${API_VERSION}\` has two kinds, both cluster-scoped: ${KINDS.map((kind) => `\`${kind.kind}\` (\`${kind.shortName}\`)`).join(' and ')}. \`kubectl get evio\` shows
both, \`kubectl explain evionetwork.spec\` each field. \`manifests/samples/evionetwork.yaml\` is a network to begin with; \`spec: {}\` is enough.

- A key that is not listed here is refused by \`kubectl apply\` (its default is strict validation).
- The rules below are checked by the API server (CEL in the CustomResourceDefinitions, Kubernetes 1.32 or later), before anything is
  stored: the sentence is what you read. \`crds/examples\` has an accepted and a refused example of each.

<!-- Made from crds/src by hack/generated.ts: change the schemas there, not this file. -->
`;

const OPERATOR_CHECKS = `## What the operator checks instead

A policy sees one object and cannot list others. So it is the operator that sees to it that no two EvioNodes have the same address or
overlapping pieces of \`podCIDRs\`: it alone writes them (policy above), allots from what it has read of all EvioNodes, and says
\`AddressesOverlap\` in the condition \`AddressPoolReady\` of the EvioNetwork when two overlap all the same, as after a careless restore.
It also looks at what the spec names and the API server does not: Secrets, servers, labels that no node has.
`;

const code = (text: string): string => `\`${text}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|');
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly string[]): string =>
  [row(...head), `|${'---|'.repeat(head.length)}`, ...rows, ''].join('\n');

export interface Field {
  /** Like "spec.nodeCIDRs[]"; "" is the object itself. */
  readonly path: string;
  readonly schema: Schema;
  readonly required: boolean;
}

/** A schema and all that is in it. */
export function fieldsOf(schema: Schema, path: string, required = false): readonly Field[] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    fieldsOf(value, path === '' ? key : `${path}.${key}`, schema.required?.includes(key) ?? false),
  );
  return [
    { path, schema, required },
    ...below,
    ...(schema.items === undefined ? [] : fieldsOf(schema.items, `${path}[]`)),
    ...(schema.additionalProperties ? fieldsOf(schema.additionalProperties, `${path}[*]`) : []),
  ];
}

export interface RuleOf {
  readonly kind: string;
  /** The field that is blamed. */
  readonly path: string;
  /** None of what may be a number or a text. */
  readonly type: string | undefined;
  readonly rule: Rule;
}

/** Every CEL rule of a kind. */
export const rulesOf = (kind: Kind): readonly RuleOf[] =>
  fieldsOf(schemaOf(kind), '').flatMap(({ path, schema }) =>
    ((schema['x-kubernetes-validations'] as readonly Rule[] | undefined) ?? []).map((rule) => ({
      kind: kind.kind,
      path: path + (rule.fieldPath ?? ''),
      type: schema.type,
      rule,
    })),
  );

function allowed(schema: Schema): string {
  const { minimum, maximum, minLength, maxLength, maxItems, minItems, maxProperties } = schema as Record<
    string,
    number | undefined
  >;
  const values = schema.enum as readonly string[] | undefined;
  if (values !== undefined) return values.map(code).join(', ');
  const either = schema.anyOf as readonly Schema[] | undefined;
  if (either !== undefined) return either.map(allowed).join(', or ');
  switch (schema.type) {
    case 'integer':
      return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
        ? `a whole number from ${minimum}`
        : `a whole number from ${minimum} to ${maximum}`;
    case 'string':
      if (schema.format === 'date-time') return 'a time (RFC 3339)';
      return `a text of ${minLength === undefined ? 'at most' : `${minLength} to`} ${maxLength} characters${schema.pattern === undefined ? '' : `, ${code(String(schema.pattern))}`}`;
    case 'array':
      return `a list of ${minItems === undefined ? 'at most' : `${minItems} to`} ${maxItems}`;
    case 'object':
      return maxProperties === undefined ? 'an object' : `a map of at most ${maxProperties}`;
    default:
      return schema.type ?? '';
  }
}

function fallback({ schema, required, path }: Field): string {
  if (required) return '**required**';
  if (/(\[\]|\[\*\])$/.test(path)) return '';
  const absent = schema[ABSENT] as string | undefined;
  if (absent !== undefined) return `absent: ${absent}`;
  return schema.default === undefined ? '' : code(JSON.stringify(schema.default));
}

/** A part of a kind: `spec` or `status`. */
function section(kind: Kind, part: 'spec' | 'status'): string {
  const raw = openApi(kind[part]) as Schema;
  const rows = fieldsOf(raw, part)
    .slice(1)
    .map((field) =>
      part === 'spec'
        ? row(code(field.path), field.schema.description ?? '', allowed(field.schema), fallback(field))
        : row(code(field.path), field.schema.description ?? '', allowed(field.schema)),
    );
  const head = part === 'spec' ? ['field', 'what', 'allowed', 'default'] : ['field', 'what', 'allowed'];
  return `### ${part}\n\n${raw.description ?? ''}\n\n${table(head, rows)}`;
}

const exampleOf = (rule: RuleOf): string =>
  EXAMPLES.find(
    (example) =>
      example.kind === rule.kind && pathOf(example.field) === rule.path && example.sentence === rule.rule.message,
  )?.name ?? '';

/** The path in the schema of a field that the API server blames: numbers of items and keys of maps taken out. */
export const pathOf = (blamed: string): string =>
  blamed === '<nil>' ? '' : blamed.replace(/\[\d+\]/g, '[]').replace(/\[[^\]]*[a-z][^\]]*\]/g, '[*]');

function rules(kind: Kind): string {
  const rows = rulesOf(kind).map((one) =>
    row(code(one.path === '' ? 'metadata.name' : one.path), one.rule.message, code(exampleOf(one))),
  );
  return `### Rules\n\nWhat breaks one of these is refused. Examples are in \`crds/examples/${kind.kind.toLowerCase()}\`.\n\n${table(['field', 'sentence', 'example'], rows)}`;
}

function columns(kind: Kind): string {
  const rows = kind.columns.map(({ name, jsonPath, description, wide }) =>
    row(name.toUpperCase() + (wide ? ' (`-o wide`)' : ''), description, code(jsonPath)),
  );
  return `### Columns of \`kubectl get\`\n\n${table(['column', 'what', 'from'], rows)}`;
}

const words = (about: Readonly<Record<string, string>>): string =>
  table(
    ['name', 'what'],
    Object.entries(about).map(([name, what]) => row(code(name), what)),
  );

function kindSection(kind: Kind, conditions: Readonly<Record<string, string>>): string {
  return [
    `## ${kind.kind}\n\n${kind.description}\n`,
    section(kind, 'spec'),
    rules(kind),
    section(kind, 'status'),
    `### Conditions\n\n${words(conditions)}`,
    columns(kind),
  ].join('\n');
}

function policySection(): string {
  const rows = policies().flatMap((policy) =>
    policy.validations.map((validation) => row(code(policy.name), policy.title, validation.message)),
  );
  return `## Policies

Who may change what: ValidatingAdmissionPolicies in \`crds/policies\`. Agents are known by their service account
(\`evio-system/evio-agent\`) and by the node that their token is bound to. A cluster administrator is who has the verb \`override\` on
\`evionodes\`, which no role names: \`cluster-admin\` has it, because it has every verb.

${table(['policy', 'what holds', 'sentence'], rows)}`;
}

/** The whole page. */
export const apiPage = (): string =>
  [
    HEAD,
    kindSection(EVIO_NETWORK, NETWORK_CONDITIONS),
    kindSection(EVIO_NODE, NODE_CONDITIONS),
    kindSection(EVIO_PEER, PEER_CONDITIONS),
    `## Reasons of conditions\n\n${words(REASONS)}`,
    policySection(),
    OPERATOR_CHECKS,
  ].join('\n');
