/** Asking the authority of an overlay, over an account of the XMPP server: until it answers, or does not. */

import type { KeyObject } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import xml, { type Element } from '@xmpp/xml';
import { answerIn, questionOf } from '../../../agent/src/io/join-stanza.ts';
import { StanzaError, XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { openSession, type SessionOptions, type XmppSession } from '../../../agent/src/io/xmpp-session.ts';
import { authorityJid, NS_JOIN } from '../../../agent/src/join/address.ts';
import { overlayIdOf } from '../../../agent/src/wire/ids.ts';
import type { AnswerBody, Asked } from '../../../agent/src/wire/join-message.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { Failure } from '../failure.ts';

/** From the first packet to the end of SASL. */
const CONNECT_MS = 15_000;
/** It makes an account meanwhile, on a server that may be slow. */
const ANSWER_MS = 20_000;
/** How long an authority may be away: it may be coming back just now. */
const AWAY_MS = 10_000;
/** How long one may have too much to do: many machines may have been given one token. */
const BUSY_MS = 90_000;
const AGAIN_MS = 1_000;
/** A connection that is lost while we wait is opened again, for so long: the same request gets the same answer. */
const GIVE_UP_MS = 30_000;

/** Nobody answers for the overlay. */
export class NotServingError extends Failure {}

/** It is not known whether the request was heard: the same one may be sent again. */
export class UnclearError extends Failure {}

export type Account = Pick<SessionOptions, 'service' | 'domain' | 'username' | 'password' | 'ca' | 'time'>;

export interface Question {
  readonly account: Account;
  /** Of the overlay's authority, Ed25519, raw. */
  readonly authorityKey: Uint8Array;
  readonly asked: Asked;
  /** The private one that the request speaks of. */
  readonly sessionKey: KeyObject;
  /** It may be that the authority has the request now. */
  readonly heard?: () => void;
}

/**
 * Hands the answer to `take`; when that has ended, the authority is told that the account may end. Throws XmppError where the server is
 * the trouble, and Failure.
 */
export async function askAuthority<T>(question: Question, take: (answer: AnswerBody) => T | Promise<T>): Promise<T> {
  for (const until = performance.now() + GIVE_UP_MS; ; ) {
    let session: XmppSession | undefined;
    try {
      session = await openSession(
        { ...question.account, renewal: '', signal: AbortSignal.timeout(CONNECT_MS) },
        { stanza: () => undefined, received: () => undefined, closed: () => undefined },
      );
      const answer = await answerOf(session, question);
      const taken = await take(answer);
      // If this does not arrive, the account ends some time later.
      await session.iq('set', jidOf(question), xml('done', { xmlns: NS_JOIN }), 2_000).catch(() => undefined);
      return taken;
    } catch (error) {
      if (session === undefined || !(error instanceof XmppError)) throw error;
      if (performance.now() >= until)
        throw new UnclearError(
          `no answer from the authority of the overlay: ${error.message}; run the same command again`,
        );
      await sleep(AGAIN_MS);
    } finally {
      session?.close();
    }
  }
}

const jidOf = ({ account, authorityKey }: Question): string => authorityJid(overlayIdOf(authorityKey), account.domain);

async function answerOf(session: XmppSession, question: Question): Promise<AnswerBody> {
  const request = questionOf(question.asked);
  const start = performance.now();
  for (;;) {
    try {
      const stanza = await session.iq('set', jidOf(question), request, ANSWER_MS);
      question.heard?.();
      return opened(stanza, question);
    } catch (error) {
      if (!(error instanceof StanzaError)) {
        // A connection that broke, or nothing came in time.
        question.heard?.();
        throw error;
      }
      const waited = performance.now() - start;
      if (error.condition === 'bad-request')
        throw new Failure('the authority cannot read the request: is it of another version of Evio?');
      if (error.condition === 'resource-constraint') {
        if (waited >= BUSY_MS)
          throw new UnclearError('the authority has too much to do; run the same command again later');
      } else if (waited >= AWAY_MS) {
        // Nobody is there by this address (RFC 6121 §8.5.3.2.3).
        throw new NotServingError(
          `the authority of the overlay does not answer (${AWAY_MS / 1000} s, ${error.condition}); is "evio authority serve" (in a cluster: the operator) running?`,
        );
      }
      // Not all in one moment.
      await sleep(AGAIN_MS * (0.5 + Math.random()));
    }
  }
}

function opened(stanza: Element, { asked, authorityKey, sessionKey }: Question): AnswerBody {
  try {
    return answerIn(stanza, asked, authorityKey, sessionKey);
  } catch (error) {
    if (error instanceof DecodeError)
      throw new Failure(`the answer is not the authority's: ${error.message}; somebody on the server changed it`);
    throw error;
  }
}
