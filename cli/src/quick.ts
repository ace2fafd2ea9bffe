/**
 * Command lines that are understood without the parser: what people and scripts ask a node again and again, in its usual forms. The
 * parser, with the options of all commands, takes three times as long as the answer. Whatever else stands in the line, help and mistakes
 * among them, is the parser's.
 */
import { OUTPUTS, type Output } from './output.ts';

export interface QuickLine {
  readonly path: 'status' | 'peers';
  readonly output: Output;
  /** As the parser would give them to the command (commands/show.ts). */
  readonly args: {
    readonly 'run-dir'?: string;
    readonly config?: string;
    readonly wait?: boolean;
    readonly timeout?: number;
  };
}

const TIMEOUT_S = 60;
const isOutput = (text: string): text is Output => (OUTPUTS as readonly string[]).includes(text);

/** Undefined: for the parser. */
export function quickLine(words: readonly string[]): QuickLine | undefined {
  const [path, ...rest] = words;
  if (path !== 'status' && path !== 'peers') return undefined;
  const given = optionsIn(rest);
  if (given === undefined) return undefined;
  const { output = 'text', wait, timeout, ...where } = given;
  if (!isOutput(output) || (where['run-dir'] !== undefined && where.config !== undefined)) return undefined;
  if (path === 'peers') return wait === undefined && timeout === undefined ? { path, output, args: where } : undefined;
  if (timeout !== undefined && !/^[1-9]\d{0,4}$/.test(timeout)) return undefined;
  return { path, output, args: { ...where, wait: wait !== undefined, timeout: Number(timeout ?? TIMEOUT_S) } };
}

interface Given {
  output?: string;
  'run-dir'?: string;
  config?: string;
  wait?: string;
  timeout?: string;
}

const OPTION = /^(?:-o|--(output|run-dir|config|timeout|wait))(?:=(.+))?$/;

/** Each option at most once, with its value behind it or behind `=`. */
function optionsIn(words: readonly string[]): Given | undefined {
  const given: Given = {};
  for (let i = 0; i < words.length; i++) {
    const [all, name = 'output', behind] = OPTION.exec(words[i] ?? '') ?? [];
    const key = name as keyof Given;
    if (all === undefined || given[key] !== undefined || (all.startsWith('-o') && behind !== undefined))
      return undefined;
    const value = key === 'wait' ? (behind === undefined ? 'true' : undefined) : (behind ?? words[++i]);
    if (value === undefined || value === '' || value.startsWith('-')) return undefined;
    given[key] = value;
  }
  return given;
}
