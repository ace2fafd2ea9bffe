/** A program: what a switch is to hold, as a pure function of the state. One controller keeps any switch so. */

import type { Flow } from './flow.ts';
import type { FlowSelection, Group } from './openflow/index.ts';
import type { SwitchMember } from './parts.ts';

export interface Tables {
  readonly flows: readonly Flow[];
  readonly groups: readonly Group[];
}

/** What the controller itself has to know of the state. */
export interface ProgramState {
  readonly self: SwitchMember;
  readonly members: readonly SwitchMember[];
  /** Ports of tunnels that no route may lead by any more. */
  readonly drained: readonly number[];
}

export interface Program<State extends ProgramState> {
  /** Everything, always: it is compared with what the switch has, and the difference sent. */
  wanted(state: State): Tables;
  /** The flows of the switch that are looked at. */
  readonly selection: FlowSelection;
  /** Groups have no cookie: whose they are is told by their number. A switch is not asked for groups if no group is ever ours. */
  readonly ownGroup: ((group: number) => boolean) | undefined;
}
