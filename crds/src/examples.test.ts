import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import type { z } from 'zod';
import { pathOf, rulesOf } from './documentation.ts';
import { effectivePodCIDRs, effectiveTurn } from './effective.ts';
import { evioNetworkSpec } from './evio-network.ts';
import { EXAMPLES, type Example } from './examples.ts';
import { KINDS } from './kinds.ts';

const DIRECTORY = 'crds/examples';
const objectsOf = (path: string): readonly { readonly kind: string; readonly spec: unknown }[] =>
  parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS());
const is = (example: Example, { kind, path, type, rule }: ReturnType<typeof rulesOf>[number]): boolean =>
  example.kind === kind && pathOf(example.field) === path && example.type === type && example.sentence === rule.message;

describe('the examples of the API', () => {
  it('are one pair for each rule', () => {
    const rules = KINDS.flatMap(rulesOf);
    expect(rules.length).to.be.greaterThan(30);
    for (const rule of rules) {
      const pairs = EXAMPLES.filter((example) => is(example, rule)).map((example) => example.name);
      expect(pairs, `${rule.kind} ${rule.path}: ${rule.rule.message}`).to.have.length(1);
    }
    for (const example of EXAMPLES) {
      expect(
        rules.filter((rule) => is(example, rule)),
        `${example.kind} ${example.name}`,
      ).to.have.length(1);
    }
  });

  it('are all there, and no file is there without its sentence', () => {
    for (const { kind } of KINDS) {
      const expected = EXAMPLES.filter((example) => example.kind === kind).flatMap(({ name }) => [
        `${name}.accepted.yaml`,
        `${name}.refused.yaml`,
      ]);
      expect(readdirSync(`${DIRECTORY}/${kind.toLowerCase()}`).sort()).to.deep.equal(expected.sort());
    }
  });

  it('say at their head what becomes of them', () => {
    for (const { kind, name, sentence } of EXAMPLES) {
      const first = (verdict: string): string =>
        readFileSync(`${DIRECTORY}/${kind.toLowerCase()}/${name}.${verdict}.yaml`, 'utf8').split('\n')[0] ?? '';
      expect(first('accepted')).to.match(/^# Accepted\./);
      expect(first('refused').startsWith(`# Refused: ${sentence}.`), name).to.equal(true);
    }
  });

  it('that are accepted are what the schemas take, and so is the sample', () => {
    const files = EXAMPLES.map(({ kind, name }) => `${DIRECTORY}/${kind.toLowerCase()}/${name}.accepted.yaml`);
    for (const file of [...files, 'manifests/samples/evionetwork.yaml']) {
      for (const { kind, spec } of objectsOf(file)) {
        const schema = KINDS.find((one) => one.kind === kind)?.spec as z.ZodType;
        expect(schema.safeParse(spec).error?.message, file).to.equal(undefined);
      }
    }
  });
});

describe('defaults that depend on other fields', () => {
  const spec = (input: z.input<typeof evioNetworkSpec>) => evioNetworkSpec.parse(input);

  it('give pods their prefix in PodNetwork only', () => {
    expect(effectivePodCIDRs(spec({}))).to.deep.equal(['10.244.0.0/16']);
    expect(effectivePodCIDRs(spec({ podCIDRs: [] }))).to.deep.equal(['10.244.0.0/16']);
    expect(effectivePodCIDRs(spec({ podCIDRs: ['10.200.0.0/16'] }))).to.deep.equal(['10.200.0.0/16']);
    expect(effectivePodCIDRs(spec({ mode: 'HostNetwork' }))).to.deep.equal([]);
  });

  it('take relays from where the XMPP server is', () => {
    const external = { service: 'xmpps://x.example:5223', domain: 'x.example', adminSecretRef: { name: 'admin' } };
    expect(effectiveTurn(spec({}))).to.equal('Embedded');
    expect(effectiveTurn(spec({ signalling: { external } }))).to.equal('Signalling');
    expect(effectiveTurn(spec({ signalling: { external }, ice: { turn: 'None' } }))).to.equal('None');
  });
});
