/** The table: what is measured of an overlay of n nodes, and what each figure may be. */

export interface Row {
  readonly title: string;
  readonly unit: string;
  /** What the figure may be at most, or at least where `least` is set. */
  limit(n: number): number;
  readonly least?: true;
}

const log2 = (n: number) => Math.log2(n);
const atMost = (title: string, unit: string, limit: (n: number) => number): Row => ({ title, unit, limit });
const whole = (title: string): Row => ({ title, unit: '%', limit: () => 100, least: true });
/** By size: the first bound that the overlay is not larger than. */
const upTo = (bounds: readonly (readonly [number, number])[]) => (n: number) =>
  bounds.find(([size]) => n <= size)?.[1] ?? bounds.at(-1)?.[1] ?? 0;

export const ROWS = {
  tunnels: atMost('tunnels per node, mean', '', (n) => 4 + 2 * Math.ceil(log2(n))),
  hops: atMost('hops without full mesh and on-demand tunnels, mean', '', (n) => (n <= 16 ? 2 : log2(n) / 2)),
  'hops-max': atMost('hops, most', '', (n) => (n <= 16 ? 4 : 3 * log2(n))),
  routed: whole('pairs with a route, nothing dead'),
  'routed-dead': whole('connected pairs with a route 1.5 s after 10 % of tunnels died at once'),
  holes: whole('pairs with a route 5 s after a node began to forward nothing'),
  flooded: whole('nodes reached by a flood'),
  'flooded-dead': whole('connected nodes reached by a flood, 10 % of tunnels silently dead'),
  copies: atMost('copies on a tunnel that a flood uses', '', () => 1),
  'copies-dead': atMost('the same, 10 % of tunnels silently dead', '', () => 1.5),
  flows: atMost('core flows per tunnel, most of a node', '', () => 64),
  idle: atMost(
    'IP bytes that a node sends in a second when idle, mean',
    'B/s',
    upTo([
      [16, 1_000],
      [128, 1_500],
      [1_000, 2_000],
      [10_000, 2_500],
    ]),
  ),
  'cold-start': atMost(
    'cold start to a closed ring',
    's',
    upTo([
      [16, 10],
      [128, 15],
      [1_000, 60],
      [10_000, 300],
    ]),
  ),
  living: atMost(
    'after ten minutes with NATs, loss, 2 % of nodes a minute dying and coming back, and a partition: ring closed',
    's',
    () => 30,
  ),
  failure: atMost(
    '10 % of nodes die at once: ring closed',
    's',
    upTo([
      [16, 5],
      [128, 10],
      [1_000, 20],
      [10_000, 30],
    ]),
  ),
} as const satisfies Readonly<Record<string, Row>>;

export type RowName = keyof typeof ROWS;

/** Figures of one size, over all seeds: the worst of them. */
export type Column = Readonly<Partial<Record<RowName, number>>>;

export function holds(name: RowName, n: number, value: number): boolean {
  const row: Row = ROWS[name];
  return row.least ? value >= row.limit(n) : value <= row.limit(n);
}

/** Of two seeds' figures the one that is further from what it should be. */
export function worse(name: RowName, a: number | undefined, b: number): number {
  if (a === undefined) return b;
  const row: Row = ROWS[name];
  return row.least ? Math.min(a, b) : Math.max(a, b);
}

/** How long is waited for what is a time, as a multiple of what it may take. */
export const PATIENCE = 2;

/** Never rounded to a whole 100 %. */
export function shown(name: RowName, value: number): string {
  const { unit }: Row = ROWS[name];
  if (value === Infinity) return `not in ${PATIENCE} times that`;
  const digits = unit === '%' ? (value === 100 ? 0 : value > 99.9 ? 4 : 2) : value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = unit === '%' ? (Math.floor(value * 1e4) / 1e4).toFixed(digits) : value.toFixed(digits);
  return unit === '' ? text : `${text} ${unit}`;
}

/** Lines of a Markdown table; a figure that falls short has its limit behind it. */
export function table(columns: ReadonlyMap<number, Column>): readonly string[] {
  const sizes = [...columns.keys()];
  const cell = (name: RowName, n: number) => {
    const value = columns.get(n)?.[name];
    if (value === undefined) return '';
    const row: Row = ROWS[name];
    const bound = `${row.least ? '≥' : '≤'} ${Number(row.limit(n).toFixed(2))}`;
    return holds(name, n, value) ? shown(name, value) : `**${shown(name, value)}** (${bound})`;
  };
  const names = (Object.keys(ROWS) as RowName[]).filter((name) =>
    sizes.some((n) => columns.get(n)?.[name] !== undefined),
  );
  return [
    `| | ${sizes.map((n) => n.toLocaleString('en-US')).join(' | ')} |`,
    `|---|${sizes.map(() => '---|').join('')}`,
    ...names.map((name) => `| ${ROWS[name].title} | ${sizes.map((n) => cell(name, n)).join(' | ')} |`),
  ];
}
