import { expect } from 'chai';
import { Clock, clockProblem, span } from './clock.ts';

const DAY = 86_400;
const YEAR = 365 * DAY;
const ENROLLED = 1_700_000_000;
const LIFE = { notBefore: ENROLLED, notAfter: ENROLLED + YEAR };
const TODAY = ENROLLED + 10 * DAY;
const WRONG = [TODAY + 5 * YEAR, TODAY - 5 * YEAR, 0];

function clockAt(wall: number, now = 0): Clock {
  const clock = new Clock(LIFE);
  clock.setWall(wall, now);
  return clock;
}

describe('the time by which certificates are judged', () => {
  it("is the machine's clock while the node's own certificate holds by it", () => {
    const clock = clockAt(TODAY);
    expect([clock.seconds(5_000), clock.own(5_000), clock.known(5_000)]).to.deep.equal(Array(3).fill(TODAY + 5));
    clock.setWall(TODAY - 600, 10_000);
    expect(clock.seconds(10_000)).to.equal(TODAY - 600);
    expect(clockAt(ENROLLED - 600).own(0)).to.equal(ENROLLED - 600);
  });

  it('goes on where it was when the clock jumps away', () => {
    for (const wrong of WRONG) {
      const clock = clockAt(TODAY);
      clock.setWall(wrong, 60_000);
      expect(clock.seconds(61_000), String(wrong)).to.equal(TODAY + 61);
      expect(clock.own(61_000)).to.equal(undefined);
      // Others may say what they like: we saw it ourselves.
      clock.hear('a', TODAY + 100 * DAY, 61_000);
      expect(clock.seconds(61_000)).to.equal(TODAY + 61);
      clock.setWall(TODAY + 70, 70_000);
      expect(clock.own(70_000)).to.equal(TODAY + 70);
    }
  });

  it('runs out when it is time, whatever the clock says', () => {
    const clock = clockAt(LIFE.notAfter - 10);
    clock.setWall(LIFE.notAfter + 50, 60_000);
    expect(clock.seconds(60_000)).to.equal(LIFE.notAfter + 50);
    const board = clockAt(LIFE.notAfter - 10);
    board.setWall(5, 60_000);
    expect(board.seconds(60_000)).to.equal(LIFE.notAfter + 50);
  });

  it('is the latest signed time where the clock starts in the past, until members say better', () => {
    const clock = clockAt(5);
    expect(clock.seconds(0)).to.equal(ENROLLED);
    clock.observe(ENROLLED + DAY);
    expect(clock.seconds(0)).to.equal(ENROLLED + DAY);
    clock.hear('a', TODAY, 0);
    expect(clock.seconds(1_000)).to.equal(TODAY + 1);
    // Shown again later, it is older than it says.
    clock.hear('a', TODAY, 50_000);
    expect(clock.seconds(50_000)).to.equal(TODAY + 50);
  });

  it('is unknown where the clock starts ahead, until members say it; the clock counts till then', () => {
    const clock = clockAt(TODAY + 5 * YEAR);
    expect([clock.known(0), clock.seconds(0)]).to.deep.equal([undefined, TODAY + 5 * YEAR]);
    clock.hear('a', TODAY, 0);
    expect([clock.known(0), clock.seconds(0)]).to.deep.equal([TODAY, TODAY]);
  });

  it('is the middle of what members say: one that is wrong moves nothing', () => {
    const clock = clockAt(0);
    clock.hear('a', TODAY, 0);
    clock.hear('b', TODAY + 1, 0);
    clock.hear('liar', TODAY + 300 * DAY, 0);
    expect(clock.seconds(0)).to.equal(TODAY + 1);
    clock.hear('liar', ENROLLED, 0);
    expect(clock.seconds(0)).to.equal(TODAY + 1);
  });

  it('is told in one line when the clock is wrong, with by how much', () => {
    const problem = (clock: Clock) => clockProblem(clock.state(0), LIFE.notAfter);
    expect(problem(clockAt(TODAY))).to.equal(undefined);
    expect(problem(clockAt(TODAY - 5 * YEAR))).to.match(/clock is at least 5 years behind \(it says 2018-11-\d\d/);
    const ahead = clockAt(TODAY + 5 * YEAR);
    expect(problem(ahead)).to.match(
      /certificate ended at 2024-11-13 .* clock says 2028-11-\d\d .*: renew it .*, or set the/,
    );
    ahead.hear('a', TODAY, 0);
    expect(problem(ahead)).to.match(/clock is 5 years ahead/);
    // The certificate has really ended: that is another line.
    ahead.hear('a', LIFE.notAfter + DAY, 0);
    expect(problem(ahead)).to.equal(undefined);
    expect([span(1), span(90), span(600), span(7_200), span(5 * YEAR)]).to.deep.equal([
      '1 second',
      '90 seconds',
      '10 minutes',
      '2 hours',
      '5 years',
    ]);
  });
});
