import { expect } from 'chai';
import type { Random } from '../machine.ts';
import { RING_SIZE } from './label.ts';
import { Links } from './links.ts';
import { Ring } from './ring.ts';
import { drawLink, harmonicLength } from './symphony.ts';

/** SplitMix32, so that a failure is one again. */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

const N = 1_024;
const idAt = (place: number) =>
  ((BigInt(place) * RING_SIZE) / BigInt(N)).toString(16).padStart(16, '0').padEnd(32, '0');
const ring = Ring.of(Array.from({ length: N }, (_, place) => idAt(place)));
/** F of p(x) = 1 / (x ln n) on [1/n, 1]. */
const harmonic = (x: number) => Math.min(1, Math.max(0, Math.log(N * x) / Math.log(N)));

/** How far the shares of the samples are from a distribution function, at most (Kolmogorov, Smirnov). */
function distance(samples: readonly number[], of: (x: number) => number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return Math.max(
    ...sorted.map((x, i) => Math.max(Math.abs((i + 1) / sorted.length - of(x)), Math.abs(i / sorted.length - of(x)))),
  );
}

/** Exceeded by chance once in a thousand times. */
const bound = (samples: number) => 1.95 / Math.sqrt(samples);

describe('the draw of long-distance links', () => {
  it('has the harmonic distribution, by Kolmogorov and Smirnov', () => {
    const random = seeded(1);
    const lengths = Array.from({ length: 20_000 }, () => harmonicLength(N, random()));
    expect(distance(lengths, harmonic)).to.be.below(bound(lengths.length));
    const decimal = (x: number) => Math.log(N * x) / Math.log(10) / Math.log10(N * N);
    expect(distance(lengths, decimal), 'a wrong logarithm is found').to.be.above(bound(lengths.length));
  });

  it('falls on members as it falls on places of the ring', () => {
    const random = seeded(2);
    const draws = 8_000;
    const drawn = new Array<number>(N).fill(0);
    for (let i = 0; i < draws; i++) {
      const id = drawLink(idAt(0), ring, new Set(), random) ?? '';
      const place = Number((BigInt(`0x${id.slice(0, 16)}`) * BigInt(N)) / RING_SIZE);
      drawn[place] = (drawn[place] ?? 0) + 1;
    }
    expect(drawn[0]).to.equal(0);
    // The member k places on has what is drawn after the one before it; what is drawn beyond the last is drawn again.
    let [within, most] = [0, 0];
    for (let k = 1; k < N; k++) {
      within += drawn[k] ?? 0;
      most = Math.max(most, Math.abs(within / draws - harmonic(k / N) / harmonic((N - 1) / N)));
    }
    expect(most).to.be.below(bound(draws));
  });

  it('is made as often as there are links to draw, and never for one that is taken', () => {
    const links = new Links(idAt(0), seeded(3));
    const never = new Set([idAt(1), idAt(2), idAt(N - 1), idAt(N - 2)]);
    links.update(ring, 10, never, () => true);
    expect(new Set(links.peers).size).to.equal(10);
    expect(links.peers.filter((peer) => never.has(peer) || peer === idAt(0))).to.deep.equal([]);
  });

  it('is repeated link by link when the overlay has doubled, and no link goes before its replacement is up', () => {
    const small = Ring.of([...ring].filter((_, place) => place % 2 === 0));
    const links = new Links(idAt(0), seeded(5));
    const up = new Set<string>();
    const update = (of: Ring, count: number) => links.update(of, count, new Set(), (peer) => up.has(peer));
    update(small, 9);
    const before = new Set(links.peers);
    for (const peer of links.peers) up.add(peer);
    for (let round = 0; round < 12; round++) {
      update(ring, 10);
      const fresh = links.peers.filter((peer) => !before.has(peer));
      expect(links.peers.length).to.be.at.most(11);
      expect(links.peers.filter((peer) => up.has(peer)).length).to.be.at.least(9);
      // Nothing more happens before the new one is up.
      update(ring, 10);
      expect(links.peers.filter((peer) => !before.has(peer))).to.deep.equal(fresh);
      for (const peer of fresh) up.add(peer);
    }
    expect(links.peers.filter((peer) => before.has(peer))).to.deep.equal([]);
    expect(links.peers).to.have.length(10);
    update(small, 3);
    expect(links.peers.length).to.be.at.most(4);
  });

  it('is given up when all are taken', () => {
    const few = Ring.of([idAt(0), idAt(512), idAt(768)]);
    expect(drawLink(idAt(0), few, new Set([idAt(512), idAt(768), idAt(7)]), seeded(4))).to.equal(undefined);
    expect(drawLink(idAt(0), few, new Set([idAt(512), idAt(7)]), () => 0.6)).to.equal(idAt(768));
  });
});
