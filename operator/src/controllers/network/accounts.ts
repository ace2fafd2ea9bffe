/** Accounts on the XMPP server as the ledger has them: who is missing is admitted again, who is gone has none any more. */
import { type Authority, overlayOf } from '../../desired/authority.ts';
import { isAccountOf, passwordOf } from '../../desired/enrolment.ts';
import type { World } from '../world.ts';

export interface AccountChanges {
  readonly admit: readonly { readonly account: string; readonly id: string }[];
  readonly end: readonly string[];
}

/** `present`: accounts that may enter the room. Those of other clusters, and of people, are left alone. */
export function accountChanges(
  { ledger, overlayId }: Authority,
  present: readonly string[],
  enrolling: ReadonlySet<string>,
): AccountChanges {
  const wanted = Object.values(ledger.issued);
  const names = new Set(wanted.map(({ account }) => account));
  return {
    admit: wanted.filter(({ account }) => !present.includes(account)).map(({ account, id }) => ({ account, id })),
    end: present.filter((account) => isAccountOf(overlayId, account) && !names.has(account) && !enrolling.has(account)),
  };
}

/** Nothing while the server is away. `enrolling`: accounts that are about to be in the ledger. */
export async function keepAccounts(world: World, enrolling: ReadonlySet<string>): Promise<void> {
  const { authority } = world.book.read();
  const present = world.link.members;
  const overlay = authority && overlayOf(authority);
  if (authority === undefined || overlay === undefined || present === undefined) return;
  const { admit, end } = accountChanges(authority, present, enrolling);
  if (admit.length === 0 && end.length === 0) return;
  for (const { account, id } of admit) {
    if (!(await world.link.admit(account, passwordOf(overlay, id)))) return;
    world.log.info(`admitted ${account} again: the XMPP server did not know it`);
  }
  for (const account of end) {
    if (!(await world.link.end(account))) return;
    world.log.info(`ended the account ${account}`);
  }
}
