/** Looks for a marker of the inner traffic in every place that must not hold it. */
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NAMESPACES } from './internet.ts';
import type { Joined } from './overlay.ts';
import { pidOf } from './overlay.ts';
import { attempt, collect, sleep } from './shell.ts';

export interface Sightings {
  /** Times the marker stood in the tap of the receiving node: must be some. */
  readonly tap: number;
  /** Times per underlay namespace: must be none. */
  readonly underlay: ReadonlyMap<string, number>;
  /** Times in the memory of the nodes' agents: must be none. */
  readonly agents: ReadonlyMap<string, number>;
}

/** Pings with the marker as payload while the whole underlay is captured. */
export async function sightings(from: Joined, to: Joined, nodes: readonly Joined[], dir: string): Promise<Sightings> {
  const marker = Buffer.from(
    Array.from({ length: 16 }, (_, i) => (0xa5 ^ (i * 37 + Math.floor(Math.random() * 256))) & 0xff),
  );
  const places = NAMESPACES.filter((name) => !nodes.some((node) => node.name === name)).concat(
    nodes.map((node) => node.name),
  );
  const captures = places.map((ns) => {
    const file = join(dir, `capture-${ns}.pcap`);
    const link = nodes.some((node) => node.name === ns) ? 'eth0' : 'any';
    return { ns, file, ...collect(ns, 'tcpdump', '-U', '-Z', 'root', '-i', link, '-w', file, 'udp or tcp') };
  });
  const tapFile = join(dir, 'capture-tap.pcap');
  const tap = collect(to.name, 'tcpdump', '-U', '-Z', 'root', '-i', 'evio0', '-w', tapFile, 'icmp');
  await sleep(1000);
  await attempt(from.name, [
    'ping',
    '-n',
    '-q',
    '-i',
    '0.02',
    '-c',
    '50',
    '-s',
    '1000',
    '-p',
    marker.toString('hex'),
    to.ipv4,
  ]);
  const agents = new Map<string, number>();
  for (const node of nodes) agents.set(node.name, countInMemory(await pidOf(node, 'agent'), marker));
  await sleep(300);
  for (const { child } of [...captures, tap]) child.kill('SIGINT');
  await Promise.all([...captures, tap].map(({ output }) => output));
  const underlay = new Map(captures.map(({ ns, file }) => [ns, countIn(readFileSync(file), marker)]));
  const inTap = countIn(readFileSync(tapFile), marker);
  for (const { file } of captures) rmSync(file);
  rmSync(tapFile);
  return { tap: inTap, underlay, agents };
}

function countIn(haystack: Buffer, needle: Buffer): number {
  let found = 0;
  for (let at = haystack.indexOf(needle); at !== -1; at = haystack.indexOf(needle, at + needle.length)) found++;
  return found;
}

/** Scans every writable mapping of a process. */
function countInMemory(pid: number, needle: Buffer): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(1 << 20);
  let found = 0;
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (match === null) continue;
      const end = Number.parseInt(match[2] ?? '', 16);
      for (let at = Number.parseInt(match[1] ?? '', 16); at < end; at += chunk.length - needle.length) {
        try {
          const got = readSync(memory, chunk, 0, Math.min(chunk.length, end - at), at);
          found += countIn(chunk.subarray(0, got), needle);
        } catch {
          // A page that is mapped but not backed cannot hold anything.
        }
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}
