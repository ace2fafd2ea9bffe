/** Signalling with who is not in the room: guests, greeters, accounts. */
import { expect } from 'chai';
import { parsePrefix } from '../wire/address.ts';
import type { Body } from '../wire/bodies.ts';
import { encodeCertificate } from '../wire/certificate.ts';
import { nodeIdOf, overlayIdOf } from '../wire/ids.ts';
import { privateKey, rawPublicKey } from '../wire/keys.ts';
import { macRulesOf } from '../wire/mac.ts';
import { OwnBoot } from './own-boot.ts';
import { Signal, type SignalAction, type SignalEvent } from './signal.ts';

const authority = privateKey('ed25519', Buffer.alloc(32, 1));
const authorityKey = rawPublicKey(authority);
const overlayId = overlayIdOf(authorityKey);
const NOW_SECONDS = 1_700_000_000;
const BYE: Body = { type: 'bye', tunnel: '0123456789abcdef' };
const OFFER: Body = { type: 'offer', tunnel: '0123456789abcdef', sdp: 'v=0', udp: [], kinds: ['successor'] };

const identityOf = (n: number) => privateKey('ed25519', Buffer.alloc(32, 10 + n));
const idOf = (n: number) => nodeIdOf(rawPublicKey(identityOf(n)));

function bootOf(n: number, boot = 0): OwnBoot {
  const addresses = [parsePrefix(`10.1.0.${n}/16`)];
  const certificate = encodeCertificate(
    {
      overlayId,
      identityKey: rawPublicKey(identityOf(n)),
      sessionKey: rawPublicKey(privateKey('x25519', Buffer.alloc(32, 10 + n))),
      name: `node${n}`,
      addresses,
      routes: [],
      macs: macRulesOf(addresses, [], BigInt(n)),
      serial: BigInt(n),
      notBefore: NOW_SECONDS - 100,
      notAfter: NOW_SECONDS + 1_000_000,
    },
    authority,
  );
  return new OwnBoot({
    identity: identityOf(n),
    certificate,
    nonce: Buffer.alloc(16, 16 * n + boot),
    ephemeral: privateKey('x25519', Buffer.alloc(32, 100 + 16 * n + boot)),
  });
}

/** A node; two members are a large overlay to it. */
function node(n: number, boot = 0): Signal {
  const signal = new Signal({
    overlayId,
    authorityKey,
    own: bootOf(n, boot),
    random: () => 0.5,
    signedSeconds: 0,
    account: `node${n}`,
    greeting: { above: 1, greeters: 1 },
  });
  signal.handle({ kind: 'clock', wallSeconds: NOW_SECONDS }, 0);
  signal.handle({ kind: 'connected' }, 0);
  return signal;
}

const presence = (n: number, nick = idOf(n), more: object = {}): SignalEvent => ({
  kind: 'presence',
  nick,
  available: true,
  hello: bootOf(n).hello([], 0).toString('base64'),
  account: `node${n}`,
  ...more,
});

const only = <K extends SignalAction['kind']>(actions: readonly SignalAction[], kind: K) =>
  actions.filter((action): action is Extract<SignalAction, { kind: K }> => action.kind === kind);

/** What one sends to accounts arrives at the other as said by `account`. */
function deliver(actions: readonly SignalAction[], to: Signal, account: string): readonly SignalAction[] {
  return only(actions, 'send-direct').flatMap(({ payload, hello }) =>
    to.handle({ kind: 'direct', account, payload, hello }, 0),
  );
}

