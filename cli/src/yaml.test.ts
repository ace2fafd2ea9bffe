import { expect } from 'chai';
import fc from 'fast-check';
import { parse } from 'yaml';
import { ioFor, print } from './output.ts';
import { yamlText } from './yaml.ts';

describe('-o yaml', () => {
  it('is the value that -o json prints, whatever is in it, for readers of YAML 1.2 and of 1.1', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const same = JSON.parse(JSON.stringify(value));
        expect(parse(yamlText(value))).to.deep.equal(same);
        expect(parse(yamlText(value), { version: '1.1', merge: false })).to.deep.equal(same);
      }),
      { numRuns: 200 },
    );
  });

  it('quotes what YAML 1.1 takes for something else', () => {
    const text = yamlText({ a: 'no', b: 'off', c: '0x10', d: '1_000', e: '12:30:45', f: '2026-01-01', g: 'plain' });
    expect(parse(text, { version: '1.1' })).to.deep.equal({
      a: 'no',
      b: 'off',
      c: '0x10',
      d: '1_000',
      e: '12:30:45',
      f: '2026-01-01',
      g: 'plain',
    });
    expect(text).to.contain('g: plain\n');
  });

  it('is printed by whatever command prints a value', async () => {
    const printed: string[] = [];
    const value = { nodes: [{ name: 'a', gone: undefined }] };
    for (const output of ['json', 'yaml', 'text'] as const)
      print(await ioFor(output, (text) => printed.push(text)), value, () => 'for people\n');
    expect(printed).to.deep.equal([`${JSON.stringify(value, null, 2)}\n`, 'nodes:\n  - name: a\n', 'for people\n']);
  });
});
