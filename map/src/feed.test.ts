import { expect } from 'chai';
import { seeded } from '../../test/sim/random.ts';
import { modelOf } from './evio-nodes.ts';
import { Feed, stepped } from './feed.ts';
import { EMPTY, type MapModel } from './model.ts';
import { clusterOf } from './testing/cluster.ts';

const state = (seed: number, size = 6): MapModel => modelOf('default', clusterOf(size, seeded(seed)));

describe('the feed of the map', () => {
  it('has another version for another state, and none for the same', () => {
    const feed = new Feed('x');
    expect(feed.version).to.equal('x-0');
    expect(feed.take(state(1), 0)?.version).to.equal('x-1');
    expect(feed.take(state(1), 1)).to.equal(undefined);
    expect(feed.take(state(2), 2)).to.include({ from: 'x-1', version: 'x-2' });
  });

  it('leads a page by its steps to what it is itself', () => {
    const feed = new Feed('x');
    feed.take(state(1), 0);
    let page: { readonly version: string; readonly model: MapModel } | undefined = feed.snapshot;
    const { version } = feed;
    for (const seed of [2, 3, 4]) feed.take(state(seed, 4 + seed), seed);
    for (const step of feed.since(version) ?? []) page = page && stepped(page, step);
    expect(page).to.deep.equal({ version: feed.version, model: feed.model });
    expect(feed.since(feed.version)).to.deep.equal([]);
  });

  it('takes no step that goes on from elsewhere', () => {
    const feed = new Feed('x');
    const step = feed.take(state(1), 0);
    expect(step && stepped({ version: 'y-0', model: EMPTY }, step)).to.equal(undefined);
  });

  it('remembers some steps only, and those of this process', () => {
    const feed = new Feed('x');
    for (let seed = 0; seed < 40; seed++) feed.take(state(seed), seed);
    expect(feed.since('x-1')).to.equal(undefined);
    expect(feed.since('w-39')).to.equal(undefined);
    expect(feed.since('x-20')?.length).to.equal(20);
  });

  it('makes no news of what was there when it began, and numbers what comes after', () => {
    const feed = new Feed('x');
    expect(feed.take(state(1), 5)?.events).to.deep.equal([]);
    const events = feed.take(state(1, 7), 6)?.events ?? [];
    expect(events.map(({ kind }) => kind)).to.include('node-joined');
    expect(events.map(({ id, atMs }) => [id, atMs])).to.deep.equal(events.map((_, i) => [i + 1, 6]));
    expect(feed.snapshot.events).to.deep.equal(events);
  });
});
