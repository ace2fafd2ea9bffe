import { expect } from 'chai';
import { METRICS } from '../../../agent/src/metrics/catalogue.ts';
import { Metrics } from '../../../operator/src/io/metrics.ts';
import { ALERTS } from './alerts.ts';
import { DASHBOARDS, dashboardText } from './dashboards.ts';
import { runbooksPage } from './files.ts';

/** What Prometheus itself makes for every target. */
const OWN = new Map([['up', ['instance', 'job']]]);
/** Labels that a scrape adds. */
const OF_TARGETS = ['instance', 'job', 'le'];

/** Every metric of agents and of the operator with its labels, as their registries have them. */
async function metrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const operator = new Metrics({ watches: () => [], queues: () => [], leads: () => true, conditions: () => [] });
  const all = new Map<string, readonly string[]>(OWN);
  for (const { name, labels } of METRICS) all.set(name, labels);
  for (const one of operator.registry.getMetricsAsArray()) {
    const { name, type, labelNames } = one as unknown as { name: string; type: string; labelNames: readonly string[] };
    const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) all.set(`${name}${suffix}`, labelNames);
  }
  return all;
}

/** Names with what stands in their braces: both of what this project writes, which has no quoted braces. */
const selectors = (expr: string): readonly (readonly [name: string, labels: readonly string[]])[] =>
  [...expr.matchAll(/\b(evio_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?/g)].map(([, name = '', inside = '']) => [
    name,
    [...inside.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  ]);

const EXPRESSIONS = [
  ...ALERTS.map(({ name, expr }) => [name, expr] as const),
  ...DASHBOARDS.flatMap(({ title, rows, variables }) => [
    ...rows.flatMap(({ panels }) =>
      panels.flatMap((panel) => panel.targets.map(({ expr }) => [`${title}: ${panel.title}`, expr] as const)),
    ),
    ...variables.map(({ name, query }) => [`${title}: $${name}`, query] as const),
  ]),
];

describe('alerts and dashboards', () => {
  it('name metrics that agents and operator have, with labels that these have', async () => {
    const known = await metrics();
    for (const [where, expr] of EXPRESSIONS) {
      const named = selectors(expr);
      expect(named, where).not.to.be.empty;
      for (const [name, labels] of named) {
        expect(known.has(name), `${where}: ${name}`).to.equal(true);
        expect([...(known.get(name) ?? []), ...OF_TARGETS], `${where}: ${name}`).to.include.members([...labels]);
      }
    }
  });

  it('leave no metric of an agent out of every dashboard', () => {
    const shown = new Set(
      EXPRESSIONS.slice(ALERTS.length).flatMap(([, expr]) => selectors(expr).map(([name]) => name)),
    );
    expect(METRICS.map(({ name }) => name).filter((name) => !shown.has(name))).to.deep.equal([]);
  });

  it('have a runbook for each alert, under its own heading', () => {
    const page = runbooksPage();
    for (const { name, look } of ALERTS) {
      expect(page).to.contain(`\n## ${name}\n`);
      expect(look, name).not.to.be.empty;
    }
    expect(new Set(ALERTS.map(({ name }) => name)).size).to.equal(ALERTS.length);
  });

  it('have panels that do not lie upon each other, each with a source, an explanation and a number of its own', () => {
    for (const dashboard of DASHBOARDS) {
      const { uid, panels } = JSON.parse(dashboardText(dashboard)) as {
        uid: string;
        panels: readonly {
          id: number;
          type: string;
          description?: string;
          datasource?: object;
          gridPos: { x: number; y: number; w: number; h: number };
        }[];
      };
      expect(uid).to.match(/^[a-z-]{1,40}$/);
      expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
      const taken = new Set<string>();
      for (const { type, description, datasource, gridPos } of panels) {
        if (type !== 'row') expect([description, datasource]).not.to.include(undefined);
        const { x, y, w, h } = gridPos;
        expect(x + w).to.be.at.most(24);
        for (let column = x; column < x + w; column++)
          for (let line = y; line < y + h; line++) {
            expect(taken.has(`${column},${line}`)).to.equal(false);
            taken.add(`${column},${line}`);
          }
      }
    }
  });
});
