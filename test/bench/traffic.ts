/** Flows and datagrams by iperf3 between two ends, and what the machine spent on them. */
import { readFileSync } from 'node:fs';
import { attempt, collect, PREFIX, sleep, until } from '../demo/shell.ts';
import { type Datagrams, datagramsOf, type Flow, flowOf } from './iperf.ts';
import { inGroup, type Machine, machineNow } from './usage.ts';

/** Where one end of the traffic is. */
export interface Host {
  /** Undefined: this machine itself. */
  readonly ns: string | undefined;
  /** The control group that iperf3 runs in. */
  readonly group: string;
}

/** Another machine, on which `iperf3 -s -p 5301` runs all the time. */
export const ELSEWHERE = 'elsewhere';

export const PORT = '5301';
/** Not counted: TCP finds its pace. */
const WARM_UP_S = 1;

const within = ({ ns, group }: Host, command: readonly string[]): readonly string[] =>
  inGroup(group, ns === undefined ? command : ['ip', 'netns', 'exec', PREFIX + ns, ...command]);

/** Runs iperf3 from one host to an address of the other; what it printed. */
async function iperf(
  from: Host,
  to: Host | typeof ELSEWHERE,
  target: string,
  seconds: number,
  options: readonly string[],
): Promise<string> {
  if (to === ELSEWHERE) {
    // A server that stays may not listen again yet when the next one calls.
    for (let tries = 1; tries < 3; tries++) {
      try {
        return await client(from, target, seconds, options);
      } catch {
        await sleep(1_000);
      }
    }
    return client(from, target, seconds, options);
  }
  const [program = '', ...args] = within(to, ['iperf3', '-s', '-1', '-p', PORT]);
  const listener = collect(undefined, program, ...args);
  try {
    const listening = ['ss', '-Hltn', 'sport', '=', `:${PORT}`];
    await until(`iperf3 listens in ${to.ns}`, 5_000, async () => (await attempt(to.ns, listening)).stdout !== '', 20);
    return await client(from, target, seconds, options);
  } finally {
    listener.child.kill('SIGKILL');
    await listener.output;
  }
}

async function client(from: Host, target: string, seconds: number, options: readonly string[]): Promise<string> {
  const command = ['iperf3', '-c', target, '-p', PORT, '-t', String(seconds), '-J', ...options];
  const done = await attempt(undefined, within(from, command), (seconds + 20) * 1000);
  if (done.code === 0) return done.stdout;
  const said = /"error":\s*"([^"]*)"/.exec(done.stdout)?.[1] ?? done.stderr.trim();
  throw new Error(`iperf3 to ${target}: ${said}`);
}

/** For a page of results: flows of all peers have it, and it moves the figures of a tunnel that waits for the processor. */
export const congestionControl = (): string =>
  `TCP’s congestion control is ${readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim()}, this machine’s default`;

export interface TcpOptions {
  readonly seconds: number;
  readonly flows: number;
  /** From the listener to the one that called. */
  readonly back?: boolean;
}

export async function tcp(
  from: Host,
  to: Host | typeof ELSEWHERE,
  target: string,
  { seconds, flows, back }: TcpOptions,
): Promise<Flow> {
  const options = ['-O', String(WARM_UP_S), '-P', String(flows), ...(back === true ? ['-R'] : [])];
  return flowOf(await iperf(from, to, target, seconds, options));
}

/** Datagrams of `size` bytes at a pace; what of them arrived. */
export interface UdpOptions {
  readonly size: number;
  /** Datagrams a second. */
  readonly pace: number;
  readonly seconds: number;
}

/** Datagrams at a pace; what of them arrived. */
export async function udp(
  from: Host,
  to: Host | typeof ELSEWHERE,
  target: string,
  { size, pace, seconds }: UdpOptions,
): Promise<Datagrams> {
  // The pace is kept every tenth of a millisecond; by the millisecond it would be bursts of a hundred.
  // And sockets get what the kernel allows by default (net.core.rmem_max), which is twice what they have.
  const options = ['-u', '-l', String(size), '-b', String(pace * size * 8), '--pacing-timer', '100', '-w', '208K'];
  return datagramsOf(await iperf(from, to, target, seconds, options));
}

/** What was spent while `during` ran. */
export interface Spent {
  readonly groups: Readonly<Record<string, number>>;
  readonly kernelThreads: number;
}

export async function spending<T>(
  groups: readonly string[],
  read: (group: string) => number,
  during: () => Promise<T>,
): Promise<{ readonly result: T; readonly spent: Spent }> {
  const before: Machine = machineNow();
  const at = groups.map(read);
  const result = await during();
  const spent = Object.fromEntries(groups.map((group, i) => [group, read(group) - (at[i] ?? 0)]));
  return { result, spent: { groups: spent, kernelThreads: machineNow().kernelThreads - before.kernelThreads } };
}
