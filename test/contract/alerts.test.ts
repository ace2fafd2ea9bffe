/** Alert rules and dashboards by Prometheus' own tool: every expression is one, and every alert fires when it is to. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { ALERTS } from '../../charts/src/monitoring/alerts.ts';
import { DASHBOARDS } from '../../charts/src/monitoring/dashboards.ts';

/** Of Debian's package prometheus; EVIO_PROMTOOL names another. */
const PROMTOOL = process.env.EVIO_PROMTOOL ?? 'promtool';
const RULES = resolve('manifests/monitoring/alerts.yaml');

const minutes = (text: string): number => {
  const [, number = '', unit = ''] = /^(\d+)([mhd])$/.exec(text) ?? [];
  return Number(number) * { m: 1, h: 60, d: 1440 }[unit as 'm' | 'h' | 'd'];
};

describe('alert rules and dashboards', function () {
  this.timeout(60_000);
  let dir: string;
  before(() => {
    if (spawnSync(PROMTOOL, ['--version']).status !== 0)
      throw new Error(
        `${PROMTOOL} is missing; hack/setup.sh installs it (Debian's prometheus), EVIO_PROMTOOL names another`,
      );
    dir = mkdtempSync(join(tmpdir(), 'evio-rules-'));
  });
  after(() => dir && rmSync(dir, { recursive: true }));
  const promtool = (...args: readonly string[]): string => {
    const done = spawnSync(PROMTOOL, args, { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(done.stdout + done.stderr);
    return done.stdout + done.stderr;
  };

  it('are read by promtool, all of them', () => {
    expect(promtool('check', 'rules', RULES)).to.contain(`SUCCESS: ${ALERTS.length} rules found`);
  });

  it('have in every panel what Prometheus can evaluate', () => {
    const chosen = { $__rate_interval: '5m', $overlay: 'lab', $node: 'edge1' };
    const rules = DASHBOARDS.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels))
      .flatMap(({ targets }) => targets)
      .map(({ expr }, i) => ({
        record: `panel:${i}`,
        expr: Object.entries(chosen).reduce((text, [name, value]) => text.replaceAll(name, value), expr),
      }));
    const file = join(dir, 'panels.yaml');
    writeFileSync(file, stringify({ groups: [{ name: 'panels', rules }] }));
    expect(promtool('check', 'rules', file)).to.contain(`SUCCESS: ${rules.length} rules found`);
  });

  it('fire for what they are made for, not before their time, and say what they say without a gap', () => {
    const file = join(dir, 'fires.yaml');
    /** One test for each alert that expects nothing at that time: what promtool then says it got is what there is. */
    const tests = (at: (lasts: number) => number): void =>
      writeFileSync(
        file,
        stringify({
          rule_files: [RULES],
          evaluation_interval: '5m',
          tests: ALERTS.map(({ name, fires, for: lasts }) => ({
            interval: '1m',
            input_series: fires.map(([series, values]) => ({ series, values })),
            alert_rule_test: [{ alertname: name, eval_time: `${at(minutes(lasts))}m`, exp_alerts: [] }],
          })),
        }),
      );
    tests((lasts) => Math.max(0, lasts - 5));
    promtool('test', 'rules', file);
    tests((lasts) => Math.ceil(lasts / 5) * 5 + 30);
    const { stdout, stderr } = spawnSync(PROMTOOL, ['test', 'rules', file], { encoding: 'utf8' });
    const got = new Map(
      [...(stdout + stderr).matchAll(/alertname: (\w+)[\s\S]*?got:\[([\s\S]*?)\]\s*(?=\n\s*\n|$|.*alertname)/g)].map(
        ([, name = '', what = '']) => [name, what],
      ),
    );
    for (const { name, summary } of ALERTS) {
      const [, said = ''] = /summary="([^"]*)"/.exec(got.get(name) ?? '') ?? [];
      expect(said, `${name}: ${summary}: ${got.get(name)}`)
        .to.match(/\S/)
        .and.not.to.match(/<no value>|\{\{/);
      // A label that a template names and the expression has lost leaves nothing where a name was.
      expect(said, name).not.to.match(/^ | {2}| \.$|: \.$|of ,|to \./);
    }
  });

  it('are in the chart as in manifests/, off unless asked for', () => {
    const same = execFileSync('diff', ['-r', 'charts/evio/files/monitoring', 'manifests/monitoring'], {
      encoding: 'utf8',
    });
    expect(same).to.equal('');
  });
});
