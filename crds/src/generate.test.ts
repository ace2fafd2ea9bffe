import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { fieldsOf, rulesOf } from './documentation.ts';
import { field } from './field.ts';
import { crdFiles, crdOf, policyFiles, type Schema, schemaOf, structural, toYaml } from './generate.ts';
import { EVIO_PEER, KINDS } from './kinds.ts';

const refusal = (schema: z.ZodType): string => {
  try {
    structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }), 'spec');
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};
const text = field(z.string().max(8), { description: 'A text.' });

describe('the generator of CRDs', () => {
  for (const kind of KINDS) {
    const fields = fieldsOf(schemaOf(kind), '');
    const given = fields.filter(({ path }) => /^(spec|status)/.test(path));

    it(`describes every field of ${kind.kind}`, () => {
      const silent = given.filter(({ path, schema }) => !path.endsWith(']') && !schema.description).map((f) => f.path);
      expect(silent).to.deep.equal([]);
      expect(given.length).to.be.greaterThan(kind === EVIO_PEER ? 10 : 40);
    });

    it(`gives every text, list and map of ${kind.kind} a limit`, () => {
      const endless = ({ schema }: { readonly schema: Schema }): boolean =>
        (schema.type === 'string' && schema.maxLength === undefined && schema.enum === undefined) ||
        (schema.type === 'array' && schema.maxItems === undefined) ||
        (schema.additionalProperties !== undefined && schema.maxProperties === undefined);
      expect(given.filter(endless).map((f) => f.path)).to.deep.equal([]);
    });

    it(`says of every list of ${kind.kind} how it is merged, and requires the keys of those merged by key`, () => {
      for (const { path, schema } of given.filter((f) => f.schema.type === 'array')) {
        const keys = schema['x-kubernetes-list-map-keys'] as readonly string[] | undefined;
        expect(schema['x-kubernetes-list-type'], path).to.equal(keys === undefined ? 'atomic' : 'map');
        if (keys !== undefined) expect(schema.items?.required, path).to.include.members([...keys]);
      }
    });

    it(`compares with the past only where the API server can tell which past value is meant, in ${kind.kind}`, () => {
      // Items of atomic lists have no past: the API server refuses such a rule.
      const transitions = rulesOf(kind).filter(({ rule }) => rule.rule.includes('oldSelf'));
      if (kind !== EVIO_PEER) expect(transitions.length).to.be.greaterThan(2);
      for (const { path } of transitions) expect(path).not.to.match(/\[/);
    });

    it(`asks for the sentence that ${kind.kind}'s rules are broken with: what is wrong and what to do, on one line`, () => {
      for (const { rule } of rulesOf(kind)) {
        expect(rule.message).to.match(/^[^\n]{20,300}$/);
        expect(rule.message, 'no full stop: the API server goes on behind it').not.to.match(/\.$/);
      }
    });

    it(`writes ${kind.kind} as YAML that means the same to kubectl, which reads YAML 1.1`, () => {
      expect(parse(toYaml(crdOf(kind)), { version: '1.1' })).to.deep.equal(JSON.parse(JSON.stringify(crdOf(kind))));
    });
  }

  it('refuses what is not structural, and names the place', () => {
    const either = z.union([z.int(), z.boolean()]);
    expect(refusal(z.strictObject({ a: field(either, { description: 'Either.' }) }))).to.contain(
      'spec.a is one of several',
    );
    expect(refusal(z.strictObject({ a: field(z.tuple([text, text]), { description: 'A pair.' }) }))).to.contain(
      'spec.a',
    );
    expect(refusal(z.strictObject({ a: field(z.nullable(text), { description: 'Perhaps.' }) }))).to.contain('spec.a');
    expect(refusal(z.object({ a: text }).catchall(text))).to.contain('spec has both');
  });

  it('refuses a field without a description, and a text, list or map without a limit', () => {
    expect(refusal(z.strictObject({ a: z.string().max(8) }))).to.equal('spec.a has no description');
    expect(refusal(z.strictObject({ a: field(z.string(), { description: 'Long.' }) }))).to.contain(
      'spec.a has no maxLength',
    );
    expect(refusal(z.strictObject({ a: field(z.array(text), { description: 'Many.' }) }))).to.contain(
      'spec.a has no maxItems',
    );
    const map = field(z.record(z.string(), text), { description: 'Many.' });
    expect(refusal(z.strictObject({ a: map }))).to.contain('spec.a has no maxProperties');
  });

  it('keeps what a schema may say, without the bounds of safe integers', () => {
    const schema = z.strictObject({
      small: field(z.int().min(1).max(8).default(2), { description: 'Few.' }),
      large: field(z.int().optional(), { description: 'Any.' }),
    });
    expect(structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }), 'spec').properties).to.deep.equal(
      {
        small: { description: 'Few.', type: 'integer', format: 'int32', default: 2, minimum: 1, maximum: 8 },
        large: { description: 'Any.', type: 'integer', format: 'int64' },
      },
    );
  });

  it('takes a whole number or a text, with the bounds of both', () => {
    const either = z.union([z.int().min(0).max(64), z.string().max(7)]).optional();
    const schema = z.strictObject({ a: field(either, { description: 'Either.' }) });
    expect(structural(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }), 'spec').properties).to.deep.equal(
      {
        a: { description: 'Either.', 'x-kubernetes-int-or-string': true, minimum: 0, maximum: 64, maxLength: 7 },
      },
    );
  });

  it('writes each policy with the binding that makes it hold', () => {
    for (const { file, make } of policyFiles()) {
      const [policy, binding, ...rest] = parseAllDocuments(make()).map((document) => document.toJS());
      expect(rest, file).to.deep.equal([]);
      expect(policy.kind).to.equal('ValidatingAdmissionPolicy');
      expect(binding.spec).to.deep.equal({ policyName: policy.metadata.name, validationActions: ['Deny'] });
    }
    expect(crdFiles()).to.have.length(KINDS.length);
  });
});
