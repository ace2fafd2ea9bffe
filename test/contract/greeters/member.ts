/**
 * A node's signalling at a real XMPP server: the shipped machine and the shipped adapter. Tunnels are lines in a table: who offered and
 * was answered has one, and messages over the overlay arrive where a chain of them leads.
 */
import { type RoomAction, XmppRoom } from '../../../agent/src/io/xmpp.ts';
import type { Greeting } from '../../../agent/src/signal/lobby.ts';
import { OwnBoot } from '../../../agent/src/signal/own-boot.ts';
import { Signal, type SignalAction, type SignalEvent } from '../../../agent/src/signal/signal.ts';
import type { Body } from '../../../agent/src/wire/bodies.ts';
import { encodeCertificate } from '../../../agent/src/wire/certificate.ts';
import { type NodeId, overlayIdOf } from '../../../agent/src/wire/ids.ts';
import { generatePrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { macRulesOf } from '../../../agent/src/wire/mac.ts';
import type { XmppServer } from '../../servers/xmpp-server.ts';
import { accountOf } from '../room.ts';

const AUTHORITY = generatePrivateKey('ed25519');
const STEP_MS = 20;
/** A tunnel that did not come is offered again after this. */
const OFFER_MS = 1_500;
const TUNNEL = '0123456789abcdef';

export class Lab {
  readonly members: Member[] = [];
  readonly server: XmppServer;
  readonly greeting: Greeting;

  constructor(server: XmppServer, greeting: Greeting) {
    this.server = server;
    this.greeting = greeting;
  }

  add(n: number): Member {
    const member = new Member(n, this);
    this.members.push(member);
    return member;
  }

  member(id: NodeId): Member | undefined {
    return this.members.find((member) => member.self === id);
  }

  /** Whether tunnels lead from one to the other. */
  connected(from: Member, to: Member): boolean {
    const seen = new Set([from]);
    for (const at of seen)
      for (const peer of at.tunnels) {
        const next = this.member(peer);
        if (next !== undefined) seen.add(next);
      }
    return seen.has(to);
  }

  get ringClosed(): boolean {
    const ring = [...this.members].sort((a, b) => (a.self < b.self ? -1 : 1));
    return ring.every((member, i) => member.tunnels.has(ring[(i + 1) % ring.length]?.self ?? ''));
  }

  stop(): void {
    for (const member of this.members) member.stop();
  }
}

export class Member {
  readonly self: NodeId;
  readonly tunnels = new Set<NodeId>();
  /** Messages by account that were sent. */
  directs = 0;
  readonly reports: string[] = [];
  readonly #lab: Lab;
  readonly #signal: Signal;
  readonly #room: XmppRoom;
  readonly #timer: NodeJS.Timeout;
  readonly #offeredAt = new Map<NodeId, number>();
  #told = '';

  constructor(n: number, lab: Lab) {
    this.#lab = lab;
    const identity = generatePrivateKey('ed25519');
    const addresses = [{ family: 4 as const, address: `10.99.0.${n}`, length: 16 }];
    const now = Math.floor(Date.now() / 1000);
    const authorityKey = rawPublicKey(AUTHORITY);
    const certificate = encodeCertificate(
      {
        overlayId: overlayIdOf(authorityKey),
        identityKey: rawPublicKey(identity),
        sessionKey: rawPublicKey(generatePrivateKey('x25519')),
        name: `node${n}`,
        addresses,
        routes: [],
        macs: macRulesOf(addresses, [], BigInt(n)),
        serial: BigInt(n),
        notBefore: now - 60,
        notAfter: now + 86_400,
      },
      AUTHORITY,
    );
    const nonce = Buffer.alloc(16, n);
    const own = new OwnBoot({ identity, certificate, nonce, ephemeral: generatePrivateKey('x25519') });
    this.self = own.nodeId;
    const account = accountOf(lab.server, n);
    this.#signal = new Signal({
      overlayId: overlayIdOf(authorityKey),
      authorityKey,
      own,
      random: Math.random,
      signedSeconds: now,
      account: account.username,
      greeting: lab.greeting,
    });
    this.#room = new XmppRoom(
      { ...account, nickname: this.self },
      {
        event: (event) => this.give(event),
        services: () => {},
        state: ({ error }) => error && this.reports.push(error),
      },
    );
    this.give({ kind: 'clock', wallSeconds: now });
    this.#room.start();
    this.#timer = setInterval(() => this.#tick(), STEP_MS);
  }

  get knows(): number {
    return [...this.#signal.members].length;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#room.stop();
  }

  give(event: SignalEvent): void {
    for (const action of this.#signal.handle(event, performance.now())) this.#do(action);
  }

  #do(action: SignalAction): void {
    switch (action.kind) {
      case 'send-direct':
        this.directs++;
        this.#room.perform(action);
        return;
      case 'send-presence':
      case 'leave-room':
      case 'stay-outside':
      case 'send-message':
        this.#room.perform(action satisfies RoomAction);
        return;
      case 'send-overlay': {
        const to = this.#lab.member(action.to);
        const { body } = action;
        if (to === undefined || !this.#lab.connected(this, to)) return;
        setTimeout(() => to.give({ kind: 'over-overlay', from: this.self, body: structuredClone(body) }), 5);
        return;
      }
      case 'deliver':
        this.#delivered(action.from, action.body);
        return;
      case 'report':
        this.reports.push(action.message);
        return;
      default:
        return;
    }
  }

  #delivered(from: NodeId, body: Body): void {
    if (body.type === 'offer') this.give({ kind: 'send', to: from, body: answer });
    if (body.type !== 'offer' && body.type !== 'answer') return;
    this.tunnels.add(from);
    this.#tellNeighbours();
  }

  #beside(): readonly NodeId[] {
    const ids = [...this.#signal.members].map((member) => member.nodeId).sort();
    const place = ids.findIndex((id) => id > this.self);
    const next = ids[Math.max(place, 0)];
    const before = ids.at((place < 0 ? ids.length : place) - 1);
    return [...new Set([next, before])].filter((id) => id !== undefined);
  }

  #tellNeighbours(): void {
    const complete = this.#beside().every((id) => this.tunnels.has(id)) && this.tunnels.size > 0;
    const told = `${complete} ${[...this.tunnels].join()}`;
    if (told === this.#told) return;
    this.#told = told;
    this.give({ kind: 'neighbours', peers: [...this.tunnels], ringComplete: complete });
  }

  #tick(): void {
    const now = performance.now();
    if ((this.#signal.deadline() ?? Number.POSITIVE_INFINITY) <= now) this.give({ kind: 'deadline' });
    for (const id of this.#beside()) {
      if (this.tunnels.has(id) || now < (this.#offeredAt.get(id) ?? 0) + OFFER_MS) continue;
      this.#offeredAt.set(id, now);
      this.give({ kind: 'send', to: id, body: offer });
    }
    this.#tellNeighbours();
  }
}

const offer: Body = { type: 'offer', tunnel: TUNNEL, sdp: 'v=0', udp: [], kinds: ['successor'] };
const answer: Body = { type: 'answer', tunnel: TUNNEL, sdp: 'v=0', udp: [] };
