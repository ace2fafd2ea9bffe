/** What goes into and comes out of the agent as a whole: the adapters of io/ make the events and carry the actions out. */

import type { BridgePorts, EdgeEvent, Tap } from './edge-switch.ts';
import type { ControllerAction, ControllerEvent } from './sdn/index.ts';
import type { RoomAction, SignalEvent } from './signal/signal.ts';
import type { TincanTunnel } from './tincan.ts';
import type { SdpType } from './tunnel/sdp.ts';
import type { TraceTalk } from './wire/bodies.ts';
import type { NodeId } from './wire/ids.ts';

export type RtcEvent =
  | { readonly kind: 'described'; readonly tunnel: string; readonly type: SdpType; readonly sdp: string }
  | { readonly kind: 'local-candidate'; readonly tunnel: string; readonly candidate: string }
  | { readonly kind: 'gathered'; readonly tunnel: string }
  | { readonly kind: 'rtc-open'; readonly tunnel: string }
  | { readonly kind: 'rtc-closed'; readonly tunnel: string; readonly reason: string };

export type AgentEvent =
  | { readonly kind: 'start'; readonly wallSeconds: number }
  | { readonly kind: 'clock'; readonly wallSeconds: number }
  /** From the XMPP connection, the local network, or the disk. */
  | { readonly kind: 'signal'; readonly event: SignalEvent }
  /** Where members were last reached, from the disk. */
  | { readonly kind: 'remembered'; readonly addresses: Readonly<Record<NodeId, readonly string[]>> }
  /** tincan is configured and knows all members; these are the tunnels it has. */
  | { readonly kind: 'tincan-ready'; readonly bootId: string; readonly tunnels: readonly TincanTunnel[] }
  | { readonly kind: 'tincan-away' }
  | { readonly kind: 'tincan-event'; readonly name: string; readonly data: unknown }
  | { readonly kind: 'tunnel-port'; readonly peer: NodeId; readonly port: number; readonly tap: string | null }
  /** The answer of `demand`. */
  | { readonly kind: 'demand'; readonly bytes: ReadonlyMap<string, number> }
  /** The answer of `tunnels`: round trips by peer, in milliseconds. */
  | { readonly kind: 'round-trips'; readonly roundTrips: ReadonlyMap<NodeId, number> }
  | { readonly kind: 'rtc'; readonly peer: NodeId; readonly event: RtcEvent }
  | { readonly kind: 'switch'; readonly event: ControllerEvent }
  /** From Open vSwitch at the edge. */
  | { readonly kind: 'edge'; readonly event: EdgeEvent }
  | { readonly kind: 'bridge-ports'; readonly ports: BridgePorts }
  /** The agent ends and tincan goes on: relayed tunnels move to other routes first. */
  | { readonly kind: 'leave' }
  | { readonly kind: 'deadline' };

export type AgentAction =
  | RoomAction
  | { readonly kind: 'multicast'; readonly datagram: Buffer }
  /** A request to tincan whose answer says nothing but that it failed. */
  | { readonly kind: 'tincan'; readonly method: string; readonly params: object | null }
  /** Answered by a `tunnel-port` event. */
  | { readonly kind: 'tunnel-add'; readonly peer: NodeId; readonly note: string }
  | { readonly kind: 'tunnel-removed'; readonly peer: NodeId }
  /** Answered by a `demand` event. */
  | { readonly kind: 'ask-demand' }
  /** Answered by a `round-trips` event. */
  | { readonly kind: 'ask-round-trips' }
  | { readonly kind: 'rtc-offer'; readonly peer: NodeId; readonly tunnel: string }
  | { readonly kind: 'rtc-answer'; readonly peer: NodeId; readonly tunnel: string; readonly sdp: string }
  | { readonly kind: 'rtc-accept'; readonly peer: NodeId; readonly tunnel: string; readonly sdp: string }
  | { readonly kind: 'rtc-proceed'; readonly peer: NodeId; readonly tunnel: string }
  | { readonly kind: 'rtc-candidate'; readonly peer: NodeId; readonly tunnel: string; readonly candidate: string }
  | { readonly kind: 'rtc-close'; readonly peer: NodeId; readonly tunnel: string }
  /** Whether the relay carries the port's records by the peer's open connection. */
  | { readonly kind: 'relay'; readonly peer: NodeId; readonly tunnel: string | undefined }
  | { readonly kind: 'switch'; readonly action: ControllerAction }
  | { readonly kind: 'edge'; readonly action: ControllerAction }
  /** These are to be ports of Open vSwitch's bridge; answered by `bridge-ports` events. */
  | { readonly kind: 'bridge-taps'; readonly taps: readonly Tap[] }
  /** For whoever traces, here or there. */
  | { readonly kind: 'trace'; readonly from: NodeId; readonly body: TraceTalk }
  /** What is worth remembering over a restart has changed. */
  | { readonly kind: 'remember' }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'debug'; readonly message: string };
