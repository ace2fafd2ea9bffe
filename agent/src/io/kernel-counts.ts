/** What the kernel's ICMP has counted since it started, of both families (proc(5), RFC 2011 and RFC 4293's names). */
import { readFileSync } from 'node:fs';
import type { KernelCounts } from '../trace/types.ts';

export function kernelCounts(proc = '/proc/net'): KernelCounts | null {
  try {
    const four = snmp(readFileSync(`${proc}/snmp`, 'utf8'));
    const six = snmp6(read(`${proc}/snmp6`));
    return {
      echoIn: (four.get('InEchos') ?? 0) + (six.get('Icmp6InEchos') ?? 0),
      replyOut: (four.get('OutEchoReps') ?? 0) + (six.get('Icmp6OutEchoReplies') ?? 0),
    };
  } catch {
    // Where /proc does not tell, nobody knows.
    return null;
  }
}

/** A kernel without IPv6 has no such file. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Two lines for each protocol: names, then values. */
function snmp(text: string): ReadonlyMap<string, number> {
  const [names, values] = text.split('\n').filter((line) => line.startsWith('Icmp: '));
  const numbers = (values ?? '').split(/\s+/);
  return new Map((names ?? '').split(/\s+/).map((name, i) => [name, Number(numbers[i] ?? 0)]));
}

/** A line for each counter. */
function snmp6(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([name, value]) => [name ?? '', Number(value ?? 0)]),
  );
}
