/** The agent's log, by winston: one line each, as text for people or JSON for machines. No secret is ever handed to it. */
import winston from 'winston';
import type { LogIdentity } from '../log-fields.ts';
import { Share } from '../share.ts';
import { standardOutput } from './output.ts';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** What the agent's parts need of a log. */
export interface Log {
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * Lines of a second, and at once: whatever a peer or a server does, it does not fill the disk. Errors are always written, and so is
 * everything at level debug, which somebody asked for.
 */
const LINES = { perSecond: 1, burst: 150 };

/** Lets lines through as long as they are not too many, and tells how many were left out before the next one. */
export class Pace {
  readonly #share = new Share(LINES);
  #omitted = 0;

  /** How many lines were left out before this one; undefined when this one is left out too. */
  take(nowMs: number): number | undefined {
    if (!this.#share.take('', nowMs)) {
      this.#omitted++;
      return undefined;
    }
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted;
  }
}

/** `identity`: what JSON has in every line (docs/logs.md); text leaves it to who reads it, which knows whose log it is. */
export function createLog(
  options: { readonly level: LogLevel; readonly format: 'text' | 'json' },
  identity: LogIdentity,
): Log {
  const { combine, timestamp, json, printf } = winston.format;
  const text = printf((info) => {
    const { level, message, timestamp: time, ...fields } = info;
    const rest = Object.entries(fields)
      .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join('');
    return oneLine(`${String(time)} ${level} ${String(message)}${rest}`);
  });
  const logger = winston.createLogger({
    level: options.level,
    ...(options.format === 'json' ? { defaultMeta: identity } : {}),
    format: combine(timestamp(), options.format === 'json' ? json() : text),
    transports: [new winston.transports.Stream({ stream: standardOutput() })],
  });
  if (options.level === 'debug') return logger;
  const pace = new Pace();
  const paced = (level: 'warn' | 'info') => (message: string, fields?: Readonly<Record<string, unknown>>) => {
    if (!logger.isLevelEnabled(level)) return;
    const omitted = pace.take(performance.now());
    if (omitted === undefined) return;
    if (omitted > 0) logger.warn(`${omitted} lines were left out: too many`);
    logger.log(level, message, fields ?? {});
  };
  return {
    error: (message, fields) => void logger.error(message, fields),
    warn: paced('warn'),
    info: paced('info'),
    debug: (message, fields) => void logger.debug(message, fields),
  };
}

/** What a peer or a server wrote must not look like a line of ours. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}
