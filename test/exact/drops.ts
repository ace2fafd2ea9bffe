/**
 * What queues of this machine dropped because they were full: a node that gets no turn for a while cannot take what comes meanwhile,
 * and that is no fault of what goes through. A datagram that is lost while no queue was full is.
 */
import { readFileSync } from 'node:fs';
import { attempt } from '../demo/shell.ts';

/** Dropped frames and datagrams by where. */
export type Drops = ReadonlyMap<string, number>;

const LINKS = '/sys/class/net/*/statistics/{rx,tx}_dropped';
const SCRIPT = `shopt -s nullglob; for f in ${LINKS}; do echo "$f $(<$f)"; done; cat /proc/net/snmp /proc/net/snmp6`;

/** Reads the counters of namespaces, and of the backlogs of the processors, which are the whole machine's. */
export async function dropsIn(namespaces: readonly string[]): Promise<Drops> {
  const of = await Promise.all(
    namespaces.map(async (ns) => {
      const found = parseDrops((await attempt(ns, ['bash', '-c', SCRIPT])).stdout);
      return [...found].map(([name, count]) => [`${ns} ${name}`, count] as const);
    }),
  );
  return new Map([...of.flat(), ...parseDrops(readFileSync('/proc/net/softnet_stat', 'utf8'))]);
}

export function parseDrops(text: string): Drops {
  const found = new Map<string, number>();
  const add = (name: string, value: number): void => {
    if (Number.isFinite(value)) found.set(name, (found.get(name) ?? 0) + value);
  };
  let names: readonly string[] = [];
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const link = /^\/sys\/class\/net\/([^/]+)\/statistics\/(\w+) (\d+)$/.exec(line);
    if (link !== null) add(`${link[1]} ${link[2]}`, Number(link[3]));
    else if (words[0] === 'Udp:' && words[1] === 'InDatagrams') names = words;
    // Of a full receive buffer, and of too little memory.
    else if (words[0] === 'Udp:')
      for (const name of ['RcvbufErrors', 'MemErrors']) add(`Udp ${name}`, Number(words[names.indexOf(name)]));
    else if (words[0] === 'Udp6RcvbufErrors' || words[0] === 'Udp6MemErrors') add(words[0], Number(words[1]));
    // /proc/net/softnet_stat: hexadecimal, the second column is what a full backlog dropped.
    else if (words.length >= 10 && words.every((word) => /^[0-9a-f]{8}$/.test(word)))
      add('backlog', Number.parseInt(words[1] ?? '', 16));
  }
  return found;
}

/** Counters that have grown between two looks. */
export const grown = (before: Drops, after: Drops): Drops =>
  new Map(
    [...after]
      .map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );

export const total = (drops: Drops): number => [...drops.values()].reduce((sum, count) => sum + count, 0);
