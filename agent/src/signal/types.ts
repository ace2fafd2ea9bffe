/** What goes into and comes out of signalling. */
import type { Random } from '../machine.ts';
import type { Body } from '../wire/bodies.ts';
import type { Certificate } from '../wire/certificate.ts';
import type { Hello } from '../wire/hello.ts';
import type { NodeId, OverlayId } from '../wire/ids.ts';
import type { Greeting } from './lobby.ts';
import type { Loss } from './membership.ts';
import type { OwnBoot } from './own-boot.ts';

export type SignalEvent =
  /** The XMPP stream is up: the room can be joined. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' }
  /** An occupant of the room, by its nickname; `hello` is the text of its `<evio/>` element. */
  | {
      readonly kind: 'presence';
      readonly nick: string;
      readonly available: boolean;
      readonly hello?: string | undefined;
      /** By the occupant's word, where it says so: how many members a large overlay has. */
      readonly members?: number | undefined;
      /** What stands before the @ of its account on the server, by its word. */
      readonly account?: string | undefined;
    }
  /** Our own presence came back: we are in the room under this nickname, and who was in it has been told. */
  | { readonly kind: 'joined'; readonly nick: string }
  /** Another account has the nickname that we asked for. */
  | { readonly kind: 'nick-taken' }
  | { readonly kind: 'renamed'; readonly nick: string; readonly to: string }
  /** A message from an account of the server, with its node's hello where it may be unknown to us. */
  | {
      readonly kind: 'direct';
      readonly account: string;
      readonly payload: string;
      readonly hello?: string | undefined;
    }
  /** Nobody is connected by that account. */
  | { readonly kind: 'account-away'; readonly account: string }
  | { readonly kind: 'message'; readonly nick: string; readonly payload: string }
  /** The room gave a message back: its recipient is not in it. */
  | { readonly kind: 'undeliverable'; readonly nick: string }
  /** A hello from the local network (without its prefix). */
  | { readonly kind: 'lan-hello'; readonly bytes: Uint8Array }
  /** An agent message by an authenticated session of tincan. */
  | { readonly kind: 'over-overlay'; readonly from: NodeId; readonly body: unknown }
  /** Certificates from tincan, from disk, or from an adopted life. */
  | { readonly kind: 'certificates'; readonly certificates: readonly Uint8Array[] }
  | { readonly kind: 'revocations'; readonly list: Uint8Array }
  /** This node's own certificate was renewed. */
  | { readonly kind: 'own-certificate'; readonly certificate: Uint8Array }
  /** All peers with a live tunnel. */
  | {
      readonly kind: 'neighbours';
      readonly peers: readonly NodeId[];
      /** Those beside us on the ring are among them. */
      readonly ringComplete?: boolean;
    }
  /** Seconds since 1970 by the wall clock; told at the start and every ten seconds. */
  | { readonly kind: 'clock'; readonly wallSeconds: number }
  | { readonly kind: 'send'; readonly to: NodeId; readonly body: Body }
  | { readonly kind: 'deadline' };

export type SignalAction =
  /**
   * base64 of the own hello, for the presence in the room: it joins it, changes our nickname, or says anew who we are. `members` is for
   * those who come, where the overlay is a large one.
   */
  | {
      readonly kind: 'send-presence';
      readonly hello: string;
      /** Undefined: the node id. */
      readonly nick?: string | undefined;
      readonly members?: number | undefined;
    }
  | { readonly kind: 'leave-room' }
  /** There is no need to be in the room now. */
  | { readonly kind: 'stay-outside' }
  /** To an account of the server, outside the room. */
  | {
      readonly kind: 'send-direct';
      readonly account: string;
      readonly payload: string;
      readonly hello?: string | undefined;
    }
  /** Those are known that this node has to hear of at first: who stands beside it, or (`whole`) everybody. */
  | { readonly kind: 'heard-of'; readonly whole: boolean }
  | { readonly kind: 'send-message'; readonly nick: string; readonly payload: string }
  | { readonly kind: 'send-overlay'; readonly to: NodeId; readonly body: Body }
  /** A member that is new, or whose certificate was renewed. */
  | { readonly kind: 'member'; readonly certificate: Certificate }
  | {
      readonly kind: 'member-gone';
      readonly certificate: Certificate;
      readonly reason: Loss;
      readonly by?: Certificate;
    }
  /** A list newer than the one before, signed by the authority: to be kept and passed on. */
  | { readonly kind: 'revocations'; readonly list: Uint8Array }
  /** The time to judge by, where the machine's clock is not credible; seconds since 1970. */
  | { readonly kind: 'time'; readonly seconds: number }
  /** A member on the same local network, and its candidates there. */
  | { readonly kind: 'lan-peer'; readonly nodeId: NodeId; readonly hello: Hello }
  /** Whether a message can reach the peer now, and the boot nonce (hex) of its agent as far as known; on change. */
  | {
      readonly kind: 'contact';
      readonly nodeId: NodeId;
      readonly reachable: boolean;
      readonly boot: string | undefined;
    }
  /** The peer showed that it is there by something that is not delivered and changes nothing of its contact. */
  | { readonly kind: 'heard'; readonly nodeId: NodeId }
  | { readonly kind: 'deliver'; readonly from: NodeId; readonly body: Body }
  /** Something was dropped. */
  | { readonly kind: 'count'; readonly counter: SignalCounter }
  | { readonly kind: 'report'; readonly message: string };

export type SignalCounter =
  | 'signal_hello_refused'
  | 'signal_hello_old'
  | 'signal_hello_too_many'
  | 'signal_message_refused'
  | 'signal_message_old_boot'
  | 'signal_message_too_many'
  | 'signal_introduced_too_often'
  | 'signal_not_a_member'
  | 'signal_certificate_refused'
  | 'signal_unsent';

export interface SignalOptions {
  readonly overlayId: OverlayId;
  readonly authorityKey: Uint8Array;
  readonly own: OwnBoot;
  readonly random: Random;
  /** Latest time in the overlay's parameters (`issued`), seconds since 1970. */
  readonly signedSeconds: number;
  /** This node's account on the XMPP server (what stands before the @); undefined: nobody can write to it. */
  readonly account?: string | undefined;
  readonly greeting?: Greeting | undefined;
}

/** What the room on the XMPP server tells, and what it is told. */
export type RoomEvent = Extract<
  SignalEvent,
  {
    kind:
      | 'connected'
      | 'disconnected'
      | 'presence'
      | 'joined'
      | 'nick-taken'
      | 'renamed'
      | 'message'
      | 'undeliverable'
      | 'direct'
      | 'account-away';
  }
>;
export type RoomAction = Extract<
  SignalAction,
  { kind: 'send-presence' | 'leave-room' | 'stay-outside' | 'send-message' | 'send-direct' }
>;
