/** Bar charts as SVG text: a bar is a median, the line across its end goes from the least to the most of the rounds. */
import { type Measure, shown } from './results.ts';
import type { Summary } from './stats.ts';

export interface Bar {
  readonly label: string;
  readonly value: Summary;
  /** What the chart is about, among what it is compared with. */
  readonly ours: boolean;
}

const WIDTH = 720;
const LABELS = 150;
const VALUES = 130;
const ROW = 26;
const TOP = 34;

/** Text of any kind within an element or an attribute. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

export function chart(measure: Measure, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value.max), Number.MIN_VALUE);
  const room = WIDTH - LABELS - VALUES;
  const x = (value: number): string => (LABELS + (Math.max(0, value) / most) * room).toFixed(1);
  const height = TOP + bars.length * ROW + 8;
  const title = `${measure.title}, ${measure.unit}, ${measure.better} is better`;
  const rows = bars.map(({ label, value, ours }, i) => {
    const y = TOP + i * ROW;
    const middle = y + ROW / 2 - 2;
    const width = (Number(x(value.median)) - LABELS).toFixed(1);
    return [
      `<text x="${LABELS - 8}" y="${middle + 4}" text-anchor="end"${ours ? ' font-weight="bold"' : ''}>${escaped(label)}</text>`,
      `<rect x="${LABELS}" y="${y + 2}" width="${width}" height="${ROW - 8}" fill="${ours ? '#2f6fdb' : '#9aa7b8'}"/>`,
      `<path d="M${x(value.min)} ${middle}H${x(value.max)}M${x(value.min)} ${middle - 4}v8M${x(value.max)} ${middle - 4}v8" stroke="#1b2430" fill="none"/>`,
      `<text x="${(Number(x(value.max)) + 8).toFixed(1)}" y="${middle + 4}">${shown(value.median)}</text>`,
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" role="img">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="8" y="20" font-weight="bold">${escaped(title)}</text>
${rows.join('\n')}
</svg>
`;
}
