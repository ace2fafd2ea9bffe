/** Figures beside the faults: how soon status answers, and how long a NAT is said to keep a mapping whose real lifetime is known. */
import { run } from '../demo/shell.ts';
import type { Lab } from './lab.ts';

const ASKED = 15;

/** Milliseconds of `evio status`, from the start of the process to its end: the middle of some. */
export async function statusMs(lab: Lab): Promise<number> {
  const node = await lab.node('cloud1');
  try {
    await lab.start(node);
    const times: number[] = [];
    for (let i = 0; i < ASKED; i++) times.push((await lab.status(node)).ms);
    return times.sort((a, b) => a - b)[Math.floor(ASKED / 2)] ?? Number.NaN;
  } finally {
    await lab.stop(node);
  }
}

/** What netcheck says of a NAT that forgets a mapping after so many seconds. */
export async function lifetimeOf(
  lab: Lab,
  seconds: number,
): Promise<{ readonly atLeastS: number; readonly lessThanS: number }> {
  const node = await lab.node('home2');
  const set = (value: number): Promise<string> =>
    run('nat-home2', 'sysctl', '-qw', `net.netfilter.nf_conntrack_udp_timeout=${value}`);
  await set(seconds);
  try {
    const { value } = await lab.netcheck(node, { more: ['--lifetime', '25'] });
    const lifetime = value?.nat?.lifetime;
    return { atLeastS: lifetime?.atLeastS ?? Number.NaN, lessThanS: lifetime?.lessThanS ?? Number.NaN };
  } finally {
    await set(30);
  }
}
