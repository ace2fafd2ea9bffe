import { expect } from 'chai';
import fc from 'fast-check';
import { parsePrefix } from '../wire/address.ts';
import type { Body } from '../wire/bodies.ts';
import { encodeCertificate } from '../wire/certificate.ts';
import { parseHello } from '../wire/hello.ts';
import { nodeIdOf, overlayIdOf } from '../wire/ids.ts';
import { privateKey, rawPublicKey } from '../wire/keys.ts';
import { macRulesOf } from '../wire/mac.ts';
import { encodeRevocations } from '../wire/revocations.ts';
import { OwnBoot } from './own-boot.ts';
import { GOSSIP_INTERVAL_MS, RETURN_MS, Signal, type SignalAction, type SignalEvent, TWIN_MS } from './signal.ts';

const authority = privateKey('ed25519', Buffer.alloc(32, 1));
const authorityKey = rawPublicKey(authority);
const overlayId = overlayIdOf(authorityKey);
const NOW_SECONDS = 1_700_000_000;
const BYE: Body = { type: 'bye', tunnel: '0123456789abcdef' };

interface NodeOptions {
  readonly boot?: number;
  readonly serial?: bigint;
  readonly address?: string;
  readonly notAfter?: number;
}

const identityOf = (n: number) => privateKey('ed25519', Buffer.alloc(32, 10 + n));
const idOf = (n: number) => nodeIdOf(rawPublicKey(identityOf(n)));

function certificateOf(n: number, options: NodeOptions = {}): Buffer {
  const addresses = [parsePrefix(options.address ?? `10.1.0.${n}/16`)];
  const serial = options.serial ?? BigInt(n);
  return encodeCertificate(
    {
      overlayId,
      identityKey: rawPublicKey(identityOf(n)),
      sessionKey: rawPublicKey(privateKey('x25519', Buffer.alloc(32, 10 + n))),
      name: `node${n}`,
      addresses,
      routes: [],
      macs: macRulesOf(addresses, [], serial),
      serial,
      notBefore: NOW_SECONDS - 100,
      notAfter: options.notAfter ?? NOW_SECONDS + 1_000_000,
    },
    authority,
  );
}

function bootOf(n: number, options: NodeOptions = {}): OwnBoot {
  const boot = options.boot ?? 0;
  return new OwnBoot({
    identity: identityOf(n),
    certificate: certificateOf(n, options),
    nonce: Buffer.alloc(16, 16 * n + boot),
    ephemeral: privateKey('x25519', Buffer.alloc(32, 100 + 16 * n + boot)),
  });
}

const helloOf = (boot: OwnBoot) => boot.hello([], 0).toString('base64');

/** An agent's signalling with a room around it, in which nothing is lost. */
class Room {
  readonly agents = new Map<string, { readonly signal: Signal; hello: string | undefined }>();
  /** Everything but what the room itself carried, by node. */
  readonly seen = new Map<string, SignalAction[]>();
  /** Sealed messages in the order they crossed the server. */
  readonly carried: { from: string; to: string; payload: string }[] = [];

  join(n: number, options: NodeOptions = {}): Signal {
    const signal = signalOf(n, options);
    const nick = idOf(n);
    this.agents.set(nick, { signal, hello: undefined });
    this.seen.set(nick, []);
    this.feed(n, { kind: 'clock', wallSeconds: NOW_SECONDS });
    this.feed(n, { kind: 'connected' });
    for (const [other, { hello }] of this.agents)
      if (other !== nick && hello !== undefined)
        this.feed(n, { kind: 'presence', nick: other, available: true, hello });
    return signal;
  }

  feed(n: number, event: SignalEvent, now = 0): readonly SignalAction[] {
    const nick = idOf(n);
    const actions = this.agents.get(nick)!.signal.handle(event, now);
    for (const action of actions) this.#carry(nick, action, now);
    return actions;
  }

  #carry(from: string, action: SignalAction, now: number): void {
    if (action.kind === 'send-presence') {
      this.agents.get(from)!.hello = action.hello;
      for (const n of this.#numbers())
        this.feed(n, { kind: 'presence', nick: from, available: true, hello: action.hello }, now);
    } else if (action.kind === 'send-message') {
      this.carried.push({ from, to: action.nick, payload: action.payload });
      const to = this.#numbers().find((n) => idOf(n) === action.nick);
      if (to !== undefined) this.feed(to, { kind: 'message', nick: from, payload: action.payload }, now);
    } else {
      this.seen.get(from)!.push(action);
    }
  }

