/**
 * What an administrator does on the XMPP server: accounts by ad-hoc commands (XEP-0133 over XEP-0050), the room by its
 * owner's form (XEP-0045 §10). Standard throughout, so that it works on Prosody, ejabberd and Openfire alike.
 *
 *     const admin = await XmppAdmin.connect({ service, domain, username: 'admin', password, ca });
 *     await admin.createRoom('lab@conference.example.org');
 *     await admin.addUser('home1', password);
 *     await admin.addMember('lab@conference.example.org', 'home1');
 *     admin.close();
 */
import xml, { type Element } from '@xmpp/xml';
import { oneLine, StanzaError, XmppError } from './xmpp-error.ts';
import { openSession, stanzaError, type XmppSession } from './xmpp-session.ts';

const NS_COMMANDS = 'http://jabber.org/protocol/commands';
const NS_ADMIN = 'http://jabber.org/protocol/admin';
const NS_DATA = 'jabber:x:data';
const NS_MUC = 'http://jabber.org/protocol/muc';
const NS_MUC_USER = 'http://jabber.org/protocol/muc#user';
const NS_MUC_ADMIN = 'http://jabber.org/protocol/muc#admin';
const NS_MUC_OWNER = 'http://jabber.org/protocol/muc#owner';

const CONNECT_TIMEOUT_MS = 15_000;
const JOIN_TIMEOUT_MS = 10_000;
/** No node has it: a node's nickname is its id. */
const NICKNAME = 'administrator';

/**
 * Who is not a member neither enters nor sees the room; it outlives its occupants, keeps no history, and shows JIDs to its
 * owners only.
 */
const ROOM: Readonly<Record<string, string>> = {
  'muc#roomconfig_persistentroom': '1',
  'muc#roomconfig_membersonly': '1',
  'muc#roomconfig_publicroom': '0',
  'muc#roomconfig_moderatedroom': '0',
  'muc#roomconfig_passwordprotectedroom': '0',
  'muc#roomconfig_whois': 'moderators',
  'muc#roomconfig_changesubject': '0',
  'muc#roomconfig_allowinvites': '0',
  'muc#roomconfig_allowpm': 'anyone',
  'muc#roomconfig_enablelogging': '0',
  'muc#roomconfig_enablearchiving': '0',
  'muc#roomconfig_historylength': '0',
};

export interface AdminOptions {
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  readonly ca?: string | undefined;
  /** What to do when the password is refused. */
  readonly renewal?: string | undefined;
  /** The session has ended, and not by `close`. */
  readonly closed?: ((error: XmppError) => void) | undefined;
}

/** Reads the JID list of an affiliation, or sets one. */
export type Affiliation = 'owner' | 'admin' | 'member' | 'outcast' | 'none';

export class XmppAdmin {
  readonly #options: AdminOptions;
  #session: XmppSession | undefined;
  /** Presences of rooms that somebody here waits for, by bare JID of the room. */
  readonly #presences = new Map<string, (presence: Element) => void>();

  static async connect(options: AdminOptions): Promise<XmppAdmin> {
    const admin = new XmppAdmin(options);
    await admin.#open();
    return admin;
  }

  private constructor(options: AdminOptions) {
    this.#options = options;
  }

