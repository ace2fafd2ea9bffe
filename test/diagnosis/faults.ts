/** The faults of issue and page, each in two variants: how it is injected, and by what its cause has to be named. */
import type { Finding, FindingCode } from '../../agent/src/diagnosis/finding.ts';
import { CLOCK_FAULTS } from './faults/clocks.ts';
import { CLUSTER_FAULTS } from './faults/cluster.ts';
import { HOLE_FAULTS } from './faults/holes.ts';
import { MACHINE_FAULTS, OVS_FAULTS } from './faults/machine.ts';
import { MEMBER_FAULTS } from './faults/members.ts';
import { NETWORK_FAULTS } from './faults/network.ts';
import { SERVER_FAULTS } from './faults/servers.ts';
import type { Lab } from './lab.ts';

export interface Named {
  readonly findings: readonly Finding[];
  /** How long it took from the question to the answer. */
  readonly ms: number;
  /** Why there is nothing. */
  readonly note?: string;
}

export interface Variant {
  readonly what: string;
  readonly by: 'netcheck' | 'status';
  /** Any of these is right. */
  readonly codes: readonly FindingCode[];
  /** Where the node file itself is refused: the one line that says why. */
  readonly said?: RegExp;
  /** It waits for a certificate's last minute, on a machine that no other fault uses: begun first, beside the others. */
  readonly early?: true;
  run(lab: Lab): Promise<Named>;
}

export interface Fault {
  readonly name: string;
  /** Part of `make test`. */
  readonly short?: boolean;
  readonly variants: readonly [Variant, Variant];
  /** Host, port or file that the words have to have. */
  readonly words?: RegExp;
}

/** Injected beside each other: the servers' faults, which are looked at from home1, and those of a machine that needs no server. */
export const LANES: readonly (readonly Fault[])[] = [SERVER_FAULTS, MACHINE_FAULTS];
/** Machine of the second lane's nodes: they are enrolled before the servers are touched. */
export const LANE_AT = 'cloud1';
/** After those, one after the other: they take each other's machines, or a server that stays. */
export const OTHERS: readonly Fault[] = [
  ...NETWORK_FAULTS,
  ...CLOCK_FAULTS,
  ...MEMBER_FAULTS,
  ...OVS_FAULTS,
  ...HOLE_FAULTS,
  ...CLUSTER_FAULTS,
];