  #numbers(): number[] {
    return [1, 2, 3, 4].filter((n) => this.agents.has(idOf(n)));
  }

  kinds(n: number): string[] {
    return this.seen.get(idOf(n))!.map((a) => (a.kind === 'count' ? a.counter : a.kind));
  }

  clear(): void {
    for (const list of this.seen.values()) list.length = 0;
  }
}

const signalOf = (n: number, options: NodeOptions = {}): Signal =>
  new Signal({ overlayId, authorityKey, own: bootOf(n, options), random: () => 0.5, signedSeconds: 0 });

/** A lone agent whose room is the test. */
function lone(n = 1): Signal {
  const signal = signalOf(n);
  signal.handle({ kind: 'clock', wallSeconds: NOW_SECONDS }, 0);
  signal.handle({ kind: 'connected' }, 0);
  return signal;
}

const presence = (boot: OwnBoot, nick = boot.nodeId): SignalEvent => ({
  kind: 'presence',
  nick,
  available: true,
  hello: helloOf(boot),
});

const kindsOf = (actions: readonly SignalAction[]) => actions.map((a) => (a.kind === 'count' ? a.counter : a.kind));

describe('signalling', () => {
  it('two agents in one room know each other and can reach each other at once', () => {
    const room = new Room();
    room.join(1);
    room.join(2);
    expect(room.kinds(1)).to.deep.equal(['member', 'contact']);
    expect(room.kinds(2)).to.deep.equal(['member', 'contact']);
  });

  it('a message is delivered, once, to whom it was sent', () => {
    const room = new Room();
    for (const n of [1, 2, 3]) room.join(n);
    room.clear();
    room.feed(1, { kind: 'send', to: idOf(2), body: BYE });
    expect(room.seen.get(idOf(2))).to.deep.equal([{ kind: 'deliver', from: idOf(1), body: BYE }]);
    expect(room.seen.get(idOf(3))).to.deep.equal([]);
  });

  it('a message played again is dropped and counted', () => {
    const room = new Room();
    for (const n of [1, 2]) room.join(n);
    room.feed(1, { kind: 'send', to: idOf(2), body: BYE });
    const { payload } = room.carried[0]!;
    expect(kindsOf(room.feed(2, { kind: 'message', nick: idOf(1), payload }))).to.deep.equal([
      'signal_message_refused',
    ]);
  });

  it('a message under the name of another, or to another, is dropped', () => {
    const room = new Room();
    for (const n of [1, 2, 3]) room.join(n);
    room.feed(1, { kind: 'send', to: idOf(2), body: BYE });
    const { payload } = room.carried[0]!;
    for (const [to, nick] of [
      [2, 3],
      [3, 1],
    ] as const)
      expect(kindsOf(room.feed(to, { kind: 'message', nick: idOf(nick), payload }))).to.deep.equal([
        'signal_message_refused',
      ]);
  });

  it('a stranger is dropped before anything is computed for it', () => {
    expect(kindsOf(lone().handle({ kind: 'message', nick: idOf(9), payload: 'RVZNMQ==' }, 0))).to.deep.equal([
      'signal_not_a_member',
    ]);
    expect(kindsOf(lone().handle({ kind: 'over-overlay', from: idOf(9), body: BYE }, 0))).to.deep.equal([
      'signal_not_a_member',
    ]);
  });

  it("a hello under another node's nickname is refused", () => {
    expect(kindsOf(lone().handle(presence(bootOf(2), idOf(3)), 0))).to.deep.equal(['signal_hello_refused']);
  });

  it('a certificate by another authority is refused', () => {
    const other = privateKey('ed25519', Buffer.alloc(32, 77));
    const signal = new Signal({
      overlayId: overlayIdOf(rawPublicKey(other)),
      authorityKey: rawPublicKey(other),
      own: bootOf(1),
      random: () => 0,
      signedSeconds: 0,
    });
    expect(kindsOf(signal.handle(presence(bootOf(2)), 0))).to.deep.equal(['signal_hello_refused']);
  });

  it('a peer that started anew is told with its new boot, and old messages of it are void', () => {
    const room = new Room();
    for (const n of [1, 2]) room.join(n);
    room.feed(2, { kind: 'send', to: idOf(1), body: BYE });
    room.clear();
    room.join(2, { boot: 1 });
    const contact = room.seen.get(idOf(1))!.find((a) => a.kind === 'contact');
    expect(contact).to.deep.include({ nodeId: idOf(2), reachable: true, boot: Buffer.alloc(16, 33).toString('hex') });
    const { payload } = room.carried[0]!;
    expect(kindsOf(room.feed(1, { kind: 'message', nick: idOf(2), payload }))).to.deep.equal([
      'signal_message_refused',
    ]);
    room.clear();
    room.feed(1, { kind: 'send', to: idOf(2), body: BYE });
    expect(room.kinds(2)).to.deep.equal(['deliver']);
  });

  it('an old hello shown again locks nobody out: the boot that speaks is the one that lives', () => {
    const signal = lone();
    const [old, current] = [bootOf(2, { boot: 0 }), bootOf(2, { boot: 1 })];
    const oldHello = presence(old);
    signal.handle(presence(current), 0);
    signal.handle(oldHello, 0);
    // The peer never left: it seals to us from its current boot.
    const peer = new Signal({ overlayId, authorityKey, own: current, random: () => 0, signedSeconds: 0 });
    peer.handle({ kind: 'clock', wallSeconds: NOW_SECONDS }, 0);
    peer.handle({ kind: 'connected' }, 0);
    peer.handle(presence(bootOf(1)), 0);
    const sent = peer.handle({ kind: 'send', to: idOf(1), body: BYE }, 0)[0];
    if (sent?.kind !== 'send-message') throw new Error('not sent by the room');
    const actions = signal.handle({ kind: 'message', nick: idOf(2), payload: sent.payload }, 0);
    expect(actions).to.deep.include({ kind: 'deliver', from: idOf(2), body: BYE });
    expect(actions).to.deep.include({
      kind: 'contact',
      nodeId: idOf(2),
      reachable: true,
      boot: Buffer.alloc(16, 33).toString('hex'),
    });
  });

  it('a message to an older boot of ours is answered by presence only, once a second at most', () => {
    const room = new Room();
    for (const n of [1, 2]) room.join(n);
    room.feed(1, { kind: 'send', to: idOf(2), body: BYE });
    const { payload } = room.carried[0]!;
    const reborn = signalOf(2, { boot: 1 });
    reborn.handle({ kind: 'clock', wallSeconds: NOW_SECONDS }, 0);
    reborn.handle({ kind: 'connected' }, 0);
    reborn.handle(presence(bootOf(1)), 0);
    const message: SignalEvent = { kind: 'message', nick: idOf(1), payload };
    expect(kindsOf(reborn.handle(message, 2_000))).to.deep.equal(['signal_message_old_boot', 'send-presence']);
    expect(kindsOf(reborn.handle(message, 2_100))).to.deep.equal(['signal_message_old_boot']);
    expect(reborn.deadline()).to.equal(3_000);
    expect(kindsOf(reborn.handle({ kind: 'deadline' }, 3_000))).to.deep.equal(['send-presence']);
  });

  it('a connection that comes back announces itself again, with a newer hello', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    expect(kindsOf(signal.handle({ kind: 'disconnected' }, 10))).to.deep.equal(['contact']);
    expect(kindsOf(signal.handle({ kind: 'connected' }, 20))).to.deep.equal(['send-presence']);
  });

  it('a hello repeated word for word costs nothing and changes nothing', () => {
    const signal = lone();
    const event = presence(bootOf(2));
    signal.handle(event, 0);
    expect(signal.handle(event, 1)).to.deep.equal([]);
  });

  it('"unavailable" makes a peer unreachable by the room, but it stays a member', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    const gone = signal.handle({ kind: 'presence', nick: idOf(2), available: false }, 1);
    expect(gone).to.deep.equal([
      { kind: 'contact', nodeId: idOf(2), reachable: false, boot: Buffer.alloc(16, 32).toString('hex') },
    ]);
    expect(signal.member(idOf(2))?.name).to.equal('node2');
    expect(kindsOf(signal.handle({ kind: 'send', to: idOf(2), body: BYE }, 2))).to.deep.equal(['signal_unsent']);
  });

  it('a peer that comes back into the room was heard, although the overlay kept it reachable', () => {
    const signal = lone();
    const event = presence(bootOf(2));
    signal.handle(event, 0);
    signal.handle({ kind: 'certificates', certificates: [certificateOf(3)] }, 0);
    signal.handle({ kind: 'neighbours', peers: [idOf(3)] }, 0);
    expect(kindsOf(signal.handle({ kind: 'presence', nick: idOf(2), available: false }, 1))).to.deep.equal([]);
    expect(signal.handle(event, 2)).to.deep.equal([{ kind: 'heard', nodeId: idOf(2) }]);
  });

  it('with the server away messages go over the overlay', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    signal.handle(presence(bootOf(3)), 0);
    signal.handle({ kind: 'neighbours', peers: [idOf(3)] }, 1);
    expect(kindsOf(signal.handle({ kind: 'send', to: idOf(2), body: BYE }, 2))).to.deep.equal(['send-message']);
    expect(kindsOf(signal.handle({ kind: 'disconnected' }, 3))).to.deep.equal([]);
    expect(signal.handle({ kind: 'send', to: idOf(2), body: BYE }, 4)).to.deep.equal([
      { kind: 'send-overlay', to: idOf(2), body: BYE },
    ]);
  });

  it('a message the room gave back is followed by the overlay', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    signal.handle({ kind: 'neighbours', peers: [idOf(2)] }, 1);
    signal.handle({ kind: 'undeliverable', nick: idOf(2) }, 2);
    expect(kindsOf(signal.handle({ kind: 'send', to: idOf(2), body: BYE }, 3))).to.deep.equal(['send-overlay']);
  });

  it('what comes over the overlay is judged like what comes by the room', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    expect(signal.handle({ kind: 'over-overlay', from: idOf(2), body: BYE }, 1)).to.deep.equal([
      { kind: 'deliver', from: idOf(2), body: BYE },
    ]);
    expect(kindsOf(signal.handle({ kind: 'over-overlay', from: idOf(2), body: { type: 'exec' } }, 1))).to.deep.equal([
      'signal_message_refused',
    ]);
  });

  it('a neighbour outside the room is told of the members, and what it tells is passed on', () => {
    const signal = lone();
    signal.handle({ kind: 'certificates', certificates: [2, 3, 4].map((n) => certificateOf(n)) }, 0);
    signal.handle({ kind: 'disconnected' }, 1);
    const told = signal
      .handle({ kind: 'neighbours', peers: [idOf(2), idOf(3)] }, 2)
      .filter((a) => a.kind === 'send-overlay');
    expect(told.map((a) => a.to)).to.deep.equal([idOf(2), idOf(3)]);
    expect(told.map((a) => a.body.type === 'members' && a.body.certificates.length)).to.deep.equal([2, 2]);
    const body = { type: 'members', certificates: [certificateOf(5).toString('base64')] };
    const passed = signal.handle({ kind: 'over-overlay', from: idOf(2), body }, 3);
    expect(kindsOf(passed)).to.deep.equal(['member', 'contact', 'heard', 'send-overlay']);
    expect(passed.at(-1)).to.deep.include({ to: idOf(3) });
    expect(kindsOf(signal.handle({ kind: 'over-overlay', from: idOf(2), body }, 4))).to.deep.equal(['heard']);
  });

  it('now and then a neighbour by chance is told of members by chance', () => {
    const signal = lone();
    signal.handle({ kind: 'certificates', certificates: [2, 3].map((n) => certificateOf(n)) }, 0);
    signal.handle({ kind: 'neighbours', peers: [idOf(2)] }, 0);
    expect(kindsOf(signal.handle({ kind: 'deadline' }, GOSSIP_INTERVAL_MS))).to.deep.equal(['send-overlay']);
  });

  it('a revoked member is gone, and its hello does not bring it back', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2)), 0);
    const revoked = [{ nodeId: idOf(2), serial: 2n }];
    const list = encodeRevocations({ serial: 1n, issued: NOW_SECONDS, revoked }, authority);
    const [kept, gone, ...more] = signal.handle({ kind: 'revocations', list }, 1);
    expect(kept).to.deep.equal({ kind: 'revocations', list });
    expect(gone).to.deep.include({ kind: 'member-gone', reason: 'revoked' });
    expect((gone as { certificate: { nodeId: string } }).certificate.nodeId).to.equal(idOf(2));
    expect(more).to.deep.equal([]);
    expect(kindsOf(signal.handle(presence(bootOf(2, { boot: 1 })), 2))).to.deep.equal(['signal_hello_refused']);
    expect(kindsOf(signal.handle(presence(bootOf(2, { boot: 2, serial: 50n })), 3))).to.deep.equal([
      'member',
      'contact',
    ]);
    const older = encodeRevocations(
      { serial: 1n, issued: NOW_SECONDS, revoked: [{ nodeId: idOf(2), serial: 99n }] },
      authority,
    );
    expect(signal.handle({ kind: 'revocations', list: older }, 4)).to.deep.equal([]);
    const forged = encodeRevocations({ serial: 9n, issued: NOW_SECONDS, revoked }, identityOf(2));
    expect(kindsOf(signal.handle({ kind: 'revocations', list: forged }, 5))).to.deep.equal([
      'signal_certificate_refused',
    ]);
  });

  it('a node that is revoked itself says so', () => {
    const signal = lone();
    const revoked = [{ nodeId: idOf(1), serial: 1n }];
    const list = encodeRevocations({ serial: 1n, issued: NOW_SECONDS, revoked }, authority);
    const actions = signal.handle({ kind: 'revocations', list }, 1);
    expect(kindsOf(actions)).to.deep.equal(['revocations', 'report']);
    expect(actions.at(-1))
      .to.have.property('message')
      .that.matches(/this node's certificate is revoked/);
    expect(signal.standing(2)).to.include({ revoked: true, twin: false, displacedBy: undefined });
  });

  it('a certificate that was replaced is not good again when the newer one has expired', () => {
    const signal = lone();
    const take = (options: NodeOptions, now: number) =>
      kindsOf(signal.handle({ kind: 'certificates', certificates: [certificateOf(2, options)] }, now));
    expect(take({ serial: 8n }, 0)).to.include('member');
    expect(take({ serial: 9n, notAfter: NOW_SECONDS + 60 }, 1)).to.include('member');
    expect(kindsOf(signal.handle({ kind: 'deadline' }, 75_000))).to.deep.equal(['member-gone']);
    expect(take({ serial: 8n }, 76_000)).not.to.include('member');
    expect(take({ serial: 10n }, 77_000)).to.include('member');
  });

  it('a certificate that runs out ends the membership', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2, { notAfter: NOW_SECONDS + 60 })), 0);
    expect(kindsOf(signal.handle({ kind: 'deadline' }, 30_000))).to.deep.equal([]);
    expect(kindsOf(signal.handle({ kind: 'deadline' }, 61_000))).to.deep.equal(['member-gone']);
  });

  it('a board whose clock says 1970 takes the authority at its word', () => {
    const signal = signalOf(1);
    signal.handle({ kind: 'clock', wallSeconds: 3 }, 0);
    signal.handle({ kind: 'connected' }, 0);
    expect(kindsOf(signal.handle(presence(bootOf(2)), 0))).to.deep.equal(['member', 'contact']);
  });

  it('a node whose clock is five years ahead takes the time from members it hears, and says how wrong it is', () => {
    const YEARS = 5 * 365 * 86_400;
    const signal = signalOf(1);
    const begun = signal.handle({ kind: 'clock', wallSeconds: NOW_SECONDS + YEARS }, 0);
    expect(kindsOf(begun)).to.deep.equal(['report']);
    expect(begun[0])
      .to.have.property('message')
      .that.matches(/^this node's certificate ended at .* or set the clock/);
    signal.handle({ kind: 'connected' }, 0);
    // Who does not say the time is no help.
    expect(kindsOf(signal.handle(presence(bootOf(2)), 0))).to.deep.equal(['signal_hello_refused']);
    const boot = bootOf(3);
    boot.setTime(NOW_SECONDS, 0);
    const heard = signal.handle(presence(boot), 0);
    expect(kindsOf(heard)).to.deep.equal(['time', 'report', 'member', 'contact']);
    expect(heard[0]).to.deep.equal({ kind: 'time', seconds: NOW_SECONDS });
    expect(heard[1])
      .to.have.property('message')
      .that.matches(/^this machine's clock is 5 years ahead/);
    expect(kindsOf(signal.handle(presence(bootOf(2, { boot: 1 })), 1))).to.deep.equal(['member', 'contact']);
    // It does not pass a wrong time on, and once its clock is set it says so.
    expect(signal.knownTime(10_000)).to.equal(NOW_SECONDS + 10);
    const set = signal.handle({ kind: 'clock', wallSeconds: NOW_SECONDS + 20 }, 20_000);
    expect(set).to.deep.equal([{ kind: 'report', message: "this machine's clock is right again" }]);
  });

  it('a hello says the time only where the clock can be right, and what is said by an expired certificate is not heard', () => {
    const told = (wallSeconds: number) => {
      const boot = bootOf(2);
      const signal = new Signal({ overlayId, authorityKey, own: boot, random: () => 0.5, signedSeconds: 0 });
      signal.handle({ kind: 'clock', wallSeconds }, 0);
      return parseHello(boot.hello([], 5_000)).time;
    };
    expect([told(NOW_SECONDS), told(3), told(NOW_SECONDS + 2_000_000)]).to.deep.equal([
      NOW_SECONDS + 5,
      undefined,
      undefined,
    ]);
    const signal = signalOf(1);
    signal.handle({ kind: 'clock', wallSeconds: 2 * NOW_SECONDS }, 0);
    const expired = bootOf(2, { notAfter: NOW_SECONDS + 60 });
    expired.setTime(NOW_SECONDS + 61, 0);
    expect(kindsOf(signal.handle(presence(expired), 0))).to.deep.equal(['signal_hello_refused']);
    expect(signal.knownTime(0)).to.equal(undefined);
  });

  it('of two members that claim one address the higher serial stays', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2, { address: '10.1.0.9/16' })), 0);
    const higher = signal.handle(presence(bootOf(3, { address: '10.1.0.9/16' })), 1);
    expect(kindsOf(higher)).to.deep.equal(['member-gone', 'member', 'contact']);
    expect(kindsOf(signal.handle(presence(bootOf(2, { address: '10.1.0.9/16', boot: 1 })), 2))).to.deep.equal([
      'signal_hello_refused',
    ]);
  });

  it('a member whose address another has by a higher serial is refused, and that is told once', () => {
    const signal = lone();
    signal.handle(presence(bootOf(3, { address: '10.1.0.9/16' })), 0);
    const late = (boot: number) => signal.handle(presence(bootOf(2, { address: '10.1.0.9/16', boot })), 1);
    const actions = late(1);
    expect(kindsOf(actions)).to.deep.equal(['signal_hello_refused', 'report']);
    expect(actions[1])
      .to.have.property('message')
      .that.matches(
        /^node2 \([0-9a-f]{32}\) is refused: 10\.1\.0\.9 belongs to node3 \([0-9a-f]{32}\), whose certificate number 3 is newer than 2;/,
      );
    expect(kindsOf(late(2))).to.deep.equal(['signal_hello_refused']);
  });

  it('a node comes back by itself once nobody else has its address', () => {
    const claim = () => presence(bootOf(2, { address: '10.1.0.1/16', serial: 4n }));
    const renewed = lone();
    renewed.handle(claim(), 0);
    const actions = renewed.handle(presence(bootOf(2, { boot: 1, serial: 5n })), 1);
    expect(kindsOf(actions)).to.deep.equal(['member', 'report', 'contact']);
    expect(kindsOf(renewed.handle({ kind: 'deadline' }, 1 + RETURN_MS))).to.deep.equal(['send-presence']);
    const revoked = lone();
    revoked.handle(claim(), 0);
    const list = encodeRevocations(
      { serial: 1n, issued: NOW_SECONDS, revoked: [{ nodeId: idOf(2), serial: 4n }] },
      authority,
    );
    expect(kindsOf(revoked.handle({ kind: 'revocations', list }, 1))).to.deep.equal([
      'revocations',
      'member-gone',
      'report',
    ]);
    expect(kindsOf(revoked.handle({ kind: 'deadline' }, 1 + RETURN_MS))).to.deep.equal(['send-presence']);
  });

  it('another certificate for our own address is refused when ours is newer, and told once when it is the newer one', () => {
    const older = lone(3);
    const claim = (serial: bigint) => presence(bootOf(2, { address: '10.1.0.3/16', serial }));
    expect(kindsOf(older.handle(claim(2n), 0))).to.deep.equal(['signal_hello_refused', 'report']);
    const actions = older.handle(claim(4n), 1);
    expect(kindsOf(actions)).to.deep.equal(['report', 'member', 'contact']);
    expect(actions[0])
      .to.have.property('message')
      .that.matches(/^node2 \([0-9a-f]{32}\) has 10\.1\.0\.3 as well, and its certificate number 4 is newer than 3/);
    expect(kindsOf(older.handle(claim(4n), 2))).to.deep.equal([]);
    expect(older.standing(2).displacedBy).to.deep.equal({ name: 'node2', nodeId: idOf(2), address: '10.1.0.3' });
    // Renewed, ours is the newer one again, also for what is heard later.
    older.handle({ kind: 'own-certificate', certificate: certificateOf(3, { serial: 6n }) }, 3);
    expect(kindsOf(older.handle(claim(5n), 4))).to.deep.equal(['signal_hello_refused', 'report']);
    expect(older.standing(4).displacedBy).to.equal(undefined);
  });

  it('a hello from the local network names a member and its addresses, and moves no boot', () => {
    const signal = lone();
    signal.handle(presence(bootOf(2, { boot: 1 })), 0);
    const bytes = bootOf(2, { boot: 0 }).hello([{ family: 4, address: '192.168.1.2', port: 20_002 }], 0);
    const actions = signal.handle({ kind: 'lan-hello', bytes }, 1);
    expect(kindsOf(actions)).to.deep.equal(['lan-peer']);
  });

  it('another agent with our identity is reported once', () => {
    const signal = lone();
    const twin = bootOf(1, { boot: 1 });
    expect(kindsOf(signal.handle(presence(twin), 0))).to.deep.equal(['report']);
    expect(kindsOf(signal.handle(presence(twin), 1))).to.deep.equal([]);
    expect(signal.standing(2).twin).to.equal(true);
    expect(signal.standing(2 + TWIN_MS).twin).to.equal(false);
  });

  it('whatever the room says, the machine lives and delivers nothing', () => {
    const noise = fc.oneof(fc.string(), fc.base64String(), fc.constant(helloOf(bootOf(2))));
    const nick = fc.oneof(fc.string(), fc.constantFrom(idOf(1), idOf(2), idOf(3), 'guest-0', 'guest-1'));
    const event: fc.Arbitrary<SignalEvent> = fc.oneof(
      fc.record({ kind: fc.constant('presence' as const), nick, available: fc.boolean(), hello: noise }),
      fc.record({ kind: fc.constant('joined' as const), nick }),
      fc.record({ kind: fc.constant('renamed' as const), nick, to: nick }),
      fc.record({ kind: fc.constantFrom('nick-taken' as const, 'deadline' as const, 'connected' as const) }),
      fc.record({ kind: fc.constant('account-away' as const), account: nick }),
      fc.record({ kind: fc.constant('direct' as const), account: nick, payload: noise, hello: noise }),
      fc.record({ kind: fc.constant('message' as const), nick, payload: noise }),
      fc.record({ kind: fc.constant('over-overlay' as const), from: nick, body: fc.jsonValue() }),
      fc.record({ kind: fc.constant('lan-hello' as const), bytes: fc.uint8Array() }),
      fc.record({ kind: fc.constant('certificates' as const), certificates: fc.array(fc.uint8Array()) }),
      fc.record({ kind: fc.constant('revocations' as const), list: fc.uint8Array() }),
      fc.record({ kind: fc.constant('neighbours' as const), peers: fc.array(nick) }),
    );
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const signal = lone();
        for (const [i, e] of events.entries())
          expect(signal.handle(e, i).filter((a) => a.kind === 'deliver')).to.deep.equal([]);
      }),
    );
  });
});
