/** The XMPP client against a server that lies: the process lives, nothing is given away, and one line says what was wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { DOMAIN } from '../servers/xmpp-server.ts';
import { HostileServer, knowing } from './hostile-server.ts';
import { nickOf, Occupant, ROOM, until } from './room.ts';

const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const features = (inner: string): string => `${HEADER}<stream:features>${inner}</stream:features>`;
const mechanisms = (...names: string[]): string =>
  features(`<mechanisms xmlns='${SASL}'>${names.map((n) => `<mechanism>${n}</mechanism>`).join('')}</mechanisms>`);
const sasl = (name: string, text: string): string =>
  `<${name} xmlns='${SASL}'>${Buffer.from(text).toString('base64')}</${name}>`;

/** Takes up the client's nonce, as a server that knows no password can. */
const challenge = (rest: string) => (heard: string) => {
  const [, auth] = /<auth[^>]*>([^<]*)<\/auth>/.exec(heard) ?? [];
  if (auth === undefined) return undefined;
  const nonce = Buffer.from(auth, 'base64').toString().split(',r=')[1];
  return sasl('challenge', `r=${nonce}${rest}`);
};

describe('XMPP with a server that lies', () => {
  let server: HostileServer;
  const occupants: Occupant[] = [];

  const enter = (): Occupant => {
    const occupant = new Occupant({
      service: server.service,
      domain: DOMAIN,
      ca: server.ca,
      username: 'node1',
      password: 'a very secret password',
      room: ROOM,
      nickname: nickOf(1),
    });
    occupants.push(occupant);
    return occupant;
  };

  before(async () => {
    server = await HostileServer.start();
  });
  afterEach(() => {
    for (const occupant of occupants.splice(0)) occupant.room.stop();
  });
  after(() => server?.stop());

  for (const [why, script, line] of [
    ['offers PLAIN only', [mechanisms('PLAIN', 'ANONYMOUS')], /offers no SCRAM, and the password is not shown/],
    ['offers nothing', [features('')], /offers no SCRAM/],
    [
      'does not know the password',
      [
        mechanisms('SCRAM-SHA-1'),
        challenge('x,s=QSXCR+Q6sek8bf92,i=4096'),
        sasl('success', 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ='),
      ],
      /could not prove that it knows the password/,
    ],
    [
      'says success without a proof',
      [mechanisms('SCRAM-SHA-256'), challenge('x,s=QSXCR+Q6sek8bf92,i=4096'), `<success xmlns='${SASL}'/>`],
      /could not prove/,
    ],
    [
      'says success at once',
      [mechanisms('SCRAM-SHA-1'), `<success xmlns='${SASL}'/>`],
      /sent <success\/> during authentication/,
    ],
    [
      'wants to guess the password cheaply',
      [mechanisms('SCRAM-SHA-1'), challenge('x,s=QSXCR+Q6sek8bf92,i=1')],
      /asks for "1" iterations/,
    ],
    [
      'wants us to compute for ever',
      [mechanisms('SCRAM-SHA-1'), challenge('x,s=QSXCR+Q6sek8bf92,i=9999999')],
      /iterations/,
    ],
    [
      'closes the stream with a reason',
      [`${HEADER}<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`],
      /closed the stream \(not-authorized\)/,
    ],
    ['speaks no XML', ['220 mail.example.org ESMTP\r\n</x>'], /XML that/],
    ['ends the stream', [`${HEADER}</stream:stream>`], /ended the stream/],
    ['never ends an element', [`${HEADER}<a>${'x'.repeat(300_000)}`], /more than 262144 bytes/],
  ] as const)
    it(`a server that ${why}`, async () => {
      server.script(...script);
      const occupant = enter();
      expect(await occupant.failure()).to.match(line);
      expect(occupant.errors.join()).not.to.include('secret');
      expect(server.heard).not.to.include('secret');
      expect(server.heard).not.to.include('<presence');
      expect(occupant.events).to.deep.equal([]);
    });

  describe('once it has let us in', () => {
    const BIND = 'urn:ietf:params:xml:ns:xmpp-bind';
    const MUC = 'http://jabber.org/protocol/muc#user';
    const us = `${ROOM}/${nickOf(1)}`;
    const letIn = [
      mechanisms('SCRAM-SHA-1'),
      ...knowing('a very secret password'),
      features(`<bind xmlns='${BIND}'/>`),
      (heard: string) => {
        const [, id] = /<iq[^>]* id="([^"]*)"/.exec(heard) ?? [];
        return id && `<iq type='result' id='${id}'><bind xmlns='${BIND}'><jid>node1@${DOMAIN}/evio</jid></bind></iq>`;
      },
    ];
    const joined = `<presence from='${us}'><x xmlns='${MUC}'><status code='110'/></x></presence>`;

    it('it can join us to the room, and the secret was never said', async () => {
      server.script(...letIn, joined);
      const occupant = enter();
      await occupant.online();
      expect(server.heard).not.to.include('secret');
    });

    it('a room that the server makes for us is destroyed again and reported', async () => {
      const made = joined.replace('<status', "<status code='201'/><status");
      const undone = (heard: string) => {
        const [, id] = /<iq[^>]* id="([^"]*)"[^>]*><query[^>]*muc#owner[^>]*><destroy/.exec(heard) ?? [];
        return id && `<iq type='result' from='${ROOM}' id='${id}'/>`;
      };
      server.script(...letIn, made, undone);
      expect(await enter().failure()).to.match(/does not exist: make it/);
    });

    for (const [why, stanza, line] of [
      [
        'throws us out',
        `<presence type='unavailable' from='${us}'><x xmlns='${MUC}'><status code='307'/><status code='110'/></x></presence>`,
        /ended our presence/,
      ],
      [
        'ends our membership',
        `<presence type='unavailable' from='${us}'><x xmlns='${MUC}'><status code='321'/><status code='110'/></x></presence>`,
        /not a member of .* any more/,
      ],
      [
        'destroys the room',
        `<presence type='unavailable' from='${us}'><x xmlns='${MUC}'><destroy/><status code='110'/></x></presence>`,
        /was destroyed/,
      ],
      [
        'lets another account have our nickname',
        `<presence type='error' from='${us}'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`,
        /another account uses the node id/,
      ],
      [
        'answers with an error without a condition',
        `<presence type='error' from='${us}'/>`,
        /cannot join .*undefined-condition/,
      ],
    ] as const)
      it(`a server that ${why}`, async () => {
        server.script(...letIn, stanza.includes("type='error'") ? stanza : joined + stanza);
        expect(await enter().failure()).to.match(line);
      });

    it('messages of anybody but the room are not heard', async () => {
      const evio = "<evio xmlns='urn:evio:signal:1'>QQ==</evio>";
      const others = ['admin@evio.test/x', 'lab@rooms.evio.test/x', ''].map(
        (from) => `<message type='chat' from='${from}'>${evio}</message><presence from='${from}'>${evio}</presence>`,
      );
      server.script(
        ...letIn,
        `${joined}${others.join('')}<message type='groupchat' from='${ROOM}/x'>${evio}</message>`,
      );
      const occupant = enter();
      await occupant.online();
      await sleep(50);
      expect(occupant.events.map((e) => e.kind)).to.deep.equal(['connected', 'presence', 'joined']);
    });

    it('whatever it says in whatever order, the client lives', async () => {
      const pieces = [
        joined,
        '<iq/>',
        '<iq type="error" id="e2"/>',
        '<iq type="result" id="e2"/>',
        '<iq type="get" id="x"/>',
        '<iq type="get"><ping xmlns="urn:xmpp:ping"/></iq>',
        '<presence type="error"/>',
        `<presence from="${ROOM}/x"><x xmlns="${MUC}"><status/></x></presence>`,
        `<presence from="${ROOM}"><evio xmlns="urn:evio:signal:1"><evio/></evio></presence>`,
        `<message from="${ROOM}/x" type="error"/>`,
        `<message from="${ROOM}/x" type="chat"><evio xmlns="urn:evio:signal:1"/></message>`,
        '<iq type="result" id="e2"><services xmlns="urn:xmpp:extdisco:2"><service/><service type="turn" host="a b"/></services></iq>',
        '<stream:features/>',
        '<success/><proceed/>',
        'text',
      ];
      let seed = 7;
      const next = () => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return seed / 2_147_483_648;
      };
      for (let round = 0; round < 20; round++) {
        const noise = Array.from({ length: 8 }, () => pieces[Math.floor(next() * pieces.length)]).join('');
        server.script(...letIn, noise + joined);
        const occupant = enter();
        await until(
          () => occupant.room.state.state === 'online' || occupant.errors.length > 0,
          () => `neither online nor failed after ${noise}`,
        );
        occupant.room.stop();
      }
    });
  });
});
