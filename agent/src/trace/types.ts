/** What stations of a trace say, and what is made of it. */
import type { NodeId } from '../wire/ids.ts';

/** A tunnel by which frames leave or came. */
export interface Hop {
  readonly peer: NodeId;
  readonly path: 'direct' | 'webrtc' | 'none';
  /** With `webrtc`: over a TURN server. */
  readonly relayed: boolean;
}

/** What became of the frames of one direction at one station, by tincan's names. */
export interface Counted {
  readonly counts: Readonly<Record<string, number>>;
  readonly cameBy: Hop | null;
  readonly leftBy: Hop | null;
}

/** Packets of a link, as this node sees it; of everybody. */
export interface LinkCounts {
  readonly name: string;
  /** To what is behind it, and from there. */
  readonly sent: number;
  readonly received: number;
  readonly dropped: number;
}

/** What the kernel behind the switch has seen since the watch began; of everything, not of the trace alone. */
export interface KernelCounts {
  /** Echo requests its ICMP took, and echo replies it sent. */
  readonly echoIn: number;
  readonly replyOut: number;
  /** The destination's, to the pod; null: none leads there, or it is the node itself. */
  readonly link: LinkCounts | null;
}

export interface Told {
  readonly there: Counted;
  readonly back: Counted;
  /** Of the destination, where its own kernel is to answer. */
  readonly kernel: KernelCounts | null;
}

/** Why a station cannot say. `old`: its tincan knows no traces; `busy`: too many at once; `away`: its tincan does not answer. */
export type Refusal = 'old' | 'busy' | 'away';

export type NextAnswer = { readonly next: Hop | null } | { readonly refused: Refusal };
export type ToldAnswer = Told | { readonly refused: Refusal };
