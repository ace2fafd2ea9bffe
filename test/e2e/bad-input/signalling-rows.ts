/** What can be wrong between a node and its XMPP server: the agent goes on, says it once, and once when all is well again. */
import type { XmppRoomOptions } from '../../../agent/src/io/xmpp.ts';
import { nickOf, Occupant } from '../../contract/room.ts';
import { TestAuthority } from '../../servers/certificates.ts';
import { type ProsodyOptions, startProsody } from '../../servers/prosody.ts';
import { CONFERENCE, DOMAIN } from '../../servers/xmpp-server.ts';
import type { Case, GoesOn, Place, Row } from './row.ts';
import { emptyNameServer, listen, proxy } from './servers.ts';
import { type NodeValue, ROOM, type World } from './world.ts';

/** Left by a node that has run: its run directory with tincan's log, and what it remembers. */
export const RAN = ['run', 'run/tincan.lock', 'run/tincan.log', 'state', 'state/members.json'];

/** A node that tries again after 0.5 to 1 s and then 1 to 2 s has tried three times. */
const SEVERAL_TRIES: GoesOn = { quietMs: 4_000 };
/** What does not go away by itself is tried again after 15 to 30 s. */
const ONE_TRY: GoesOn = { quietMs: 500 };

/** A node whose signalling is changed; `line` is completed by what `make` gives. */
const signalling = (
  what: string,
  goesOn: GoesOn,
  line: string | RegExp,
  make: (
    value: NodeValue['signalling'] & Record<string, unknown>,
    place: Place,
    world: World,
  ) => (Partial<Case> & { readonly with?: string }) | undefined | Promise<Partial<Case> & { readonly with?: string }>,
): Row => ({
  what,
  async prepare(place, world) {
    let value: NodeValue | undefined;
    const file = await world.node(place, (v) => {
      value = v;
    });
    const node = value as NodeValue;
    const more = (await make(node.signalling, place, world)) ?? {};
    world.write(file, node);
    const { service, username } = node.signalling;
    const complete = (text: string) =>
      text.replaceAll('{service}', service).replaceAll('{jid}', `${username}@${DOMAIN}`).replaceAll('{room}', ROOM);
    return {
      args: ['agent', 'run', '--config', file],
      code: 0,
      says: [typeof line === 'string' ? `warn signalling: ${complete(line)}` : line],
      goesOn,
      leaves: RAN,
      ...more,
    };
  },
});

/** Its own Prosody, with something wrong about its certificate. */
const otherProsody = async (value: NodeValue['signalling'], options: ProsodyOptions) => {
  const prosody = await startProsody(options);
  Object.assign(value, { service: prosody.service, ca: prosody.ca });
  return { undo: () => prosody.stop() };
};

const RENEW = 'renew the node, or if the server has lost its accounts "evio overlay restore"';
const RESTORE = 'make it with "evio overlay restore"';
const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

