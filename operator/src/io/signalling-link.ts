/**
 * The operator's session with the XMPP server, as its administrator: always there while somebody wants it, asked every few seconds whether
 * it still is. Who waits for it is woken when that changes.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../../../agent/src/io/log.ts';
import { admitAccount, endAccount } from '../../../agent/src/io/xmpp-accounts.ts';
import { XmppAdmin } from '../../../agent/src/io/xmpp-admin.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { REASON } from '../../../crds/src/condition.ts';
import type { Reach } from '../desired/network-status.ts';
import type { Signalling } from '../desired/signalling.ts';

export interface LinkTarget {
  readonly signalling: Signalling;
  /** Made when it is not there. */
  readonly room: string;
}

const PROBE_MS = 4_000;
/** It is what a new cluster waits for. */
const RETRY_MS = 1_000;
/** Of a connection, and of an answer: what takes longer is not there, for who waits for conditions. */
const ANSWER_MS = 4_000;

export class SignallingLink {
  readonly #log: Log;
  readonly #changed: () => void;
  #target: LinkTarget | undefined;
  #admin: XmppAdmin | undefined;
  #sessions = 0;
  #reach: Reach = { kind: 'pending' };
  #timer: NodeJS.Timeout | undefined;
  /** Counts targets: what belongs to a former one is thrown away. */
  #round = 0;
  /** Usernames that are members of the room; undefined before it was asked. */
  #members: readonly string[] | undefined;
  /** Counts changes of ours: an answer to a question from before the last one does not know of it. */
  #changes = 0;

  constructor(log: Log, changed: () => void) {
    this.#log = log;
    this.#changed = changed;
  }

  get reach(): Reach {
    return this.#reach;
  }

  /** Which session it is: the server behind another one may have lost what it was told. */
  get session(): number {
    return this.#sessions;
  }

  /** Accounts that may enter the room, without the domain; undefined while that is not known. */
  get members(): readonly string[] | undefined {
    return this.#members;
  }

  /** Undefined: nothing is wanted, and the session ends. */
  want(target: LinkTarget | undefined): void {
    if (isDeepStrictEqual(target, this.#target)) return;
    this.#target = target;
    this.#end();
    this.#set({ kind: 'pending' });
    if (target !== undefined) void this.#run(this.#round);
  }

  /** False: it is not up. */
  async admit(account: string, password: string): Promise<boolean> {
    const done = await this.use((admin, room) => admitAccount(admin, room, account, password).then(() => true));
    this.#changes++;
    if (done === true && this.#members?.includes(account) === false) this.#members = [...this.#members, account].sort();
    return done === true;
  }

  /** False: it is not up. */
  async end(account: string): Promise<boolean> {
    const done = await this.use((admin, room) => endAccount(admin, room, account).then(() => true));
    this.#changes++;
    if (done === true) this.#members = this.#members?.filter((name) => name !== account);
    return done === true;
  }

  /** Undefined: it is not up. Throws what `work` throws; an XmppError may be the end of the session. */
  async use<T>(work: (admin: XmppAdmin, room: string) => Promise<T>): Promise<T | undefined> {
    const [admin, target] = [this.#admin, this.#target];
    if (admin === undefined || target === undefined || this.#reach.kind !== 'up') return undefined;
    return work(admin, target.room);
  }

  close(): void {
    this.#target = undefined;
    this.#end();
  }

  #end(): void {
    this.#round++;
    clearTimeout(this.#timer);
    this.#admin?.close();
    this.#admin = undefined;
    this.#members = undefined;
  }

  async #run(round: number): Promise<void> {
    let wait = PROBE_MS;
    try {
      await this.#probe(round);
      if (round === this.#round) this.#set({ kind: 'up' });
    } catch (error) {
      if (round !== this.#round) return;
      this.#admin?.close();
      this.#admin = undefined;
      this.#members = undefined;
      wait = RETRY_MS;
      this.#set({ kind: 'down', ...problemOf(error) });
    }
    if (round !== this.#round) return;
    this.#timer = setTimeout(() => void this.#run(round), wait);
  }

  async #probe(round: number): Promise<void> {
    const target = this.#target;
    if (target === undefined) return;
    if (this.#admin === undefined) {
      const { place, admin } = target.signalling;
      const connecting = XmppAdmin.connect({
        service: place.service,
        domain: place.domain,
        ca: place.ca,
        ...admin,
        renewal: 'look at the Secret of the administrator',
        closed: () => this.#lost(round),
      });
      // One that comes too late is closed again.
      const opened = await inTime(connecting, place.service, (late) => late.close());
      if (round !== this.#round) {
        opened.close();
        return;
      }
      this.#admin = opened;
      this.#sessions++;
      if (await inTime(opened.createRoom(target.room), place.service)) this.#log.info(`made the room ${target.room}`);
    }
    const changes = this.#changes;
    const members = await inTime(this.#admin.members(target.room), target.signalling.place.service);
    if (round !== this.#round || changes !== this.#changes) return;
    const suffix = `@${target.signalling.place.domain}`;
    const names = members
      .filter((jid) => jid.endsWith(suffix))
      .map((jid) => jid.slice(0, -suffix.length))
      .sort();
    const news = !isDeepStrictEqual(names, this.#members);
    this.#members = names;
    if (news && this.#reach.kind === 'up') this.#changed();
  }

  #lost(round: number): void {
    if (round !== this.#round) return;
    clearTimeout(this.#timer);
    this.#admin = undefined;
    void this.#run(round);
  }

  #set(reach: Reach): void {
    if (isDeepStrictEqual(reach, this.#reach)) return;
    this.#reach = reach;
    if (reach.kind === 'down') this.#log.warn(`the XMPP server: ${reach.message}`);
    if (reach.kind === 'up') this.#log.info('the XMPP server answers');
    this.#changed();
  }
}

function problemOf(error: unknown): { readonly reason: string; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof XmppError)) return { reason: REASON.ServerUnreachable, message };
  const refused = error.problem !== 'server-away' && error.problem !== 'protocol';
  return { reason: refused ? REASON.ServerRefused : REASON.ServerUnreachable, message };
}

async function inTime<T>(work: Promise<T>, service: string, late: (value: T) => void = () => undefined): Promise<T> {
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      over = true;
      reject(new XmppError('server-away', `cannot reach ${service}: no answer within ${ANSWER_MS / 1000} s`));
    }, ANSWER_MS);
  });
  work.then((value) => over && late(value)).catch(() => undefined);
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
  }
}
