/** Where a node that moves over from EdgeVPN.io finds its XMPP server. */

import { openSession, type SessionOptions } from '../../../agent/src/io/xmpp-session.ts';
import { oneLine } from '../failure.ts';
import type { Imported } from '../import/convert.ts';

const RENEWAL = 'it is another server';

const OLD_SERVICE_MS = 5_000;

/**
 * The XMPP host of the old file, where the new account opens it: it may be a name where the administrator's file has an address. A
 * server that is another one does not know the account, or shows the wrong certificate.
 */
export async function serviceFor(
  present: string,
  account: Omit<SessionOptions, 'service' | 'renewal' | 'signal'>,
  from: Imported | undefined,
): Promise<{ readonly service: string; readonly told: readonly string[] }> {
  const old = from?.file.signalling?.service;
  if (old === undefined || old === present) return { service: present, told: [] };
  const told = (why: string) => [`the XMPP server is ${present}, not ${old} of the old file: ${why}`];
  if (from?.file.signalling?.domain !== account.domain) {
    return { service: present, told: told(`this overlay's domain is ${account.domain}`) };
  }
  try {
    const signal = AbortSignal.timeout(OLD_SERVICE_MS);
    const session = await openSession({ ...account, service: old, renewal: RENEWAL, signal }, DEAF);
    session.close();
    return { service: old, told: [] };
  } catch (error) {
    return { service: present, told: told(oneLine(error)) };
  }
}

const DEAF = { stanza: () => undefined, received: () => undefined, closed: () => undefined };