export const SIGNALLING_ROWS: readonly Row[] = [
  signalling(
    'a wrong password',
    ONE_TRY,
    `{service} refuses the password of {jid} (not-authorized): ${RENEW}`,
    (value, _, world) => {
      value.password = 'hunter2-hunter2-hunter2';
      world.secrets.add(value.password);
      return undefined;
    },
  ),
  signalling(
    'an account that is not there',
    ONE_TRY,
    `{service} refuses the password of {jid} (not-authorized): ${RENEW}`,
    (value) => {
      value.username = 'nobody';
      return undefined;
    },
  ),
  {
    what: 'a server that is away, and comes back',
    async prepare(place, world) {
      const free = await listen(() => undefined);
      free.stop();
      const service = `xmpps://127.0.0.1:${free.port}`;
      const file = await world.node(place, (value) => {
        value.signalling.service = service;
      });
      let back: { stop(): void } | undefined;
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [`warn signalling: cannot reach ${service}: nothing listens there`],
        goesOn: {
          ...SEVERAL_TRIES,
          async heal() {
            back = await proxy(world.prosody.directPort, undefined, free.port);
          },
          healed: new RegExp(`^\\S+ info signalling: in the room ${ROOM}$`, 'm'),
        },
        leaves: RAN,
        undo: () => back?.stop(),
      };
    },
  },
  signalling(
    'a server of which the name is not known',
    SEVERAL_TRIES,
    'cannot reach {service}: the name is not known to the DNS',
    async (value, place, world) => {
      value.service = 'xmpps://evio.invalid:5223';
      const dns = await emptyNameServer('127.0.0.53');
      world.write(place.path('resolv.conf'), 'nameserver 127.0.0.53\n', 0o644);
      const mount = `mount --bind ${place.path('resolv.conf')} /etc/resolv.conf && exec "$@"`;
      return { within: ['unshare', '-m', 'sh', '-c', mount, 'sh'], undo: () => dns.stop() };
    },
  ),
  signalling(
    'a server whose certificate is of another authority',
    ONE_TRY,
    'the certificate of {service} comes from an unknown authority: set "ca" to that authority',
    (value, place) => {
      value.ca = new TestAuthority(place.dir, 'other').certificate;
      return undefined;
    },
  ),
  signalling(
    'a server whose certificate has expired',
    ONE_TRY,
    /^warn signalling: the certificate of xmpps:\S+ has expired: renew it on the server, or set the clock \(this machine's clock says 20..-..-.. ..:.. UTC\)$/,
    (value) => otherProsody(value, { expired: true }),
  ),
  signalling(
    'a server whose certificate is for another name',
    ONE_TRY,
    'the certificate of {service} is not for the domain "evio.test"',
    (value) => otherProsody(value, { names: ['a.test'] }),
  ),
  signalling(
    'a domain that the server does not serve',
    SEVERAL_TRIES,
    '{service} does not serve the domain "other.test": look at "domain"',
    (value) => {
      value.domain = 'other.test';
      return undefined;
    },
  ),
  signalling(
    'a proxy that strips STARTTLS',
    ONE_TRY,
    '{service} offers no STARTTLS: nothing was sent (use a server with TLS)',
    async (value, _, world) => {
      const between = await proxy(world.prosody.port, (text) => text.replace(/<starttls.*?<\/starttls>/s, ''));
      value.service = `xmpp://127.0.0.1:${between.port}`;
      return { undo: () => between.stop() };
    },
  ),
  signalling(
    'a server that speaks no XMPP',
    ONE_TRY,
    '{service} sent XML that is not well-formed: nothing was sent (use a server with TLS)',
    async (value) => {
      const web = await listen((socket) =>
        socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n<</>>')),
      );
      value.service = `xmpp://127.0.0.1:${web.port}`;
      return { undo: () => web.stop() };
    },
  ),
  signalling(
    'a server without TLS where TLS should be',
    ONE_TRY,
    /warn signalling: no TLS with .*/,
    (value, _, world) => {
      value.service = `xmpps://127.0.0.1:${world.prosody.port}`;
      return undefined;
    },
  ),
  signalling(
    'a server that never ends a stanza',
    ONE_TRY,
    '{service} sent an element of more than 262144 bytes: nothing was sent (use a server with TLS)',
    async (value) => {
      const endless = await listen((socket) => socket.write(`${HEADER}<a>${'x'.repeat(600_000)}`));
      value.service = `xmpp://127.0.0.1:${endless.port}`;
      return { undo: () => endless.stop() };
    },
  ),
  signalling('a server that never says a word', ONE_TRY, '{service}: no connection within 15 s', async (value) => {
    const silent = await listen(() => undefined);
    value.service = `xmpp://127.0.0.1:${silent.port}`;
    return { undo: () => silent.stop() };
  }),
  signalling(
    'a room that is not there',
    ONE_TRY,
    `the room nowhere@${CONFERENCE} does not exist (not-allowed: Room creation is restricted): ${RESTORE}`,
    (value) => {
      value.room = `nowhere@${CONFERENCE}`;
      return undefined;
    },
  ),
  signalling(
    'a room that is not of this overlay',
    ONE_TRY,
    `{jid} is not a member of foreign@${CONFERENCE}: enrol the node again`,
    async (value, _, world) => {
      await world.admin.createRoom(`foreign@${CONFERENCE}`);
      value.room = `foreign@${CONFERENCE}`;
      return {};
    },
  ),
  signalling(
    'a room that the node was banned from',
    ONE_TRY,
    '{jid} is not a member of {room}: enrol the node again',
    async (value, _, world) => {
      await world.admin.setAffiliation(ROOM, `${value.username}@${DOMAIN}`, 'outcast');
      return {};
    },
  ),
  {
    what: 'another node with the same account',
    async prepare(place, world) {
      const file = await world.node(place);
      const { service, domain, username, password, ca } = world.valueOf(file).signalling as Record<string, string>;
      // It takes the place of the agent whenever the agent has taken its own.
      const other = new Occupant({
        ...{ service, domain, username, password, ca, room: ROOM, nickname: nickOf(place.number) },
      } as XmppRoomOptions);
      await other.online();
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [
          `warn signalling: ${service} closed the stream: the account is used elsewhere (conflict, Replaced by new connection)`,
        ],
        goesOn: SEVERAL_TRIES,
        leaves: RAN,
        undo: () => other.room.stop(),
      };
    },
  },
];
