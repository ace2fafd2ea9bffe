import { expect } from 'chai';
import type { Decoded } from './decoded.ts';
import { reportLine, Tally } from './tally.ts';

const frame = (seconds: number, brightness = 100): Decoded => ({
  kind: 'frame',
  seconds,
  checksum: '00000001',
  brightness,
});

describe('the tally of a camera', () => {
  function tally(...events: readonly Decoded[]): Tally {
    const made = new Tally();
    for (const event of events) made.handle(event);
    return made;
  }

  it('counts pictures, and those of the last second', () => {
    const made = tally(frame(0, 100), frame(0.04, 110));
    expect(made.report(0.5)).to.include({ frames: 2, perSecond: 4, brightness: 105, lost: 0 });
    made.handle(frame(0.08, 20));
    expect(made.report(1)).to.include({ frames: 3, perSecond: 1, brightness: 20 });
    expect(made.report(1)).to.include({ frames: 3, perSecond: 0, brightness: 0 });
  });

  it('misses the pictures that the times of a stream leave out', () => {
    expect(tally(frame(0), frame(0.04), frame(0.16)).report(1).lost).to.equal(2);
    expect(tally({ kind: 'rate', perSecond: 10 }, frame(0), frame(0.1), frame(0.3)).report(1).lost).to.equal(1);
  });

  it('misses none between two streams, which have times of their own', () => {
    const made = tally(frame(0), frame(0.04));
    made.begin();
    made.handle(frame(7));
    expect(made.report(1)).to.include({ frames: 3, lost: 0 });
  });

  it('counts what is corrupt, and changes of scene', () => {
    const made = tally({ kind: 'corrupt' }, { kind: 'scene' }, { kind: 'scene' }, { kind: 'problem', text: 'bad' });
    expect(made.report(1)).to.include({ corrupt: 1, scenes: 2, frames: 0 });
  });

  it('is told in one line', () => {
    expect(reportLine('front door', tally(frame(0)).report(1))).to.equal(
      'camera="front door" frames=1 fps=1.0 lost=0 corrupt=0 brightness=100 scenes=0',
    );
  });
});
