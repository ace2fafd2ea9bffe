import { expect } from 'chai';
import { seeded } from '../../../test/sim/random.ts';
import { clockwise, labelOf, type NodeId, shareOf } from './label.ts';
import { Ring } from './ring.ts';
import { drawLink, harmonicLength } from './symphony.ts';
import { NEAR, OF_EACH_OCTAVE, View } from './view.ts';

const N = 4_096;
const random = seeded(7);
const word = () =>
  Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
const all: readonly NodeId[] = Array.from({ length: N }, () => word() + word() + word() + word()).sort();
const at = (place: number): NodeId => all[(place + N) % N] ?? '';

function viewOf(self: NodeId, members: readonly NodeId[] = all, wholeMax = 1_000): View {
  const view = new View(self, { wholeMax });
  view.hears(members);
  return view;
}

const distance = (from: NodeId, to: NodeId): number => shareOf(clockwise(labelOf(from), labelOf(to)));
const octaveOf = (from: NodeId, to: NodeId): number => Math.floor(-Math.log2(distance(from, to)));

describe('the members that a node keeps', () => {
  it('are all others in an overlay that is not too large, and it knows how many', () => {
    const few = all.slice(0, 1_000);
    const view = viewOf(at(5), few);
    expect([view.partial, view.size, view.total, view.ring.total]).to.deep.equal([false, 999, 1_000, 999]);
    expect([...view.ring]).to.deep.equal(few.filter((id) => id !== at(5)));
  });

  it('are the nearest on both sides and some of each octave in a larger one', () => {
    const self = at(77);
    const view = viewOf(self);
    expect(view.partial).to.equal(true);
    for (let i = 1; i <= NEAR; i++) expect([view.has(at(77 + i)), view.has(at(77 - i))]).to.deep.equal([true, true]);
    for (let octave = 0; octave < 6; octave++) {
      const kept = [...view.ring].filter((id) => octaveOf(self, id) === octave);
      // The farthest clockwise are the nearest the other way round.
      expect(kept.length, `octave ${octave}`).to.be.within(OF_EACH_OCTAVE, OF_EACH_OCTAVE + NEAR);
    }
    expect(view.size).to.be.below(2 * NEAR + 13 * OF_EACH_OCTAVE);
  });

  it('are the same in whatever order they were heard of, and others of each node', () => {
    const shuffled = all.toSorted((a, b) => (a.slice(20) < b.slice(20) ? -1 : 1));
    const one = viewOf(at(9));
    const other = new View(at(9));
    for (let i = 0; i < N; i += 20) other.hears(shuffled.slice(i, i + 20));
    expect([...other.ring]).to.deep.equal([...one.ring]);

    const beside = viewOf(at(10));
    const far = (view: View) => [...view.ring].filter((id) => octaveOf(at(9), id) === 0);
    expect(far(beside).filter((id) => one.has(id)).length).to.be.below(far(one).length / 2 + NEAR);
  });

  it('are told from what is no news, which is not passed on', () => {
    const view = viewOf(at(9));
    expect(view.hears(all)).to.deep.equal([]);
    expect(view.hears([at(9)])).to.deep.equal([]);
    const [between] = [at(9).slice(0, 12) + 'f'.repeat(20)];
    expect(view.hears([between])).to.deep.equal([between]);
    expect(view.has(between)).to.equal(true);
  });

  it('are few from the beginning where a member says that there are many', () => {
    const view = new View(at(3));
    view.tellTotal(N);
    view.hears(all.slice(0, 900));
    expect(view.partial).to.equal(true);
    expect(view.size).to.be.below(2 * NEAR + 13 * OF_EACH_OCTAVE);
    view.tellTotal(10);
    expect(view.partial).to.equal(true);
  });

  it('make room for the next when one of them is no member any more', () => {
    const view = viewOf(at(3));
    view.forget(at(4));
    expect(view.has(at(4))).to.equal(false);
    view.hears([at(3 + NEAR + 1), at(3 + NEAR + 2)]);
    expect(view.has(at(3 + NEAR + 1))).to.equal(true);
  });
});

describe('how many there are', () => {
  it('is told by how close the nearest stand together: within a quarter for most nodes', () => {
    const ratios = Array.from({ length: 200 }, (_, i) => viewOf(at(i * 20)).total / N).sort((a, b) => a - b);
    expect(ratios[100]).to.be.within(0.9, 1.1);
    expect(ratios[10]).to.be.above(0.7);
    expect(ratios[190]).to.be.below(1.45);
  });
});

describe('a place on the ring', () => {
  it('is found by asking the nearest known and again, in a few questions', () => {
    const views = new Map<NodeId, View>();
    const known = (id: NodeId): View => {
      const view = views.get(id) ?? viewOf(id);
      views.set(id, view);
      return view;
    };
    let most = 0;
    for (let i = 0; i < 100; i++) {
      const [from, newcomer] = [at(Math.floor(random() * N)), word() + word() + word() + word()];
      let [asked, questions] = [from, 0];
      for (let next = known(asked).nearestTo(newcomer); next !== asked; next = known(asked).nearestTo(newcomer)) {
        asked = next;
        questions++;
      }
      // The one that it stands behind.
      expect(asked).to.equal([...Ring.of(all).counterclockwise(newcomer)][0]);
      most = Math.max(most, questions);
    }
    expect(most).to.be.within(2, 8);
  });

  it('is near another one when few nodes stand between', () => {
    const view = viewOf(at(100));
    expect([view.isNear(at(500), at(501)), view.isNear(at(500), at(500 + 4 * NEAR))]).to.deep.equal([true, false]);
    expect(viewOf(at(100), all.slice(0, 500)).isNear(at(0), at(400))).to.equal(true);
  });
});

describe('links that are drawn among those that a node keeps', () => {
  it('have the lengths that they have among all', () => {
    const lengths = Array.from({ length: 400 }, (_, i) => at(i * 10)).flatMap((self) => {
      const { ring } = viewOf(self);
      const drawn = Array.from({ length: 5 }, () => drawLink(self, ring.with(self), new Set(), random) ?? self);
      return drawn.map((id) => distance(self, id));
    });
    lengths.sort((a, b) => a - b);
    // Kolmogorov-Smirnov: F(x) = ln(n x) / ln n.
    const apart = lengths.map((x, i) => Math.abs(Math.log(N * x) / Math.log(N) - (i + 0.5) / lengths.length));
    expect(Math.max(...apart)).to.be.below(0.1);
    expect(harmonicLength(N, 0.5)).to.be.closeTo(1 / 64, 1e-9);
  });
});
