/** The agent goes: killed, told to end, held. No frame of direct paths ever passes it, so none may be lost there. */
import { type Watched, watch } from '../demo/measure.ts';
import { type Joined, peers } from '../demo/overlay.ts';
import { sleep, until } from '../demo/shell.ts';
import {
  breaking,
  type Fault,
  type Lab,
  lostOf,
  node,
  note,
  outageS,
  relayedPair,
  sentOf,
  signal,
  startAgain,
  whole,
} from './lab.ts';

const VICTIM = 'home1';

/** After the fault before this one a relayed pair may still be on a detour. */
async function relayedByWebrtc(lab: Lab): Promise<void> {
  await until('relayed pairs are back on WebRTC', 30_000, async () => {
    for (const one of lab.nodes)
      for (const peer of await peers(one))
        if (relayedPair({ from: one, to: node(lab, peer.name) }) && peer.path !== 'webrtc') return false;
    return true;
  });
}

/**
 * In a ring a node's tunnels may all be WebRTC: those go with its agent by nature, and nothing of it could be reached while that is
 * held. One with a direct tunnel is taken.
 */
async function holdable(lab: Lab): Promise<Joined> {
  const candidates = [node(lab, VICTIM), ...lab.nodes.filter(({ name }) => name !== VICTIM)];
  for (const one of candidates) if ((await peers(one)).some(({ path }) => path === 'direct')) return one;
  throw new Error('no node has a direct tunnel');
}

/** What a pair's frames crossed before the fault: a WebRTC tunnel at any hop, or only direct ones. */
async function webrtcHops(lab: Lab): Promise<ReadonlySet<string>> {
  if (lab.shape === 'mesh') await relayedByWebrtc(lab);
  const found = new Set<string>();
  for (const one of lab.nodes)
    for (const peer of await peers(one)) if (peer.path === 'webrtc') found.add(`${one.name} ${peer.name}`);
  return found;
}

/**
 * In the mesh a pair's path is its tunnel's. In the ring a `via` pair may cross a WebRTC tunnel of the victim, and only the
 * victim's tunnels suffer: pairs without one between them are judged as direct.
 */
function judge(
  lab: Lab,
  name: string,
  hops: ReadonlySet<string>,
  watched: readonly Watched[],
  webrtcLimitS: number,
  victim = VICTIM,
): void {
  note(lab, name, watched);
  const ofVictim = [...hops].some((hop) => hop.split(' ').includes(victim));
  const crossesWebrtc = ({ pair }: Watched): boolean =>
    lab.shape === 'mesh' ? hops.has(`${pair.from.name} ${pair.to.name}`) : ofVictim;
  const plain = watched.filter((one) => !crossesWebrtc(one));
  const webrtc = watched.filter(crossesWebrtc);
  if (plain.length > 0)
    lab.report.none(`${name}: packets lost by pairs over direct tunnels`, lostOf(plain), sentOf(plain));
  if (webrtc.length === 0) return;
  if (webrtcLimitS === 0)
    lab.report.none(`${name}: packets lost over WebRTC tunnels`, lostOf(webrtc), sentOf(webrtc), 'relayed');
  else lab.report.atMost(`${name}: longest outage over WebRTC tunnels`, outageS(webrtc), webrtcLimitS, 's');
}

async function terminated(lab: Lab): Promise<void> {
  breaking(lab, `the agent of ${VICTIM} is told to end (SIGTERM), as for an upgrade, and comes back after 1 s`);
  const hops = await webrtcHops(lab);
  const watched = await watch(lab.pairs, async () => {
    await signal(node(lab, VICTIM), 'agent', 'SIGTERM');
    await sleep(1_000);
    startAgain(lab, node(lab, VICTIM));
    await sleep(6_000);
  });
  judge(lab, 'agent upgraded', hops, watched, 0);
  await whole(lab, 'agent upgraded', 5_000);
}

async function killed(lab: Lab): Promise<void> {
  breaking(lab, `the agent of ${VICTIM} is killed with -9, and comes back after 1 s`);
  const hops = await webrtcHops(lab);
  const watched = await watch(lab.pairs, async () => {
    await signal(node(lab, VICTIM), 'agent', 'SIGKILL');
    await sleep(1_000);
    startAgain(lab, node(lab, VICTIM));
    await sleep(6_000);
  });
  judge(lab, 'agent killed', hops, watched, 1.5);
  await whole(lab, 'agent killed', 5_000);
}

/** Keys are renewed every 120 s without the agent. */
async function held(lab: Lab): Promise<void> {
  const heldMs = lab.short ? 8_000 : Number(process.env.EVIO_HELD_MS ?? 150_000);
  const victim = await holdable(lab);
  breaking(lab, `the agent of ${victim.name} is held (SIGSTOP) for ${heldMs / 1000} s`);
  const hops = await webrtcHops(lab);
  const watched = await watch(lab.pairs, async () => {
    await signal(victim, 'agent', 'SIGSTOP');
    try {
      await sleep(heldMs);
    } finally {
      await signal(victim, 'agent', 'SIGCONT');
    }
    await sleep(4_000);
  });
  judge(lab, 'agent held', hops, watched, 1.5, victim.name);
  await whole(lab, 'agent held', 5_000);
}

export const AGENT_FAULTS: readonly Fault[] = (['mesh', 'ring'] as const).flatMap((shape) => [
  { name: 'agent-upgraded', shape, short: shape === 'mesh', run: terminated },
  { name: 'agent-killed', shape, short: shape === 'mesh', run: killed },
  { name: 'agent-held', shape, run: held },
]);
