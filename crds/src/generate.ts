/**
 * CustomResourceDefinitions out of the zod schemas. zod's own OpenAPI output is nearly what Kubernetes takes; what is not
 * structural there (unions, references, tuples) is refused here, and so is what nobody should have to miss later: a field without
 * a description, a list or text without a limit (without one the API server cannot bound what a CEL rule costs).
 */
import { stringify } from 'yaml';
import * as z from 'zod';
import { ABSENT } from './field.ts';
import { KINDS, type Kind } from './kinds.ts';
import { GROUP, VERSION } from './object-meta.ts';
import { policies, policyObjects } from './policies.ts';

/** JSONSchemaProps of apiextensions.k8s.io/v1, as far as it is used. */
export interface Schema {
  readonly description?: string;
  /** None where a value may be a number or a text. */
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly [key: string]: unknown;
}

/** What may stand in a schema, in the order in which it is written. */
const KEYS: readonly string[] = [
  'description',
  'type',
  'x-kubernetes-int-or-string',
  'format',
  'default',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'x-kubernetes-validations',
];
/** Said by zod, or for the documentation, and not by Kubernetes. */
const DROPPED: readonly string[] = ['$schema', 'propertyNames', ABSENT];
const INT32_MAX = 2_147_483_647;

type Raw = Record<string, unknown>;

function integer(schema: Raw): Raw {
  const { minimum, maximum, ...rest } = schema as { minimum?: number; maximum?: number };
  const bounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  return {
    ...rest,
    format: bounded && maximum <= INT32_MAX ? 'int32' : 'int64',
    ...(minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? {} : { minimum }),
    ...(bounded ? { maximum } : {}),
  };
}

function limited(schema: Raw, path: string, limit: string): void {
  if (schema[limit] === undefined) throw new Error(`${path} has no ${limit}: say in its schema how large it can get`);
}

function object(schema: Raw, path: string): Raw {
  const { properties, additionalProperties, ...rest } = schema as { properties?: Raw; additionalProperties?: unknown };
  if (properties === undefined) {
    limited(schema, path, 'maxProperties');
    return { ...rest, additionalProperties: structural(additionalProperties, `${path}[*]`) };
  }
  if (typeof additionalProperties === 'object') throw new Error(`${path} has both fields of its own and any others`);
  const described = Object.entries(properties).map(([key, value]) => {
    const field = structural(value, `${path}.${key}`);
    if (field.description === undefined) throw new Error(`${path}.${key} has no description`);
    return [key, field];
  });
  return { ...rest, properties: Object.fromEntries(described) };
}

/** The one union that is structural: a whole number or a text, with the bounds of both. */
function intOrString({ anyOf, ...rest }: Raw, path: string): Raw {
  const [number, text, ...more] = anyOf as readonly Raw[];
  if (number?.type !== 'integer' || text?.type !== 'string' || more.length > 0)
    throw new Error(`${path} is one of several: only a whole number or a text can be, in this order`);
  const bounds = { ...structural(number, path), ...structural(text, path) };
  const { type: _type, format: _format, ...kept } = bounds as Raw;
  return { ...rest, ...kept, 'x-kubernetes-int-or-string': true };
}

function byType(schema: Raw, path: string): Raw {
  if (schema['x-kubernetes-int-or-string'] === true) return schema;
  if (schema.anyOf !== undefined) return intOrString(schema, path);
  switch (schema.type) {
    case 'integer':
      return integer(schema);
    case 'string':
      if (schema.enum === undefined) limited(schema, path, 'maxLength');
      return schema;
    case 'array':
      limited(schema, path, 'maxItems');
      return { 'x-kubernetes-list-type': 'atomic', ...schema, items: structural(schema.items, `${path}[]`) };
    case 'object':
      return object(schema, path);
    case 'boolean':
      return schema;
    default:
      throw new Error(`${path} has the type ${String(schema.type)}, which no structural schema has`);
  }
}

/** Makes a schema structural, or throws an Error that names the path where that cannot be. */
export function structural(raw: unknown, path: string): Schema {
  const kept = Object.entries(raw as Raw).filter(([key]) => !DROPPED.includes(key));
  const schema = byType(Object.fromEntries(kept), path);
  const foreign = Object.keys(schema).filter((key) => !KEYS.includes(key));
  if (foreign.length > 0) throw new Error(`${path} has ${foreign.join(', ')}, which Kubernetes does not take`);
  return Object.fromEntries(
    KEYS.filter((key) => schema[key] !== undefined).map((key) => [key, schema[key]]),
  ) as unknown as Schema;
}

/** What zod makes of it: not structural yet, and with `ABSENT`. */
export const openApi = (schema: z.ZodType): unknown => z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' });

/** The whole object's schema: `openAPIV3Schema`. */
export function schemaOf(kind: Kind): Schema {
  const spec = structural(openApi(kind.spec), 'spec');
  return {
    description: kind.description,
    type: 'object',
    ...(kind.specDefault ? {} : { required: ['spec'] }),
    properties: {
      apiVersion: { description: `${GROUP}/${VERSION}.`, type: 'string' },
      kind: { description: `${kind.kind}.`, type: 'string' },
      metadata: { type: 'object' },
      // With all defaults in it: the API server tries the rules on this value as it stands.
      spec: kind.specDefault ? structural({ ...spec, default: kind.spec.parse({}) }, 'spec') : spec,
      status: structural(openApi(kind.status), 'status'),
    },
    ...(kind.rules.length === 0 ? {} : { 'x-kubernetes-validations': kind.rules }),
  };
}

export function crdOf(kind: Kind) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Cluster',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.singular,
        shortNames: [kind.shortName],
        categories: ['evio'],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: kind.columns.map(({ wide, ...column }) => ({
            ...column,
            ...(wide === true ? { priority: 1 } : {}),
          })),
          schema: { openAPIV3Schema: schemaOf(kind) },
        },
      ],
    },
  };
}

const YAML = { version: '1.1', lineWidth: 120, aliasDuplicateObjects: false } as const;
const HEAD = '# Made from crds/src by hack/generated.ts: change the schemas there, not this file.\n';

/** As the files in this repository are written. YAML 1.1, because kubectl reads that: there, a bare Off is a boolean. */
export const toYaml = (...objects: readonly object[]): string =>
  HEAD + objects.map((one) => stringify(one, YAML)).join('---\n');

export interface GeneratedFile {
  readonly file: string;
  readonly make: () => string;
}

/** The CRD files by name, for hack/generated.ts. */
export const crdFiles = (): readonly GeneratedFile[] =>
  KINDS.map((kind) => ({ file: `crds/${GROUP}_${kind.plural}.yaml`, make: () => toYaml(crdOf(kind)) }));

/** The policies' files by name: each a policy and its binding. */
export const policyFiles = (): readonly GeneratedFile[] =>
  policies().map((policy) => ({
    file: `crds/policies/${policy.name.replace(`.${GROUP}`, '')}.yaml`,
    make: () => toYaml(...policyObjects(policy)),
  }));