describe('signalling outside of the room', () => {
  it('a guest of a large overlay is introduced, welcomed, and made known to those beside it, which write to it', () => {
    const [greeter, guest, other] = [node(1), node(2), node(3)] as const;
    // The greeter has the other one as a neighbour of the overlay; the guest knows nobody.
    greeter.handle({ kind: 'certificates', certificates: [bootOf(3).certificate.bytes] }, 0);
    greeter.handle({ kind: 'neighbours', peers: [idOf(3)], ringComplete: true }, 0);
    other.handle({ kind: 'certificates', certificates: [bootOf(1).certificate.bytes] }, 0);
    const seat = 'guest-2';
    greeter.handle(presence(2, seat), 0);
    guest.handle(presence(1, idOf(1), { members: 2 }), 0);
    const introduced = guest.handle({ kind: 'joined', nick: seat }, 0);
    // It leaves with that: somebody else wants the place.
    expect(introduced.map(({ kind }) => kind).filter((kind) => kind !== 'contact')).to.deep.equal([
      'send-direct',
      'leave-room',
      'stay-outside',
    ]);
    expect(only(introduced, 'send-direct')[0]?.account).to.equal('node1');
    greeter.handle({ kind: 'presence', nick: seat, available: false }, 0);
    const answers = deliver(introduced, greeter, 'node2');
    expect(only(answers, 'send-message')).to.deep.equal([]);
    expect(only(answers, 'send-direct')).to.have.length(1);
    const welcomed = deliver(answers, guest, 'node1');
    expect(welcomed.map((action) => action.kind)).to.include.members(['member', 'heard-of']);
    expect(guest.member(idOf(3))?.name).to.equal('node3');
    const [told] = only(answers, 'send-overlay').filter(({ to, body }) => to === idOf(3) && body.type === 'hello');
    const heard = other.handle({ kind: 'over-overlay', from: idOf(1), body: told?.body }, 0);
    expect(only(heard, 'contact')).to.deep.include({
      kind: 'contact',
      nodeId: idOf(2),
      reachable: true,
      boot: bootOf(2).nonce.toString('hex'),
    });
    const offered = other.handle({ kind: 'send', to: idOf(2), body: OFFER }, 0);
    expect(only(offered, 'send-direct')).to.have.length(1);
    expect(only(offered, 'send-direct')[0]).to.include({ account: 'node2' });
    const arrived = deliver(offered, guest, 'node3');
    expect(arrived).to.deep.include({ kind: 'deliver', from: idOf(3), body: OFFER });
    // The answer needs no hello any more, and goes back the same way.
    const answer = guest.handle({ kind: 'send', to: idOf(3), body: BYE }, 0);
    expect(deliver(answer, other, 'node2')).to.deep.include({ kind: 'deliver', from: idOf(2), body: BYE });
    const again = other.handle({ kind: 'send', to: idOf(2), body: BYE }, 0);
    expect(only(again, 'send-direct')[0]?.hello).to.equal(undefined);
  });

  it('a message to the account is taken once, from who sealed it, and by nobody else than it was sealed to', () => {
    const [a, b, c] = [node(1), node(2), node(3)] as const;
    for (const signal of [a, c]) signal.handle(presence(2), 0);
    b.handle(presence(1), 0);
    a.handle({ kind: 'presence', nick: idOf(2), available: false }, 0);
    const sent = a.handle({ kind: 'send', to: idOf(2), body: BYE }, 0);
    expect(only(sent, 'send-direct')).to.have.length(1);
    expect(deliver(sent, c, 'node1')).to.deep.equal([{ kind: 'count', counter: 'signal_message_refused' }]);
    expect(deliver(sent, b, 'node9')).to.deep.include({ kind: 'deliver', from: idOf(1), body: BYE });
    expect(deliver(sent, b, 'node1')).to.deep.equal([{ kind: 'count', counter: 'signal_message_refused' }]);
  });

  it('a stranger is dropped, and a hello of another than the sender', () => {
    const [a, b] = [node(1), node(2)] as const;
    b.handle(presence(1), 0);
    a.handle(presence(2), 0);
    a.handle({ kind: 'presence', nick: idOf(2), available: false }, 0);
    const [sent] = only(a.handle({ kind: 'send', to: idOf(2), body: BYE }, 0), 'send-direct');
    const payload = sent?.payload ?? '';
    const kinds = (signal: Signal, hello?: string) =>
      only(signal.handle({ kind: 'direct', account: 'x', payload, hello }, 0), 'count').map(({ counter }) => counter);
    expect(kinds(node(2))).to.deep.equal(['signal_not_a_member']);
    expect(kinds(node(2), bootOf(3).hello([], 0).toString('base64'))).to.deep.equal(['signal_message_refused']);
  });

  it('a message for an older boot of ours is answered with who we are now, once a second at most', () => {
    const [a, before] = [node(1), node(2)] as const;
    a.handle(presence(2), 0);
    before.handle(presence(1), 0);
    a.handle({ kind: 'presence', nick: idOf(2), available: false }, 0);
    const sent = a.handle({ kind: 'send', to: idOf(2), body: BYE }, 0);
    const now = node(2, 1);
    const [message] = only(sent, 'send-direct');
    const say = (at: number) =>
      only(
        now.handle({ kind: 'direct', account: 'node1', payload: message?.payload ?? '', hello: message?.hello }, at),
        'send-direct',
      );
    const [answer] = say(2_000);
    expect(say(2_500)).to.deep.equal([]);
    const heard = a.handle(
      { kind: 'direct', account: 'node2', payload: answer?.payload ?? '', hello: answer?.hello },
      2_100,
    );
    expect(only(heard, 'contact')[0]?.boot).to.equal(bootOf(2, 1).nonce.toString('hex'));
  });

  it('a neighbour tells all members to who asks, in the order of their ids', () => {
    const signal = node(1);
    const ids = [2, 3, 4].map(idOf).sort();
    const certificates = [2, 3, 4].map((n) => bootOf(n).certificate.bytes);
    signal.handle({ kind: 'certificates', certificates }, 0);
    signal.handle({ kind: 'neighbours', peers: [idOf(2)], ringComplete: true }, 0);
    const ask = (after: string) => {
      const answer = signal.handle({ kind: 'over-overlay', from: idOf(2), body: { type: 'members-after', after } }, 0);
      const [body] = only(answer, 'send-overlay').flatMap(({ body }) => (body.type === 'members' ? [body] : []));
      return body?.certificates.length;
    };
    expect([ask('0'.repeat(32)), ask(ids[0] ?? ''), ask(ids[2] ?? '')]).to.deep.equal([3, 2, 0]);
  });

  it('an account at which nobody is makes a peer unreachable, and one it is renamed in the room to its own name', () => {
    const a = node(1);
    a.handle(presence(2, 'guest-1'), 0);
    a.handle({ kind: 'renamed', nick: 'guest-1', to: idOf(2) }, 0);
    expect(only(a.handle({ kind: 'send', to: idOf(2), body: BYE }, 0), 'send-message')[0]?.nick).to.equal(idOf(2));
    a.handle({ kind: 'presence', nick: idOf(2), available: false }, 0);
    const gone = a.handle({ kind: 'account-away', account: 'node2' }, 0);
    expect(only(gone, 'contact')).to.deep.include({
      kind: 'contact',
      nodeId: idOf(2),
      reachable: false,
      boot: bootOf(2).nonce.toString('hex'),
    });
  });

  it("nobody takes another one's name in the room as a guest with an old hello of it", () => {
    const a = node(1);
    const old = presence(2);
    a.handle(presence(2), 0);
    a.handle({ kind: 'presence', nick: idOf(2), available: true, hello: bootOf(2).hello([], 0).toString('base64') }, 0);
    a.handle({ ...old, nick: 'guest-4' } as SignalEvent, 0);
    expect(only(a.handle({ kind: 'send', to: idOf(2), body: BYE }, 0), 'send-message')[0]?.nick).to.equal(idOf(2));
  });
});
