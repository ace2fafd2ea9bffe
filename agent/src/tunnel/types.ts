/** What goes into and comes out of a tunnel's machine. */
import type { EdgeKind } from '../api.ts';
import type { Note } from './note.ts';
import type { SdpType } from './sdp.ts';

/** The bodies of docs/wire.md §9.3 that a tunnel speaks. */
export type TunnelBody =
  | {
      readonly type: 'offer';
      readonly tunnel: string;
      readonly sdp: string;
      readonly udp: readonly string[];
      readonly kinds: readonly EdgeKind[];
    }
  | { readonly type: 'answer'; readonly tunnel: string; readonly sdp: string; readonly udp: readonly string[] }
  | { readonly type: 'candidates'; readonly tunnel: string; readonly candidates: readonly string[] }
  | { readonly type: 'udp'; readonly udp: readonly string[] }
  | { readonly type: 'edge'; readonly kinds: readonly EdgeKind[] }
  | { readonly type: 'refuse'; readonly tunnel: string; readonly reason: 'busy' | 'limit' | 'policy' }
  | { readonly type: 'bye'; readonly tunnel: string };

/** The path tincan uses between the two ends. */
export type TunnelPath = 'direct' | 'webrtc' | 'none';

/** Where remote addresses for the direct path come from. */
export type AddressSource = 'lan' | 'memory';

export type TunnelEvent =
  /** The overlay wants this edge, for these kinds of its own; none: only the peer wants it. */
  | { readonly kind: 'want'; readonly kinds: readonly EdgeKind[] }
  /** Nobody wants it any more: it carries what still comes by it until it is dropped, or wanted again. */
  | { readonly kind: 'drain' }
  /** It goes; the machine has nothing left to do afterwards. */
  | { readonly kind: 'drop' }
  /** tincan has this tunnel from an earlier life of the agent. */
  | { readonly kind: 'adopt'; readonly note: Note; readonly path: TunnelPath }
  /** Whether a signalling message can reach the peer now, and the boot nonce of its agent as far as known. */
  | { readonly kind: 'contact'; readonly reachable: boolean; readonly boot: string | undefined }
  /** From the peer, authenticated. */
  | { readonly kind: 'body'; readonly body: TunnelBody }
  /** The peer is there, by another sign than a message to this tunnel; or what kept offers from reaching it may be over. */
  | { readonly kind: 'heard' }
  /** The local direct candidates. */
  | { readonly kind: 'local-udp'; readonly addresses: readonly string[] }
  | { readonly kind: 'addresses'; readonly source: AddressSource; readonly addresses: readonly string[] }
  | { readonly kind: 'described'; readonly tunnel: string; readonly type: SdpType; readonly sdp: string }
  | { readonly kind: 'local-candidate'; readonly tunnel: string; readonly candidate: string }
  | { readonly kind: 'gathered'; readonly tunnel: string }
  | { readonly kind: 'rtc-open'; readonly tunnel: string }
  | { readonly kind: 'rtc-closed'; readonly tunnel: string; readonly reason: string }
  | { readonly kind: 'path'; readonly path: TunnelPath }
  /** The agent ends: its WebRTC connection with it. */
  | { readonly kind: 'leave' }
  /** tincan was started anew and knows nothing. */
  | { readonly kind: 'tincan-restarted' }
  | { readonly kind: 'deadline' };

export type TunnelAction =
  | { readonly kind: 'send'; readonly body: TunnelBody }
  | { readonly kind: 'rtc-offer'; readonly tunnel: string }
  | { readonly kind: 'rtc-answer'; readonly tunnel: string; readonly sdp: string }
  | { readonly kind: 'rtc-accept'; readonly tunnel: string; readonly sdp: string }
  /** The peer has our answer: its candidates may be checked. */
  | { readonly kind: 'rtc-proceed'; readonly tunnel: string }
  | { readonly kind: 'rtc-candidate'; readonly tunnel: string; readonly candidate: string }
  | { readonly kind: 'rtc-close'; readonly tunnel: string }
  | { readonly kind: 'tincan-add'; readonly note: string }
  /** No route leads by it any more, and nobody is told that it is there. `tincan-add` takes that back. */
  | { readonly kind: 'tincan-drain' }
  | { readonly kind: 'tincan-remove' }
  | { readonly kind: 'tincan-note'; readonly note: string }
  | { readonly kind: 'tincan-candidates'; readonly addresses: readonly string[] }
  | { readonly kind: 'tincan-webrtc'; readonly up: boolean }
  | { readonly kind: 'refused'; readonly reason: string }
  /** One line for the log. */
  | { readonly kind: 'report'; readonly message: string };

export type TunnelState = 'idle' | 'offering' | 'answering' | 'open' | 'parked';
