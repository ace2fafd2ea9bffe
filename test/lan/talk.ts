/** Whether hosts and their static pods reach each other, and for how long they did not. */
import { outageMs, type PingRun, parseFping, trimmed } from '../demo/ping.ts';
import { attempt, collect, sleep } from '../demo/shell.ts';
import type { Host } from './host.ts';

const EVERY_MS = 20;

/** Every host has an answer from every other one's overlay addresses, of both families. */
export async function hostsTalk(hosts: readonly Host[]): Promise<boolean> {
  const asked = await Promise.all(
    hosts.map((host) => {
      const others = hosts.filter((one) => one !== host).flatMap(({ node }) => [node.ipv4, node.ipv6]);
      return attempt(host.name, ['fping', '-q', '-r', '0', '-t', '500', ...others]);
    }),
  );
  return asked.every(({ code }) => code === 0);
}

/** Every pod gets, by HTTP over TCP, the name of every other one from it. */
export async function podsTalk(hosts: readonly Host[]): Promise<boolean> {
  const pods = await Promise.all(hosts.map((host) => host.pod()));
  const asked = await Promise.all(
    hosts.flatMap((host, at) =>
      hosts.map(async (other, to) => {
        const [from, target] = [pods[at], pods[to]];
        if (host === other) return true;
        if (from === undefined || target === undefined) return false;
        const ask = host.inPod(from, 'curl', '-s', '-m', '1', `http://${target.ipv4}/`);
        const got = await attempt(undefined, ask);
        return got.stdout.trim() === other.hostname;
      }),
    ),
  );
  return asked.every((ok) => ok);
}

/** Infinite when it does not hold within the time. */
export async function secondsUntil(withinS: number, holds: () => Promise<boolean>): Promise<number> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1_000;
  while (!(await holds())) {
    if (seconds() > withinS) return Number.POSITIVE_INFINITY;
    await sleep(100);
  }
  return seconds();
}

export interface Watched {
  readonly outageS: number;
  readonly lost: number;
  readonly sent: number;
}

/** Hosts ask hosts and pods ask pods, in both directions, all the while. */
export async function watched(hosts: readonly Host[], during: () => Promise<void>): Promise<Watched> {
  const pods = await Promise.all(hosts.map((host) => host.pod()));
  const asking = hosts.flatMap((host, at) => {
    const from = pods[at];
    if (from === undefined) throw new Error(`${host.name} has no pod`);
    const nodes = hosts.filter((one) => one !== host).map(({ node }) => node.ipv4);
    const others = pods.flatMap((pod, to) => (to === at || pod === undefined ? [] : [pod.ipv4]));
    // Until it is told to end, with what it has counted.
    const fping = ['fping', '-l', '-D', '-p', String(EVERY_MS), '-i', '1', '-t', '1500'];
    return [collect(host.name, ...fping, ...nodes), collect(undefined, ...host.inPod(from, ...fping, ...others))];
  });
  await sleep(1_000);
  let runs: readonly PingRun[];
  try {
    await during();
  } finally {
    for (const { child } of asking) child.kill('SIGINT');
    const said = await Promise.all(asking.map(async (one) => `${await one.output}\n${await one.errors}`));
    runs = said.flatMap((text) => [...parseFping(text).values()]).map((run) => trimmed(run, EVERY_MS));
  }
  if (runs.length !== asking.length) throw new Error(`${runs.length} of ${asking.length} were counted`);
  const sum = (of: (run: PingRun) => number): number => runs.reduce((all, run) => all + of(run), 0);
  return {
    outageS: Math.max(...runs.map((run) => outageMs(run, EVERY_MS))) / 1_000,
    lost: sum((run) => run.sent - run.replies.length),
    sent: sum((run) => run.sent),
  };
}
