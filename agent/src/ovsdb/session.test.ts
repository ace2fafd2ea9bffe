import { expect } from 'chai';
import { FakeOvsdb } from '../../../test/sim/fake-ovsdb.ts';
import type { Json } from './json-rpc.ts';
import { NEAR, Session, type SessionAction, type SessionEvent } from './session.ts';

/** A session whose messages are answered by hand. */
class Hand {
  readonly session = new Session(() => 0);
  readonly db = new FakeOvsdb();
  readonly actions: SessionAction[] = [];
  now = 0;

  event(event: SessionEvent): void {
    this.actions.push(...this.session.handle(event, this.now));
  }

  /** What was sent since it was last asked for. */
  sent(): readonly { readonly [key: string]: Json }[] {
    const texts = this.actions.flatMap((action) => (action.kind === 'send' ? [action.text] : []));
    const rest = this.actions.filter((action) => action.kind !== 'send');
    this.actions.splice(0, this.actions.length, ...rest);
    return texts.map((text) => JSON.parse(text) as { [key: string]: Json });
  }

  says(message: Json): void {
    this.event({ kind: 'bytes', bytes: Buffer.from(JSON.stringify(message)) });
  }

  /** Everything that was sent is answered as a server would; the methods. */
  answer(): readonly Json[] {
    const requests = this.sent();
    for (const request of requests) for (const reply of this.db.receive(request)) this.says(reply);
    return requests.map(({ method = null }) => method);
  }

  up(): void {
    this.event({ kind: 'start' });
    this.event({ kind: 'connected' });
    while (this.answer().length > 0);
  }

  outcomes(): readonly (string | undefined)[] {
    return this.actions.flatMap((action) => (action.kind === 'outcome' ? [action.error] : []));
  }

  last(kind: SessionAction['kind']): SessionAction | undefined {
    return this.actions.findLast((action) => action.kind === kind);
  }
}

const TRANSACT = { kind: 'transact', operations: [{ op: 'comment', comment: 'x' }], tag: 'a' } as const;

describe('the session with ovsdb-server', () => {
  it('looks at the schema first, then has all rows told', () => {
    const hand = new Hand();
    hand.event({ kind: 'start' });
    expect(hand.actions).to.deep.equal([{ kind: 'connect' }]);
    hand.event({ kind: 'connected' });
    expect(hand.answer()).to.deep.equal(['get_schema']);
    expect(hand.answer()).to.deep.equal(['monitor_cond']);
    expect(hand.last('up')).to.deep.equal({ kind: 'up' });
    expect(hand.session.replica.rows('Open_vSwitch')).to.have.length(1);
  });

  it('takes monitor of a server that knows no other', () => {
    const hand = new Hand();
    hand.db.conditions = false;
    hand.up();
    expect(hand.session.up).to.equal(true);
    hand.db.transact([{ op: 'insert', table: 'Open_vSwitch', row: {} }]);
    for (const update of hand.db.updates()) hand.says(update);
    expect(hand.last('changed')).to.deep.equal({ kind: 'changed' });
    expect(hand.session.replica.rows('Open_vSwitch')).to.have.length(2);
  });

  it('gives each transaction its own outcome, in whichever order they come', () => {
    const hand = new Hand();
    hand.up();
    hand.event(TRANSACT);
    hand.event({ ...TRANSACT, tag: 'b' });
    const [first, second] = hand.sent().map(({ id = null }) => id);
    hand.says({ id: second ?? null, result: [null, { error: 'timed out', details: 'why' }], error: null });
    hand.says({ id: first ?? null, result: [{}], error: null });
    hand.says({ id: first ?? null, result: [{ error: 'again' }], error: null });
    expect(hand.actions.filter((action) => action.kind === 'outcome')).to.deep.equal([
      { kind: 'outcome', tag: 'b', error: 'timed out: why' },
      { kind: 'outcome', tag: 'a', error: undefined },
    ]);
  });

  it('tells the errors of a transaction in all their forms', () => {
    const hand = new Hand();
    hand.up();
    const replies: readonly { readonly result: Json; readonly error: Json }[] = [
      { result: null, error: 'unknown database' },
      { result: null, error: { error: 'canceled' } },
      { result: 'nothing', error: null },
      {
        result: [{}, { error: 'I/O error', details: 'write failed', 'io-error': 'No space left on device' }],
        error: null,
      },
    ];
    for (const reply of replies) {
      hand.event(TRANSACT);
      hand.says({ id: hand.sent()[0]?.id ?? null, ...reply });
    }
    expect(hand.outcomes()).to.deep.equal([
      'unknown database',
      'canceled',
      'a reply without results',
      'I/O error: write failed: No space left on device',
    ]);
  });

  it('leaves no transaction without an outcome when the connection goes, and has none while there is none', () => {
    const hand = new Hand();
    hand.up();
    hand.event(TRANSACT);
    hand.event({ kind: 'closed', reason: 'gone' });
    hand.event(TRANSACT);
    expect(hand.outcomes()).to.deep.equal(['ovsdb-server is away', 'ovsdb-server is away']);
    expect(hand.last('down')).to.deep.equal({ kind: 'down', reason: 'gone', lasting: false });
  });

  it('tries again soon at first, and never later than after two seconds', () => {
    const hand = new Hand();
    hand.event({ kind: 'start' });
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      hand.event({ kind: 'closed', reason: 'nobody answers' });
      const at = hand.session.deadline() ?? Number.POSITIVE_INFINITY;
      waits.push(at - hand.now);
      hand.now = at;
      hand.event({ kind: 'deadline' });
      expect(hand.actions.at(-1)).to.deep.equal({ kind: 'connect' });
    }
    expect(waits[0]).to.equal(NEAR.backoffMinMs);
    expect(Math.max(...waits)).to.be.at.most(NEAR.backoffMaxMs);
  });

  it('begins anew when an update makes no sense', () => {
    const hand = new Hand();
    hand.up();
    const uuid = '6f64fab4-c5c0-4987-819e-6245d2a2f3ed';
    hand.says({ id: null, method: 'update2', params: ['evio', { Bridge: { [uuid]: { modify: { name: 'x' } } } }] });
    expect(hand.last('down')).to.deep.include({ kind: 'down', lasting: true });
    expect(hand.actions.at(-1)).to.deep.equal({ kind: 'close' });
    expect(hand.session.up).to.equal(false);
  });
});
