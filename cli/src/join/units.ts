/** The systemd unit that runs a node: which one is meant by a node file, started and stopped. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readIfThere } from '../../../agent/src/io/atomic-file.ts';
import { mustRun } from '../process.ts';
import { hasSystemd } from '../server/systemd.ts';

/** systemd.unit(5), "Unit File Load Path": of two with one name the first counts. */
const FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/**
 * The unit, of this name and text, by which an agent runs with this node file: `evio.service`, or of a template such as
 * `evio@.service` with `/etc/evio/%i.json` the instance. Undefined: it runs another one, or none.
 */
export function unitFor(name: string, text: string, file: string): string | undefined {
  for (const line of text.split('\n')) {
    const [, command] = /^\s*ExecStart=(.*)$/.exec(line) ?? [];
    if (command === undefined || !/\bagent"?\s+"?run\b/.test(command)) continue;
    for (const word of command.split(/[\s"=]+/)) {
      if (word === file) return name;
      const [before, after] = word.split('%i');
      if (!name.includes('@.') || before === undefined || after === undefined) continue;
      const instance = file.slice(before.length, file.length - after.length);
      if (file === before + instance + after && /^[-._A-Za-z0-9]+$/.test(instance))
        return name.replace('@.', `@${instance}.`);
    }
  }
  return undefined;
}

/** Undefined also where systemd does not run. */
export function unitOf(file: string, folders: readonly string[] = FOLDERS): string | undefined {
  if (!hasSystemd()) return undefined;
  const seen = new Set<string>();
  for (const folder of folders)
    for (const name of namesIn(folder).filter((one) => /^evio.*\.service$/.test(one) && !seen.has(one))) {
      seen.add(name);
      const unit = unitFor(name, readIfThere(join(folder, name)) ?? '', file);
      if (unit !== undefined) return unit;
    }
  return undefined;
}

/** Sorted, so that the plain unit comes before a template. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

const START_MS = 60_000;

/** Now, and at each boot. */
export async function startUnit(unit: string): Promise<void> {
  await mustRun('systemd does not take the units', 'systemctl', ['daemon-reload']);
  await mustRun(`cannot start ${unit} (journalctl -u ${unit} says why)`, 'systemctl', ['enable', '--now', unit], {
    timeoutMs: START_MS,
  });
}

export const stopUnit = (unit: string): Promise<string> =>
  mustRun(`cannot stop ${unit}`, 'systemctl', ['disable', '--now', unit], { timeoutMs: START_MS });
