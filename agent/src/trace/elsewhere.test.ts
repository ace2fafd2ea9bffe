import { expect } from 'chai';
import { type Body, decodeBody, encodeBody } from '../wire/bodies.ts';
import {
  type Answer,
  ASK_AGAIN_MS,
  Asking,
  HOSTED_MAX,
  Hosting,
  KEPT_MS,
  OVER_AFTER_MS,
  type Said,
  SILENT_AFTER_MS,
  tellingOf,
} from './elsewhere.ts';
import type { Outcome } from './machine.ts';

const trace = '0123456789abcdef';
const [A, B, C] = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)];
const nothing = { counts: {}, cameBy: null, leftBy: null };
const OUTCOME: Outcome = {
  stations: [
    {
      id: B,
      next: { peer: C, path: 'direct', relayed: false },
      told: { there: { ...nothing, counts: { read: 3 } }, back: nothing, kernel: null },
      refused: undefined,
    },
    { id: C, next: undefined, told: undefined, refused: 'busy' },
  ],
  frames: 3,
  unsendable: undefined,
};
const TELLING = tellingOf(trace, OUTCOME, { bytes: 200, ovs: true });
const begun: Said = { type: 'trace-begun', trace };

/** Simulated time; gives what was done, with the time it was done at. */
function run(said: (now: number, asked: number) => readonly Body[]): { asked: number[]; answer: Answer; at: number } {
  const asking = new Asking();
  const asked: number[] = [];
  let now = 0;
  let answer: Answer | undefined;
  const take = (actions: ReturnType<Asking['handle']>): void => {
    for (const action of actions) {
      if (action.kind === 'done') answer = action.answer;
      else {
        asked.push(now);
        for (const body of said(now, asked.length)) take(asking.handle({ kind: 'said', body: body as Said }, now));
      }
    }
  };
  take(asking.handle({ kind: 'start' }, now));
  for (; answer === undefined; ) {
    now = asking.deadline() ?? Number.NaN;
    take(asking.handle({ kind: 'deadline' }, now));
  }
  expect(asking.deadline()).to.equal(undefined);
  return { asked, answer, at: now };
}

describe('a trace that begins on another node', () => {
  it('is told station by station, by bodies that pass, and is put together again', () => {
    for (const body of TELLING) expect(decodeBody(encodeBody(body))).to.deep.equal(body);
    const { answer, asked } = run((_, n) => (n === 1 ? [begun] : TELLING));
    expect(asked).to.deep.equal([0, ASK_AGAIN_MS]);
    expect(answer).to.deep.equal({ kind: 'over', outcome: OUTCOME, bytes: 200, ovs: true });
  });

  it('asks again for what was lost on the way, in whatever order it comes', () => {
    const [first, second, last] = TELLING as [Body, Body, Body];
    const { answer, asked } = run((_, n) => ({ 1: [begun], 2: [last, second], 3: [second] })[n] ?? [first]);
    expect(answer.kind).to.equal('over');
    expect(asked).to.have.length(4);
  });

  it('is given up where nothing is heard, and where it never ends', () => {
    const silent = run(() => []);
    expect(silent).to.deep.include({ answer: { kind: 'silent', begun: false }, at: SILENT_AFTER_MS });
    const endless = run(() => [begun]);
    expect(endless).to.deep.include({ answer: { kind: 'silent', begun: true }, at: OVER_AFTER_MS });
  });

  it('is refused in words', () => {
    const { answer } = run(() => [{ type: 'trace-refused', trace, reason: 'busy' }]);
    expect(answer).to.deep.equal({ kind: 'refused', reason: 'busy' });
  });

  it('shows nothing of another node that a terminal would obey', () => {
    const [, , ended] = tellingOf(
      trace,
      { ...OUTCOME, unsendable: `\x1b[2J no switch ${'x'.repeat(300)}` },
      {
        bytes: 200,
        ovs: false,
      },
    );
    expect(decodeBody(encodeBody(ended as Body)))
      .to.have.property('unsendable')
      .that.matches(/^\?\[2J no switch x+$/);
  });
});

describe('traces that are begun for others', () => {
  const refused = (id: string) => [{ type: 'trace-refused', trace: id, reason: 'busy' }];

  it('are begun once, however often they are asked for, and told again until they are forgotten', () => {
    const hosting = new Hosting();
    expect(hosting.asked(A, trace, 0)).to.equal('begin');
    expect(hosting.asked(A, trace, 1_000)).to.deep.equal([begun]);
    hosting.over(trace, TELLING, 2_000);
    expect(hosting.asked(A, trace, 3_000)).to.equal(TELLING);
    expect(hosting.asked(C, trace, 3_000), 'by somebody else').to.deep.equal(refused(trace));
    expect(hosting.asked(A, trace, 2_000 + KEPT_MS)).to.equal('begin');
  });

  it('are one at a time of one member, and few of all', () => {
    const hosting = new Hosting();
    expect(hosting.asked(A, 'one', 0)).to.equal('begin');
    expect(hosting.asked(A, 'two', 0)).to.deep.equal(refused('two'));
    for (let n = 1; n < HOSTED_MAX; n++) expect(hosting.asked(`other${n}`, `x${n}`, 0)).to.equal('begin');
    expect(hosting.asked(C, 'three', 0)).to.deep.equal(refused('three'));
  });

  it('are three and then one in ten seconds of one member, so that it cannot make a node send for long', () => {
    const hosting = new Hosting();
    let taken = 0;
    for (let n = 0; n < 600; n++) {
      const id = `t${n}`;
      if (hosting.asked(A, id, n * 100) !== 'begin') continue;
      taken++;
      hosting.over(id, [], n * 100);
    }
    expect(taken).to.be.within(8, 9);
  });

  it('of all members together are bounded too', () => {
    const hosting = new Hosting();
    let taken = 0;
    for (let n = 0; n < 600; n++) {
      const id = `t${n}`;
      if (hosting.asked(`m${n}`, id, n * 100) !== 'begin') continue;
      taken++;
      hosting.over(id, [], n * 100);
    }
    expect(taken).to.be.within(34, 37);
  });
});
