/** Where the authority of an overlay is found on the XMPP server (docs/wire.md §9.6). */

import type { OverlayId } from '../wire/ids.ts';
import { authorityAccountName } from '../wire/join-message.ts';

export const NS_JOIN = 'urn:evio:join:1';

/** Fixed, so that a new connection ends the half-dead one before it, and that it can be asked by its full address (RFC 6121 §8.5.3). */
export const RESOURCE = 'evio';

export const authorityJid = (overlayId: OverlayId, domain: string): string =>
  `${authorityAccountName(overlayId)}@${domain}/${RESOURCE}`;
