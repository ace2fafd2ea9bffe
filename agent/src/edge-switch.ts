/**
 * Open vSwitch at the edge (`switch: "ovs"`): which ports its bridge is to have, and what its tables hold. tincan has a tap for each
 * tunnel, Open vSwitch has it as a port under tincan's number for the tunnel, and the flows of the bridge name the first hop.
 */
import type { Instant } from './machine.ts';
import {
  Controller,
  type ControllerAction,
  type ControllerEvent,
  type Leaf,
  type OvsState,
  ovsProgram,
  type SwitchMember,
} from './sdn/index.ts';
import { labelOf, type NodeId } from './wire/ids.ts';

/** A tunnel's tap, and the port number it is to have on the bridge. */
export interface Tap {
  readonly name: string;
  readonly number: number;
}

/** OpenFlow numbers of the bridge's ports by name, as Open vSwitch has them. */
export interface BridgePorts {
  /** Of the taps that it was told of. */
  readonly taps: ReadonlyMap<string, number>;
  /** Of all others but its own: pods, machines, whatever somebody has plugged in. */
  readonly others: ReadonlyMap<string, number>;
}

export type EdgeEvent = Exclude<ControllerEvent<OvsState>, { kind: 'state' }>;

export interface EdgePicture {
  readonly self: SwitchMember;
  readonly members: readonly SwitchMember[];
  /** For each member's label the neighbours by whom it is reached, best first. */
  readonly hops: ReadonlyMap<bigint, readonly bigint[]>;
  /** Peers whose tunnels are about to go. */
  readonly drained: readonly NodeId[];
}

export class EdgeSwitch {
  readonly controller: Controller<OvsState>;
  readonly #taps = new Map<NodeId, Tap>();
  #ports: BridgePorts | undefined;
  #drawn = false;

  /** @param generation ascends from one run of the agent to the next */
  constructor(generation: bigint) {
    this.controller = new Controller(generation, ovsProgram);
  }

  /** Ports the bridge is to have. */
  get taps(): readonly Tap[] {
    return [...this.#taps.values()].sort((a, b) => a.number - b.number);
  }

  /** The tunnel's tap, undefined when it has none (any more). False when it is no news. */
  setTap(peer: NodeId, tap: Tap | undefined): boolean {
    const known = this.#taps.get(peer);
    if (known?.name === tap?.name && known?.number === tap?.number) return false;
    if (tap === undefined) this.#taps.delete(peer);
    else this.#taps.set(peer, tap);
    return true;
  }

  usePorts(ports: BridgePorts): void {
    this.#ports = ports;
  }

  handle(event: EdgeEvent, now: Instant): readonly ControllerAction[] {
    return this.controller.handle(event, now);
  }

  /**
   * What the tables are to hold. Nothing before the ports of all tunnels that tincan has are known: flows name them, and those that an
   * earlier agent left would be replaced by flows that lead nowhere.
   */
  draw({ self, members, hops, drained }: EdgePicture, settled: boolean, now: Instant): readonly ControllerAction[] {
    const ports = this.#ports;
    if (ports === undefined) return [];
    const numbers = new Map<NodeId, number>();
    for (const [peer, { name }] of this.#taps) {
      // A port of another number than it was to have is as good; one that is not there yet cannot be named.
      const number = ports.taps.get(name);
      if (number !== undefined) numbers.set(peer, number);
    }
    if (!this.#drawn && numbers.size < this.#taps.size) return [];
    this.#drawn = true;
    const state: OvsState = {
      self,
      members,
      taps: new Map([...numbers].map(([peer, number]) => [labelOf(peer), number])),
      hops,
      leaves: [...ports.others.values()].map((port): Leaf => ({ port, macs: [] })),
      drained: drained.flatMap((peer) => numbers.get(peer) ?? []),
    };
    return this.controller.handle({ kind: 'state', state, settled }, now);
  }
}
