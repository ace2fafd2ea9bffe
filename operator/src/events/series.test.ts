import { expect } from 'chai';
import { COUNT_MS, EventSeries, SERIES_MS } from './series.ts';

const note = (uid: string, text = 'no address left') =>
  ({ uid, type: 'Warning', reason: 'NoAddress', action: 'Allot', note: text }) as const;

describe('Events', () => {
  it('are made once, and the same again is counted at most once a minute', () => {
    const series = new EventSeries();
    expect(series.note(note('u'), 'first', 0)).to.deep.equal({ kind: 'create', id: 'first' });
    expect(series.note(note('u'), 'second', 1_000)).to.deep.equal({ kind: 'nothing' });
    expect(series.note(note('u'), 'third', COUNT_MS)).to.deep.equal({ kind: 'count', id: 'first', count: 3 });
    expect(series.note(note('v'), 'other', COUNT_MS)).to.deep.equal({ kind: 'create', id: 'other' });
  });

  it('are made anew when the same was not meant for long', () => {
    const series = new EventSeries();
    series.note(note('u'), 'first', 0);
    expect(series.note(note('u'), 'second', SERIES_MS)).to.deep.equal({ kind: 'create', id: 'second' });
  });

  it('of one object, and of all, are bounded', () => {
    const series = new EventSeries();
    let made = 0;
    for (let n = 0; n < 1_000; n++) if (series.note(note('u', `try ${n}`), `${n}`, n).kind === 'create') made++;
    expect(made).to.equal(25);
    for (let n = 0; n < 1_000; n++) if (series.note(note(`u${n}`), `${n}`, 1_000).kind === 'create') made++;
    expect(made).to.be.within(90, 110);
    expect(series.dropped).to.equal(2_000 - made);
  });
});