  async #open(): Promise<void> {
    const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
    this.#session = await openSession(
      { ...this.#options, renewal: this.#options.renewal ?? 'renew admin.json (evio server init)', signal },
      {
        received: () => undefined,
        closed: (error) => this.#options.closed?.(error),
        stanza: (stanza) => {
          const room = (stanza.attrs.from ?? '').split('/')[0] ?? '';
          if (stanza.name === 'presence') this.#presences.get(room)?.(stanza);
        },
      },
    );
  }

  close(): void {
    this.#session?.close();
  }

  #connected(): XmppSession {
    if (this.#session === undefined) throw new XmppError('server-away', 'not connected');
    return this.#session;
  }

  #jid(username: string): string {
    return `${username}@${this.#options.domain}`;
  }

  // ---- accounts --------------------------------------------------------------------------------------------------

  /** False when the account was there already; its password is unchanged then. */
  async addUser(username: string, password: string): Promise<boolean> {
    const jid = this.#jid(username);
    try {
      await this.#command('add-user', `make the account ${jid}`, {
        accountjid: jid,
        password,
        'password-verify': password,
      });
      return true;
    } catch (error) {
      if (error instanceof XmppError && /exist|conflict/i.test(error.message)) return false;
      throw error;
    }
  }

  async changePassword(username: string, password: string): Promise<void> {
    const jid = this.#jid(username);
    await this.#command('change-user-password', `change the password of ${jid}`, { accountjid: jid, password });
  }

  async deleteUser(username: string): Promise<void> {
    const jid = this.#jid(username);
    await this.#command('delete-user', `delete the account ${jid}`, { accountjids: jid });
  }

  /** Two steps: the server sends its form, we send it back filled in. */
  async #command(name: string, what: string, values: Readonly<Record<string, string>>): Promise<void> {
    const node = `${NS_ADMIN}#${name}`;
    const { domain } = this.#options;
    const execute = xml('command', { xmlns: NS_COMMANDS, node, action: 'execute' });
    const first = await this.#iq('set', domain, execute, what);
    const form = first.getChild('command', NS_COMMANDS);
    const filled = { FORM_TYPE: NS_ADMIN, ...values };
    const complete = xml(
      'command',
      { xmlns: NS_COMMANDS, node, sessionid: form?.attrs.sessionid },
      xml(
        'x',
        { xmlns: NS_DATA, type: 'submit' },
        Object.entries(filled).map(([k, v]) => field(k, [v])),
      ),
    );
    const done = (await this.#iq('set', domain, complete, what)).getChild('command', NS_COMMANDS);
    const note = done?.getChildren('note').find((n) => n.attrs.type === 'error');
    if (note !== undefined) throw new XmppError('refused', `cannot ${what}: ${oneLine(note.text())}`);
    if (done?.attrs.status !== 'completed') throw new XmppError('refused', `cannot ${what}: the server wants more`);
  }

  async #iq(type: 'get' | 'set', to: string, child: Element, what: string): Promise<Element> {
    try {
      return await this.#connected().iq(type, to, child);
    } catch (error) {
      if (!(error instanceof StanzaError)) throw error;
      const why = NOT_ADMIN.has(error.condition)
        ? `${this.#jid(this.#options.username)} may not do that (${error.message}): is it an administrator?`
        : error.message;
      throw new XmppError('refused', `cannot ${what}: ${why}`);
    }
  }

  // ---- rooms -----------------------------------------------------------------------------------------------------

  /** Makes the room unless it is there, and configures it either way. True when it was made. */
  async createRoom(room: string): Promise<boolean> {
    const made = await this.#enter(room);
    try {
      await this.#configure(room);
    } finally {
      this.#connected().send(xml('presence', { to: `${room}/${NICKNAME}`, type: 'unavailable' }));
    }
    return made;
  }

  /** A room is made by entering it (XEP-0045 §10.1); status 201 says that it was not there before. */
  #enter(room: string): Promise<boolean> {
    const session = this.#connected();
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#presences.delete(room);
        finish();
      };
      const timer = setTimeout(
        () => settle(() => reject(new XmppError('server-away', `${room} does not answer`))),
        JOIN_TIMEOUT_MS,
      );
      this.#presences.set(room, (presence) => {
        if (presence.attrs.type === 'error') {
          const { message } = stanzaError(presence);
          settle(() => reject(new XmppError('refused', `cannot enter the room ${room}: ${message}`)));
          return;
        }
        const codes =
          presence
            .getChild('x', NS_MUC_USER)
            ?.getChildren('status')
            .map((s) => s.attrs.code) ?? [];
        if (codes.includes('110')) settle(() => resolve(codes.includes('201')));
      });
      const history = xml('history', { maxchars: '0' });
      session.send(xml('presence', { to: `${room}/${NICKNAME}` }, xml('x', { xmlns: NS_MUC }, history)));
    });
  }

  /** The server's own form, with our values in the fields it has: servers differ in which they know. */
  async #configure(room: string): Promise<void> {
    const what = `configure the room ${room}`;
    const answer = await this.#iq('get', room, xml('query', { xmlns: NS_MUC_OWNER }), what);
    const form = answer.getChild('query', NS_MUC_OWNER)?.getChild('x', NS_DATA);
    const fields =
      form?.getChildren('field').filter((f) => f.attrs.var !== undefined && f.attrs.type !== 'fixed') ?? [];
    const missing = ['persistentroom', 'membersonly'].find(
      (name) => !fields.some((f) => f.attrs.var === `muc#roomconfig_${name}`),
    );
    if (missing !== undefined) throw new XmppError('refused', `cannot ${what}: its form has no "${missing}"`);
    const filled = fields.map((f) => {
      const name = f.attrs.var ?? '';
      const ours = ROOM[name];
      return field(name, ours === undefined ? f.getChildren('value').map((v) => v.text()) : [ours]);
    });
    const submit = xml('query', { xmlns: NS_MUC_OWNER }, xml('x', { xmlns: NS_DATA, type: 'submit' }, filled));
    await this.#iq('set', room, submit, what);
  }

  addMember(room: string, username: string): Promise<void> {
    return this.setAffiliation(room, this.#jid(username), 'member');
  }

  removeMember(room: string, username: string): Promise<void> {
    return this.setAffiliation(room, this.#jid(username), 'none');
  }

  async setAffiliation(room: string, jid: string, affiliation: Affiliation): Promise<void> {
    const query = xml('query', { xmlns: NS_MUC_ADMIN }, xml('item', { affiliation, jid }));
    await this.#iq('set', room, query, `make ${jid} ${affiliation} of ${room}`);
  }

  /** Bare JIDs. */
  async members(room: string): Promise<readonly string[]> {
    const query = xml('query', { xmlns: NS_MUC_ADMIN }, xml('item', { affiliation: 'member' }));
    const answer = await this.#iq('get', room, query, `read the members of ${room}`);
    const items = answer.getChild('query', NS_MUC_ADMIN)?.getChildren('item') ?? [];
    return items.flatMap((item) => item.attrs.jid ?? []);
  }

  async destroyRoom(room: string): Promise<void> {
    const query = xml('query', { xmlns: NS_MUC_OWNER }, xml('destroy'));
    await this.#iq('set', room, query, `destroy the room ${room}`);
  }
}

const NOT_ADMIN: ReadonlySet<string> = new Set(['forbidden', 'not-allowed', 'not-authorized', 'service-unavailable']);

const field = (name: string, values: readonly string[]): Element =>
  xml(
    'field',
    { var: name },
    values.map((v) => xml('value', {}, v)),
  );
