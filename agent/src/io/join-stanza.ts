/** What is asked of an authority, and its answer, as stanzas (docs/wire.md §9.6). */
import type { KeyObject } from 'node:crypto';
import xml, { type Element } from '@xmpp/xml';
import { NS_JOIN } from '../join/address.ts';
import { type AnswerBody, type Asked, openAnswer } from '../wire/join-message.ts';
import { fromBase64 } from '../wire/reader.ts';

export const questionOf = ({ bytes }: Asked): Element => xml('evio', { xmlns: NS_JOIN }, bytes.toString('base64'));

/** `authorityKey` is the raw public one, `sessionKey` the private one of the request's. Throws DecodeError. */
export const answerIn = (stanza: Element, asked: Asked, authorityKey: Uint8Array, sessionKey: KeyObject): AnswerBody =>
  openAnswer(fromBase64(stanza.getChildText('evio', NS_JOIN) ?? ''), asked, authorityKey, sessionKey);
