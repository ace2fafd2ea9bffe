/**
 * `make sim`: how the overlay does at scale, simulated; results/sim.json, results/sim.md, results/sim-N.svg.
 *
 *   npm run sim -- [--nodes 16,128,1000] [--seed 7] [--seeds 1] [--floods 1000] [--only standing|moving]
 *
 * The same seed gives the same figures. Figures that fall short are shown as they are, and counted as failed.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Report, say } from '../../demo/report.ts';
import { coldStart, failure, living } from './moving.ts';
import { ringSvg } from './ring-svg.ts';
import { type Column, holds, PATIENCE, ROWS, type RowName, shown, table, worse } from './rows.ts';
import { standing } from './standing.ts';

const SIZE_MAX = 20_000;

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  process.stderr.write(`--${name}: '${text}' is no whole number from ${least} to ${most}\n`);
  process.exit(2);
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        nodes: { type: 'string', default: '16,128,1000' },
        seed: { type: 'string', default: '7' },
        seeds: { type: 'string', default: '1' },
        floods: { type: 'string', default: '1000' },
        only: { type: 'string' },
      },
    });
    if (values.only !== undefined && values.only !== 'standing' && values.only !== 'moving')
      throw new Error(`--only: '${values.only}' is neither standing nor moving`);
    return {
      only: values.only,
      sizes: values.nodes.split(',').map((text) => number('nodes', text, 2, SIZE_MAX)),
      seed: number('seed', values.seed, 0, 2 ** 31),
      seeds: number('seeds', values.seeds, 1, 1_000),
      floods: number('floods', values.floods, 1, 100_000),
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  }
}

const { sizes, seed, seeds, floods, only } = options();
const report = new Report('sim', false);
const columns = new Map<number, Column>();
mkdirSync('results', { recursive: true });

/** One seed's figures of one size. */
function once(size: number, of: number) {
  const found: Partial<Record<RowName, number>> = {};
  const details: Record<string, unknown> = { seed: of };
  if (only !== 'moving') {
    const { column, graph, dead, details: more } = standing({ size, seed: of, floods });
    Object.assign(found, column);
    Object.assign(details, more);
    if (of === seed) writeFileSync(`results/sim-${size}.svg`, ringSvg(graph, `seed ${seed}`, dead));
  }
  if (only !== 'standing') {
    for (const [name, moves] of [
      ['cold-start', coldStart],
      ['failure', failure],
      ['living', living],
    ] as const) {
      const { seconds, details: more } = moves(size, of, PATIENCE * ROWS[name].limit(size) * 1_000);
      found[name] = seconds;
      details[name] = more;
    }
  }
  return { found, details };
}

function measure(size: number): void {
  const column: Partial<Record<RowName, number>> = {};
  const runs: unknown[] = [];
  for (let i = 0; i < seeds; i++) {
    const began = performance.now();
    const { found, details } = once(size, seed + i);
    for (const [name, value] of Object.entries(found) as [RowName, number][]) {
      column[name] = worse(name, column[name], value);
    }
    const seconds = Number(((performance.now() - began) / 1_000).toFixed(1));
    runs.push({ ...details, column: found, seconds });
    say(`${size} nodes, seed ${seed + i}: ${seconds} s`);
  }
  columns.set(size, column);
  report.details[String(size)] = runs;
  for (const [name, value] of Object.entries(column) as [RowName, number][]) {
    const { title } = ROWS[name];
    const limit = `${'least' in ROWS[name] ? '>=' : '<='} ${Number(ROWS[name].limit(size).toFixed(2))}`;
    report.holds(`${size} nodes: ${title}`, holds(name, size, value), shown(name, value), limit);
  }
}

for (const size of sizes) measure(size);
const lines = table(columns);
writeFileSync('results/sim.md', `${lines.join('\n')}\n`);
process.stdout.write(`\n${lines.join('\n')}\n\n${report.save()}\n${report.passed} passed, ${report.failed} failed\n`);
process.exitCode = report.failed === 0 ? 0 : 1;
