/** What goes into and comes out of signalling. */
import type { Random } from '../machine.ts';
import type { Body } from '../wire/bodies.ts';
import type { Certificate } from '../wire/certificate.ts';
import type { Hello } from '../wire/hello.ts';
import type { NodeId, OverlayId } from '../wire/ids.ts';
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
    }
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
  | { readonly kind: 'neighbours'; readonly peers: readonly NodeId[] }
  /** Seconds since 1970 by the wall clock; told at the start and every ten seconds. */
  | { readonly kind: 'clock'; readonly wallSeconds: number }
  | { readonly kind: 'send'; readonly to: NodeId; readonly body: Body }
  | { readonly kind: 'deadline' };

export type SignalAction =
  /** base64 of the own hello, for the presence in the room. */
  | { readonly kind: 'send-presence'; readonly hello: string }
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
}
