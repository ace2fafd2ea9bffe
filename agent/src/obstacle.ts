/** What keeps a node from running at all: found before anything is started, so that nothing is left behind. Pure. */
import type { FindingCode } from './diagnosis/finding.ts';

/** What was found of this machine and this process. */
export interface Surroundings {
  readonly euid: number;
  /** The effective capabilities (CapEff of proc_pid_status(5)). */
  readonly capabilities: bigint;
  /** The error code of opening /dev/net/tun, or undefined when it opens. */
  readonly tunError: string | undefined;
  /** Of the kernel, as uname(2) has it: `6.1.0-35-amd64`. */
  readonly release: string;
}

/** A node that cannot start: one line, and the command ends with 1. */
export class StartError extends Error {}

/** Bit of CAP_NET_ADMIN in capabilities(7). */
const NET_ADMIN = 1n << 12n;
/** The oldest kernel that Node.js is made for; UDP_SEGMENT (udp(7)), by which tincan sends, came with it too. */
const MIN_KERNEL = [4, 18] as const;
const MODULE = 'load the kernel module (modprobe tun), or give the container the device (--device /dev/net/tun)';

export interface Obstacle {
  readonly code: FindingCode;
  /** One line: what is wrong, and what to do. */
  readonly text: string;
}

/** With a tincan that somebody else runs, the rights it takes are that one's to have. */
export const obstacle = (surroundings: Surroundings, tincan: 'own' | 'external' = 'own'): string | undefined =>
  obstacleOf(surroundings, tincan)?.text;

/** The same, with its kind. */
export function obstacleOf(
  { euid, capabilities, tunError, release }: Surroundings,
  tincan: 'own' | 'external' = 'own',
): Obstacle | undefined {
  if (euid !== 0 && tincan === 'external')
    return {
      code: 'not-root',
      text: "the agent must run as root to use its tincan's sockets: leave runAsUser away, or set it to 0",
    };
  if (isOld(release))
    return { code: 'kernel-old', text: `Linux ${release} is too old: ${MIN_KERNEL.join('.')} or later is needed` };
  if (tincan === 'external') return undefined;
  if (euid !== 0)
    return {
      code: 'not-root',
      text: 'evio agent run makes network interfaces and sockets only root may use: run it as root (sudo)',
    };
  if ((capabilities & NET_ADMIN) === 0n)
    return {
      code: 'no-net-admin',
      text: 'CAP_NET_ADMIN is missing, which it takes to make network interfaces: give it to the container (--cap-add NET_ADMIN)',
    };
  return tunError === undefined ? undefined : { code: 'no-tun', text: tunProblem(tunError) };
}

/** A release that does not begin with two numbers is not judged. */
function isOld(release: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (major === undefined || minor === undefined) return false;
  const [least, leastMinor] = MIN_KERNEL;
  return Number(major) < least || (Number(major) === least && Number(minor) < leastMinor);
}

function tunProblem(code: string): string {
  if (code === 'ENOENT') return `there is no /dev/net/tun: ${MODULE}`;
  if (code === 'ENODEV' || code === 'ENXIO') return `no driver stands behind /dev/net/tun: ${MODULE}`;
  if (code === 'EPERM' || code === 'EACCES')
    return '/dev/net/tun may not be opened: give the container the device (--device /dev/net/tun)';
  return `cannot open /dev/net/tun: ${code}`;
}
