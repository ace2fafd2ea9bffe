/** Bad lines: `impair` (test/impair) on the links between the internet's router and some of its networks. */
import type { ChildProcess } from 'node:child_process';
import { join, resolve } from 'node:path';
import { attempt, collect, run, sleep, until } from '../demo/shell.ts';

const IMPAIR = join(process.env.CARGO_TARGET_DIR ?? resolve('target'), 'release/impair');

/** Of one link, for each packet in each direction by itself. Times in ms, shares in percent. */
export interface Impairment {
  readonly loss?: number;
  readonly duplicate?: number;
  readonly delay?: number;
  /** Share of packets that are held `hold` ms longer than the others. */
  readonly reorder?: number;
  readonly hold?: number;
}

/** A router's link to a network, and the only address behind it. */
export interface Stretch {
  /** The router's namespace. */
  readonly ns: string;
  readonly link: string;
  readonly address: string;
  /** A routing table of that router which is free. */
  readonly table: string;
}

const UPLINKS = {
  home1: { ns: 'inet', link: 'to-home1', address: '192.0.2.6', table: '101' },
  cloud2: { ns: 'inet', link: 'to-cloud2', address: '198.51.100.10', table: '102' },
} as const satisfies Readonly<Record<string, Stretch>>;
export type Uplink = keyof typeof UPLINKS;

/** What `impair` says it did. */
export interface Impaired {
  readonly taken: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly held: number;
  readonly given: number;
  readonly overflowed: number;
}

interface Line {
  readonly ns: string;
  readonly child: ChildProcess;
  readonly output: Promise<string>;
  readonly rules: readonly (readonly string[])[];
  readonly longestMs: number;
}

/**
 * Impairs uplinks while `during` runs, in both directions. Packets between two of them meet both. Gives what `during` gives, and
 * what was done on each uplink.
 */
export async function impaired<T>(
  uplinks: Partial<Readonly<Record<Uplink, Impairment>>>,
  during: () => Promise<T>,
): Promise<{ readonly result: T; readonly did: Readonly<Record<string, Impaired>> }> {
  const lines = new Map<string, Line>();
  const did: Record<string, Impaired> = {};
  try {
    for (const [name, impairment] of Object.entries(uplinks))
      lines.set(name, await impair(`bad-${name}`, UPLINKS[name as Uplink], impairment));
    return { result: await during(), did };
  } finally {
    await Promise.all([...lines].map(async ([name, line]) => Object.assign(did, { [name]: await mend(line) })));
  }
}

/** The same of a router other than the demo's. */
export async function impairedStretch<T>(
  stretch: Stretch,
  impairment: Impairment,
  during: () => Promise<T>,
): Promise<{ readonly result: T; readonly did: Impaired | undefined }> {
  const line = await impair('bad', stretch, impairment);
  const result = await during().catch(async (error) => {
    await mend(line);
    throw error;
  });
  return { result, did: await mend(line) };
}

async function impair(device: string, stretch: Stretch, impairment: Impairment): Promise<Line> {
  const { ns, link, address, table } = stretch;
  const options = Object.entries(impairment).map(([key, value]) => `${key}=${value}`);
  const { child, output } = collect(ns, IMPAIR, device, ...options);
  const rules = [
    // What has crossed the line on its way to the network goes on to it; all else to and from the network crosses the line.
    ['pref', '100', 'iif', device, 'to', address, 'lookup', 'main'],
    ['pref', '110', 'iif', link, 'lookup', table],
    ['pref', '120', 'to', address, 'lookup', table],
  ];
  const line = { ns, child, output, rules, longestMs: (impairment.delay ?? 0) + (impairment.hold ?? 0) };
  try {
    await until(`${IMPAIR} has made ${device}`, 5_000, async () => {
      if (child.exitCode !== null) throw new Error(`${IMPAIR} ended: was it built? (hack/build.sh)`);
      return (await attempt(ns, ['ip', 'link', 'show', device])).code === 0;
    });
    await run(ns, 'ip', 'link', 'set', device, 'txqueuelen', '10000', 'up');
    // What the router says itself has an address of its own as its source when it comes back out of the line.
    await run(ns, 'sysctl', '-qw', `net.ipv4.conf.${device}.accept_local=1`, `net.ipv4.conf.${device}.rp_filter=0`);
    await run(ns, 'ip', 'route', 'add', 'default', 'dev', device, 'table', table);
    for (const rule of rules) await run(ns, 'ip', 'rule', 'add', ...rule);
  } catch (error) {
    await mend(line);
    throw error;
  }
  return line;
}

async function mend({ ns, child, output, rules, longestMs }: Line): Promise<Impaired | undefined> {
  for (const rule of rules) await attempt(ns, ['ip', 'rule', 'del', ...rule]);
  // What is under way arrives.
  await sleep(longestMs + 100);
  child.kill('SIGTERM');
  const last = (await output).trim().split('\n').at(-1) ?? '';
  return last.startsWith('{') ? (JSON.parse(last) as Impaired) : undefined;
}
