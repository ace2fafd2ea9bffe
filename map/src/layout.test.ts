import { expect } from 'chai';
import * as fc from 'fast-check';
import { bend, moved, nearestTo, neighbourOf, placeOf, WHOLE, ZOOM_MAX, zoomed } from './layout.ts';

const SIZES = [1, 2, 7, 1_000];

describe('the layout of the ring', () => {
  it('has the first node at the top and goes on clockwise', () => {
    expect(placeOf(0, 4).y).to.be.closeTo(-1, 1e-9);
    expect(placeOf(1, 4).x).to.be.closeTo(1, 1e-9);
  });

  it('finds every node where it is, and none far from the ring', () => {
    for (const size of SIZES)
      for (let i = 0; i < size; i++) expect(nearestTo(placeOf(i, size), size, 0.01)).to.equal(i);
    expect(nearestTo({ x: 0, y: 0 }, 1_000, 0.1)).to.equal(undefined);
    expect(nearestTo({ x: 0, y: -1 }, 0, 1)).to.equal(undefined);
  });

  it('walks round in both directions', () => {
    expect(neighbourOf(undefined, 1, 5)).to.equal(0);
    expect([neighbourOf(4, 1, 5), neighbourOf(0, -1, 5), neighbourOf(1, -83, 1_000)]).to.deep.equal([0, 4, 918]);
    expect(neighbourOf(0, 1, 0)).to.equal(undefined);
  });

  it('bends chords towards the middle, the far ones most', () => {
    const size = ({ x, y }: { x: number; y: number }): number => Math.hypot(x, y);
    const near = size(bend(placeOf(0, 100), placeOf(1, 100)));
    const far = size(bend(placeOf(0, 100), placeOf(30, 100)));
    expect(near).to.be.greaterThan(0.8);
    expect(far).to.be.lessThan(0.3);
  });

  it('zooms about the point that is held, within bounds', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 50, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (factor, x, y) => {
          const view = zoomed({ x: 0, y: 0, zoom: 4 }, factor, { x, y });
          expect(view.zoom).to.be.within(1, ZOOM_MAX);
          if (view.zoom === 1) expect(view).to.deep.include({ zoom: 1 });
          expect(Math.abs(view.x)).to.be.at.most(1.2);
        },
      ),
    );
    const { x } = zoomed({ x: 0, y: 0, zoom: 1 }, 2, { x: 0.5, y: 0 });
    expect(x).to.be.closeTo(0.25, 1e-9);
    expect(zoomed({ x: 0.5, y: 0, zoom: 2 }, 0.1, { x: 0, y: 0 })).to.deep.equal({ x: 0, y: 0, zoom: 1 });
    expect(moved(WHOLE, 1, 1)).to.deep.equal(WHOLE);
  });
});
