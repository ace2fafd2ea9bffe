import { expect } from 'chai';
import { parse } from 'yaml';
import { values } from './values.ts';
import { valuesSchema, valuesTable, valuesYaml } from './values-files.ts';

interface Section {
  readonly properties?: Readonly<Record<string, Section>>;
  readonly additionalProperties?: unknown;
}

describe('the values of the chart', () => {
  it('are in values.yaml as the schema has them, each under a comment', () => {
    const text = valuesYaml();
    expect(parse(text)).to.deep.equal(values.parse({}));
    const lines = text.split('\n');
    for (const key of Object.keys(values.shape)) {
      const at = lines.findIndex((line) => line.startsWith(`${key}:`));
      expect(lines[at - 1], key).to.match(/^# /);
    }
  });

  it('are refused when their name is not known, in every section, but for what Helm itself puts there', () => {
    const { properties = {}, additionalProperties } = JSON.parse(valuesSchema()) as Section;
    expect(additionalProperties).to.equal(false);
    expect(properties).to.have.property('global');
    for (const [name, section] of Object.entries(properties))
      if (section.properties !== undefined) expect(section.additionalProperties, name).to.equal(false);
  });

  it('stand in the documentation, one a row', () => {
    const { properties = {} } = JSON.parse(valuesSchema()) as Section;
    const names = Object.entries(properties).flatMap(([name, section]) =>
      section.properties === undefined ? [name] : Object.keys(section.properties).map((key) => `${name}.${key}`),
    );
    const rows = [...valuesTable().matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
    expect(rows).to.deep.equal(names.filter((name) => name !== 'global'));
  });
});
