/** Four faults, each with what every pair of nodes felt at 100 pings a second in both directions. */
import type { ChildProcess } from 'node:child_process';
import { type Pair, type Watched, watch } from './measure.ts';
import { type Joined, pidOf, serverPid, startAgent } from './overlay.ts';
import { attempt, feed, sleep } from './shell.ts';

/** SIGKILL for the agent; started again after `backAfterMs`, as a supervisor would. */
export async function agentKilled(
  victim: Joined,
  pairs: readonly Pair[],
  backAfterMs: number,
  keep: (child: ChildProcess) => void,
): Promise<readonly Watched[]> {
  return watch(pairs, async () => {
    process.kill(await pidOf(victim, 'agent'), 'SIGKILL');
    await sleep(backAfterMs);
    keep(startAgent(victim));
    await sleep(6000);
  });
}

/** SIGKILL for tincan; the agent has to notice and start another. */
export async function tincanKilled(victim: Joined, pairs: readonly Pair[]): Promise<readonly Watched[]> {
  return watch(pairs, async () => {
    process.kill(await pidOf(victim, 'tincan'), 'SIGKILL');
    await sleep(8000);
  });
}

/** The XMPP server frozen, so that nobody is told: no FIN, no RST, no answers. */
export async function xmppAway(awayMs: number, pairs: readonly Pair[]): Promise<readonly Watched[]> {
  const pid = await serverPid('xmpp');
  return watch(pairs, async () => {
    process.kill(pid, 'SIGSTOP');
    await sleep(awayMs);
    process.kill(pid, 'SIGCONT');
    await sleep(3000);
  });
}

/** Every packet of a node is dropped, in and out: no goodbye. */
export async function nodeDead(victim: Joined, pairs: readonly Pair[], deadMs: number): Promise<readonly Watched[]> {
  const table = `table inet evio_dead {
  chain in { type filter hook input priority -300; policy accept; iifname "eth0" drop; }
  chain out { type filter hook output priority -300; policy accept; oifname "eth0" drop; }
}`;
  try {
    return await watch(pairs, async () => {
      await feed(victim.name, table, 'nft', '-f', '-');
      await sleep(deadMs);
    });
  } finally {
    await attempt(victim.name, ['nft', 'delete', 'table', 'inet', 'evio_dead']);
  }
}

/** With every tincan gone, nothing must get through: the traffic we measured was ours. Gives the pairs that still talk. */
export async function pairsTalkingWithoutTincan(
  nodes: readonly Joined[],
  pairs: readonly Pair[],
): Promise<readonly Pair[]> {
  const pids = await Promise.all(nodes.map((node) => pidOf(node, 'tincan')));
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  try {
    const talked = await Promise.all(
      pairs.map(async (pair) =>
        (await attempt(pair.from.name, ['ping', '-n', '-q', '-c', '2', '-i', '0.2', '-W', '1', pair.to.ipv4])).code ===
        0
          ? pair
          : undefined,
      ),
    );
    return talked.filter((pair) => pair !== undefined);
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

/** Largest value among some watched pairs. */
export const worst = (watched: readonly Watched[], of: (one: Watched) => number): number =>
  watched.reduce((most, one) => Math.max(most, of(one)), 0);
