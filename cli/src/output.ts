/** What commands print: text for people, or one JSON value or YAML document for programs. */

export const OUTPUTS = ['text', 'json', 'yaml'] as const;
export type Output = (typeof OUTPUTS)[number];

export interface Io {
  readonly output: Output;
  out(text: string): void;
  /** How a value is written for programs; undefined with `text`. */
  readonly write?: ((value: unknown) => string) | undefined;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** The library is loaded for who asks for YAML only. */
export async function ioFor(output: Output, out: Io['out']): Promise<Io> {
  if (output === 'text') return { output, out };
  return { output, out, write: output === 'json' ? json : (await import('./yaml.ts')).yamlText };
}

/** Prints `value` for programs, or as what `text` makes of it. */
export function print<T>(io: Io, value: T, text: (value: T) => string): void {
  io.out(io.output === 'text' ? text(value) : (io.write ?? json)(value));
}

/** Columns as wide as their widest cell; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((text, i) => text.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** 1234567 to "1.2 MB". */
export function bytesText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** 93784000 to "1d 2h". */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([n]) => n > 0);
  if (first === -1) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([n], i) => i === 0 || n > 0)
    .map(([n, unit]) => `${n}${unit}`)
    .join(' ');
}
