/**
 * A hostile member in the XMPP room: with a node's account, keys and certificate it says to all others whatever an agent can say, as
 * fast as the server takes it, and is born anew with every tenth presence.
 *
 *   node test/faults/hostile-room.ts NODE.json SECONDS
 *
 * Prints what it sent as one line of JSON.
 */
import { randomBytes } from 'node:crypto';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { XmppRoom } from '../../agent/src/io/xmpp.ts';
import { OwnBoot } from '../../agent/src/signal/own-boot.ts';
import { PeerBoots } from '../../agent/src/signal/peer-boots.ts';
import type { SignalEvent } from '../../agent/src/signal/signal.ts';
import { formatShort, withCandidates } from '../../agent/src/tunnel/sdp.ts';
import { type Body, encodeBody } from '../../agent/src/wire/bodies.ts';
import { parseHello } from '../../agent/src/wire/hello.ts';
import { generatePrivateKey, privateKey } from '../../agent/src/wire/keys.ts';

const EVERY_MS = 5;
const [path = '', seconds = '5'] = process.argv.slice(2);
const config = loadNodeConfig(path);
const { identity, overlay, signalling } = config;
const own = (): OwnBoot =>
  new OwnBoot({
    identity: privateKey('ed25519', identity.seed.reveal()),
    certificate: identity.certificate.bytes,
    nonce: randomBytes(16),
    ephemeral: generatePrivateKey('x25519'),
  });

let boot = own();
const hellos = new Map<string, string>();
const peers = new Map<string, PeerBoots>();
const said: { readonly nick: string; readonly payload: string }[] = [];
const sent = { presences: 0, messages: 0, replays: 0 };
let connected = false;

function hear(event: SignalEvent): void {
  if (event.kind === 'connected' || event.kind === 'disconnected') connected = event.kind === 'connected';
  if (event.kind === 'connected')
    room.perform({ kind: 'send-presence', hello: boot.hello([], performance.now()).toString('base64') });
  if (event.kind !== 'presence' || event.hello === undefined || event.nick === boot.nodeId) return;
  hellos.set(event.nick, event.hello);
  learn(event.nick);
}

function learn(nick: string): void {
  const hello = parseHello(Buffer.from(hellos.get(nick) ?? '', 'base64'));
  const { nodeId, identityKey } = hello.certificate;
  const peer = peers.get(nick) ?? new PeerBoots(overlay.parameters.overlayId, boot, nodeId, identityKey);
  peer.learn(hello);
  peers.set(nick, peer);
}

const room = new XmppRoom(
  {
    service: signalling.service.url,
    domain: signalling.domain,
    username: signalling.username,
    password: signalling.password.reveal(),
    ca: signalling.ca,
    room: signalling.room,
    nickname: boot.nodeId,
  },
  { event: hear, services: () => {}, state: () => {} },
);

const any = (below: number): number => Math.floor(Math.random() * below);

function body(): Body {
  const tunnel = randomBytes(8).toString('hex');
  const udp = Array.from({ length: 16 }, () => `198.51.100.${1 + any(250)}:${1_024 + any(60_000)}`);
  const candidates = udp.map((to, i) => `${i} ${i} ${to.replace(':', ' ')} h`);
  const word = () => randomBytes(16).toString('hex');
  const print = new Array(32).fill('AB').join(':');
  const facts = formatShort({ iceUfrag: word(), icePwd: word(), fingerprint: print });
  const sdp = withCandidates(facts, candidates);
  const bodies: readonly Body[] = [
    { type: 'offer', tunnel, sdp, udp, kinds: ['static', 'long-distance'] },
    { type: 'answer', tunnel, sdp, udp },
    { type: 'candidates', tunnel, candidates: candidates.slice(0, 3) },
    { type: 'udp', udp },
    { type: 'edge', kinds: any(2) === 0 ? [] : ['static'] },
    { type: 'bye', tunnel },
    { type: 'members', certificates: new Array(15).fill(identity.certificate.bytes.toString('base64')) },
  ];
  return bodies[any(bodies.length)] as Body;
}

function attack(): void {
  if (!connected) return;
  const nick = [...peers.keys()][any(peers.size)];
  const old = said[any(said.length)];
  if (any(10) === 0) {
    if (any(10) === 0) {
      boot = own();
      peers.clear();
      for (const known of hellos.keys()) learn(known);
    }
    room.perform({ kind: 'send-presence', hello: boot.hello([], performance.now()).toString('base64') });
    sent.presences++;
  } else if (any(4) === 0 && old !== undefined) {
    room.perform({ kind: 'send-message', ...old });
    sent.replays++;
  } else if (nick !== undefined) {
    const payload = peers.get(nick)?.seal(encodeBody(body()))?.toString('base64');
    if (payload === undefined) return;
    if (said.length < 300) said.push({ nick, payload });
    room.perform({ kind: 'send-message', nick, payload });
    sent.messages++;
  }
}

room.start();
const timer = setInterval(attack, EVERY_MS);
setTimeout(() => {
  clearInterval(timer);
  room.stop();
  process.stdout.write(`${JSON.stringify(sent)}\n`);
  setTimeout(() => process.exit(0), 300);
}, Number(seconds) * 1_000);
