/**
 * What an asking pod has found, as text: whole in its log, a line a step; and all steps in its termination message, which a kubelet brings
 * to the API server by itself, also when nothing reaches the node. A message holds 4,096 bytes, so failures are cut where they are many. Pure.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { isObject } from '../../../agent/src/io/json-lines.ts';
import { ASKED_STEPS, type Found, type Miss } from './order.ts';

export const MESSAGE_MAX = 4_096;
/** Begins the lines and the messages that are ours. */
const MARK = 'evio-found ';
/** A pod that claims more inside has been tampered with. */
const INFLATED_MAX = 1024 * 1024;

/** One line of a log. */
export const lineOf = (value: object): string => MARK + JSON.stringify(value);

/** All steps whose lines are in the log. */
export const foundIn = (log: string): readonly Found[] => valuesIn(log).filter(isFound);

export function valuesIn(log: string): readonly unknown[] {
  return log.split('\n').flatMap((line) => (line.startsWith(MARK) ? parsed(line.slice(MARK.length)) : []));
}

export function messageOf(all: readonly Found[]): string {
  for (const most of [Number.POSITIVE_INFINITY, 64, 16, 4, 1, 0]) {
    const text = packed(all.map((found) => cut(found, most)));
    if (text.length <= MESSAGE_MAX) return text;
  }
  throw new RangeError('the steps without their failures are too long for a termination message');
}

/** As a termination message holds it; it may be too long for one. */
export const packed = (values: readonly object[]): string =>
  MARK + deflateRawSync(JSON.stringify(values)).toString('base64');

function cut(found: Found, most: number): Found {
  const more = found.failed.length - most;
  return more > 0 ? { ...found, failed: found.failed.slice(0, most), more } : found;
}

/** Undefined when the message is of something else: a program that ended before it had asked. */
export function valuesInMessage(message: string): readonly unknown[] | undefined {
  const text = message.trim();
  if (!text.startsWith(MARK)) return undefined;
  try {
    const bytes = Buffer.from(text.slice(MARK.length), 'base64');
    return parsed(inflateRawSync(bytes, { maxOutputLength: INFLATED_MAX }).toString());
  } catch {
    return undefined;
  }
}

export const foundInMessage = (message: string): readonly Found[] | undefined =>
  valuesInMessage(message)?.filter(isFound);

function parsed(text: string): readonly unknown[] {
  try {
    return [JSON.parse(text) as unknown].flat();
  } catch {
    return [];
  }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isMiss = (value: unknown): value is Miss =>
  isObject(value) && typeof value.to === 'string' && typeof value.why === 'string';

function isFound(value: unknown): value is Found {
  if (!isObject(value)) return false;
  const { step, asked, failed, more, retried, ms } = value;
  return (
    ASKED_STEPS.some((known) => known === step) &&
    [asked, retried, ms, more ?? 0].every(isCount) &&
    Array.isArray(failed) &&
    failed.every(isMiss)
  );
}
