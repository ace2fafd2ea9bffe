/** What `evio config import` says on standard error. */

import { STANDARD_INPUT } from '../usage.ts';
import type { Imported } from './convert.ts';
import type { Note } from './walk.ts';

export const noteLine = ({ key, was, now }: Note): string => `${key}: ${was}; ${now}`;

/** An argument as a shell takes it, on one line whatever is in it. */
export function word(text: string): string {
  if (text === STANDARD_INPUT) return '-';
  if (/^[\w./:@+-]+$/.test(text)) return text;
  return /[^\x20-\x7e]/.test(text) ? JSON.stringify(text) : `'${text.replaceAll("'", "'\\''")}'`;
}

/** No old file knows a node's certificate and keys: this is where they come from. */
export function nextSteps(old: string, { overlay, name, address4, subnet4 }: Imported): string {
  const subnet = subnet4 === undefined ? '' : ` --subnet4 ${subnet4}`;
  const create = `evio overlay create NAME${subnet}`;
  const which = `--from ${word(old)} --from-overlay ${word(overlay)}`;
  const enroll = `evio node enroll${name === undefined ? ' NODE' : ''} --overlay NAME ${which}`;
  const who = [name ?? 'a name of your choice', ...(address4 === undefined ? [] : [address4])].join(', ');
  return `certificate, keys and account are made by enrolment: once ${create}, then for this node (${who}) ${enroll}`;
}
