/** RESULTS.md and its charts, from results: text in, text out. */
import { type Bar, chart } from './chart.ts';
import { type Figure, figures } from './figures.ts';
import {
  type BenchRun,
  type MeasureName,
  measureOf,
  measuresIn,
  peersIn,
  type Results,
  type RoundLoad,
  seriesOf,
  shown,
  wasLoaded,
} from './results.ts';
import { ratio, type Series, summary } from './stats.ts';

export interface Section {
  readonly name: string;
  readonly title: string;
  /** How it was measured. */
  readonly text: string;
}

export interface Page {
  readonly markdown: string;
  /** By the name of the file. */
  readonly charts: ReadonlyMap<string, string>;
}

const REFERENCES = ['veth', 'wireguard-go'] as const;

export function page(results: Results, sections: readonly Section[]): Page {
  const charts = new Map<string, string>();
  const measured = sections.filter(({ name }) => results.benches[name] !== undefined);
  const missing = sections.filter(({ name }) => results.benches[name] === undefined);
  const parts = [
    '# How fast Evio is, beside its peers',
    'Made by `make bench`: see [docs/bench.md](../../docs/bench.md) for how it measures, and how to run it yourself.',
    head(Object.values(results.benches)),
    '## Figures with a goal',
    goals(figures(results)),
    ...measured.flatMap((section) => sectionOf(section, results.benches[section.name] as BenchRun, charts)),
    ...(missing.length > 0 ? [`Not measured here: ${missing.map(({ name }) => name).join(', ')}.`] : []),
  ];
  return { markdown: `${parts.join('\n\n')}\n`, charts };
}

function head(runs: readonly BenchRun[]): string {
  const first = runs[0];
  if (first === undefined) return 'Nothing was measured.';
  const facts = new Map(runs.flatMap(({ peers }) => peers).map((peer) => [peer.name, peer]));
  const rows = [...facts.values()].map(({ name, version, encrypted, mtu }) => [
    name,
    version,
    encrypted ? 'yes' : 'no',
    mtu > 0 ? String(mtu) : '',
  ]);
  const peers = rows.length > 0 ? `\n\n${table(['peer', 'version', 'encrypted', 'MTU'], 'lllr', rows)}` : '';
  return `${first.machine}.${peers}`;
}

function goals(all: readonly Figure[]): string {
  const rows = all.map(({ name, title, unit, bound, goal, stretch, value, reached }) => [
    `\`${name}\``,
    title,
    value === undefined ? 'not measured' : `**${shown(value.median)}** (${shown(value.min)} to ${shown(value.max)})`,
    `${bound} ${goal}${stretch === undefined ? '' : `, stretch ${stretch}`} ${unit}`,
    value === undefined ? '' : reached ? 'yes' : 'no',
  ]);
  return table(['figure', '', 'median (least to most)', 'goal', 'reached'], 'llrll', rows);
}

/** One bench in Markdown, a block an entry; its charts are added. */
export function sectionOf(section: Section, run: BenchRun, charts: Map<string, string>): readonly string[] {
  const names = measuresIn(run);
  const compared = names.filter((name) => measureOf(name).compared);
  const others = names.filter((name) => !measureOf(name).compared);
  for (const name of compared) charts.set(`${run.name}-${name}.svg`, chart(measureOf(name), bars(run, name)));
  return [
    `## ${section.title}`,
    section.text,
    `${run.at}, commit ${run.commit.slice(0, 12)}. ${loads(run.loads)}`,
    ...run.notes.map((note) => `Note: ${note}.`),
    ...run.failures.map((failure) => `**Not measured**: ${failure}.`),
    ...compared.flatMap((name) => [comparison(run, name), `![](charts/${run.name}-${name}.svg)`]),
    ...(others.length > 0 ? [side(run, others)] : []),
  ];
}

function bars(run: BenchRun, measure: MeasureName): readonly Bar[] {
  return peersIn(run, measure).flatMap((peer) => {
    const value = summary([...seriesOf(run, measure, peer).values()]);
    return value === undefined ? [] : [{ label: peer, value, ours: peer.startsWith('evio') }];
  });
}

/** One measure, every peer, and what it is of the references in the same rounds. */
function comparison(run: BenchRun, measure: MeasureName): string {
  const { title, unit } = measureOf(measure);
  const peers = peersIn(run, measure);
  const references = REFERENCES.filter((reference) => peers.includes(reference));
  const rows = peers.map((peer) => {
    const own = seriesOf(run, measure, peer);
    return [
      peer,
      ...cells(own),
      ...references.map((reference) => cells(ratio(own, seriesOf(run, measure, reference)))[0] ?? ''),
    ];
  });
  const heads = [`${title}, ${unit}`, 'median', 'least', 'most', ...references.map((name) => `× ${name}`)];
  return table(heads, `l${'r'.repeat(heads.length - 1)}`, rows);
}

const cells = (series: Series): readonly string[] => {
  const all = summary([...series.values()]);
  return all === undefined ? ['', '', ''] : [all.median, all.min, all.max].map(shown);
};

/** What is not compared: a row a peer, a column a measure. */
function side(run: BenchRun, measures: readonly MeasureName[]): string {
  const peers = [...new Set(measures.flatMap((name) => peersIn(run, name)))];
  const rows = peers.map((peer) => [
    peer,
    ...measures.map((name) => {
      const [middle, least, most] = cells(seriesOf(run, name, peer));
      return middle === '' ? '' : `${middle} (${least} to ${most})`;
    }),
  ]);
  const heads = measures.map((name) => `${measureOf(name).title}, ${measureOf(name).unit}`);
  return table(['', ...heads], `l${'r'.repeat(heads.length)}`, rows);
}

/** What the machine did besides: in words, with a warning when it matters. */
export function loads(all: readonly RoundLoad[]): string {
  if (all.length === 0) return '';
  const range = (of: (one: RoundLoad) => number, digits: number, factor = 1): string => {
    const values = all.map((one) => of(one) * factor);
    return `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`;
  };
  const before = range(({ loadBefore }) => loadBefore, 2);
  const others = range((one) => one.others, 1, 100);
  const steal = range((one) => one.steal, 1, 100);
  const words = `${all.length} ${all.length === 1 ? 'round' : 'rounds'}; load before a round ${before}, processors used by others ${others} %, stolen ${steal} %.`;
  const loaded = all.filter(wasLoaded).length;
  return loaded === 0
    ? words
    : `${words} **The machine was loaded in ${loaded} of ${all.length}**: read ratios, not amounts.`;
}

/** A Markdown table; `align` has one letter a column: l or r. */
function table(heads: readonly string[], align: string, rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line([...align].map((one) => (one === 'r' ? '---:' : '---'))), ...rows.map(line)].join('\n');
}
