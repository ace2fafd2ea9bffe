import { expect } from 'chai';
import { ASK_EVERY_MS, type Life, Renewal, type RenewalEvent } from './renewal.ts';

const NOW = 1_800_000_000;
const YEAR: Life = { notBefore: NOW, notAfter: NOW + 365 * 86_400 };
const DUE = NOW + 300 * 86_400;

/** A node's renewal, and the clock that it is asked by. */
class Driven {
  readonly renewal = new Renewal(() => 0.5);
  now = 0;

  constructor(life = YEAR) {
    this.give({ kind: 'start', life });
  }

  give(event: RenewalEvent): readonly string[] {
    return this.renewal.handle(event, this.now).map((action) => (action.kind === 'warn' ? action.message : 'asks'));
  }

  /** Until it asks; gives how long that took. */
  asks(): number {
    const at = this.renewal.deadline() ?? Number.NaN;
    const waited = at - this.now;
    this.now = at;
    expect(this.give({ kind: 'deadline' })).to.deep.equal(['asks']);
    return waited;
  }
}

describe('when a node asks its authority what is new', () => {
  const failed = (why: string, now: number, online = true): RenewalEvent => ({ kind: 'failed', why, online, now });

  it('soon after its start, then once an hour at most, drawn at random', () => {
    const node = new Driven();
    expect(node.asks()).to.equal(15_000);
    node.give({ kind: 'answered' });
    expect(node.asks()).to.equal(ASK_EVERY_MS * 0.75);
    node.give(failed('nobody', NOW));
    expect(node.asks()).to.equal(ASK_EVERY_MS * 0.75);
  });

  it('more often in a short life, so that there is time for eight attempts after two thirds of it', () => {
    const node = new Driven({ notBefore: NOW, notAfter: NOW + 240 });
    expect(node.asks()).to.equal(5_000);
    node.give(failed('nobody', NOW));
    expect(node.asks()).to.equal(7_500);
  });

  it('sooner again while it has no connection to the server', () => {
    const node = new Driven();
    node.asks();
    node.give(failed('away', NOW, false));
    expect(node.asks()).to.equal(45_000);
  });

  it('one thing at a time, and nothing after it was stopped', () => {
    const node = new Driven();
    node.asks();
    expect(node.renewal.deadline()).to.equal(undefined);
    node.give({ kind: 'stop' });
    node.give({ kind: 'answered' });
    expect(node.renewal.deadline()).to.equal(undefined);
  });

  it('within half a minute after the server was away: what the authority said meanwhile nobody heard', () => {
    const node = new Driven();
    node.give({ kind: 'online' });
    expect(node.asks()).to.equal(15_000);
    node.give({ kind: 'answered' });
    node.now += 60_000;
    node.give({ kind: 'online' });
    expect(node.asks()).to.equal(15_000);
    node.give(failed('away', NOW, false));
    // A server that comes and goes is not asked each time.
    for (let i = 0; i < 100; i++) node.give({ kind: 'online' });
    expect(node.asks()).to.equal(20_000);
    // It came back while the question was on its way.
    node.give({ kind: 'online' });
    node.give(failed('away', NOW, false));
    expect(node.asks()).to.equal(6_500);
  });

  it('within seconds after the authority has said that there is news, however often it says so', () => {
    const node = new Driven();
    node.asks();
    node.give({ kind: 'answered' });
    node.now += 60_000;
    node.give({ kind: 'news' });
    expect(node.asks()).to.equal(1_500);
    // It came while the answer was on its way: that may not have it yet.
    node.give({ kind: 'news' });
    node.give({ kind: 'answered' });
    expect(node.asks()).to.equal(6_500);
    node.give({ kind: 'answered' });
    for (let i = 0; i < 100; i++) node.give({ kind: 'news' });
    expect(node.asks()).to.equal(6_500);
  });

  it('with another certificate begins anew', () => {
    const node = new Driven();
    node.asks();
    node.give({ kind: 'start', life: { notBefore: NOW, notAfter: NOW + 2_400 } });
    node.give({ kind: 'answered' });
    expect(node.asks()).to.equal(15_000);
    node.give({ kind: 'answered' });
    expect(node.asks()).to.equal(75_000);
  });

  it('that nobody answers is news when the certificate nears its end, once', () => {
    const node = new Driven();
    const attempt = (event: RenewalEvent): readonly string[] => {
      node.asks();
      return node.give(event);
    };
    expect(attempt(failed('nobody answers', NOW))).to.deep.equal([]);
    expect(attempt(failed('nobody answers', DUE))).to.deep.equal([
      `the certificate, which ends at ${new Date(YEAR.notAfter * 1000).toISOString().replace('.000Z', 'Z')}, is not renewed: nobody answers`,
    ]);
    expect(attempt(failed('nobody answers', DUE))).to.deep.equal([]);
    expect(attempt(failed('the server is away', DUE, false))).to.have.length(1);
    expect(attempt({ kind: 'answered' })).to.deep.equal([]);
    expect(attempt(failed('nobody answers', DUE))).to.have.length(1);
  });
});
