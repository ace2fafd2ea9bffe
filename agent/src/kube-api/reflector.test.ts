import { expect } from 'chai';
import { IDLE_MS, OPEN_TIMEOUT_MS, PAGE_TIMEOUT_MS, RELIST_MS, RETRY_AFTER_MAX_MS, Reflector } from './reflector.ts';
import { SimulatedClient, THING, type Thing } from './testing/simulated-client.ts';

const body = (name: string, version: string, value = 1, uid = `uid-${name}`) => ({
  metadata: { name, uid, resourceVersion: version },
  spec: { value },
});
const page = (version: string, items: readonly object[], next?: string) =>
  JSON.stringify({ metadata: { resourceVersion: version, continue: next }, items });
const line = (type: string, object: object) => JSON.stringify({ type, object });

/** Listed with one object `a`, and watching from version 5; ids are counted from 1. */
function watching() {
  const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
  machine.handle({ kind: 'start' }, 0);
  machine.handle({ kind: 'page', id: 1, text: page('5', [body('a', '3')]) }, 10);
  machine.handle({ kind: 'opened', id: 2 }, 20);
  return machine;
}

describe('a list and a watch', () => {
  it('list page by page, tell what is there, and watch from the version of the list', () => {
    const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
    expect(machine.handle({ kind: 'start' }, 0)).to.deep.equal([{ kind: 'list', id: 1, limit: 500 }]);
    expect(machine.handle({ kind: 'page', id: 1, text: page('5', [body('a', '3')], 'more') }, 1)).to.deep.equal([
      { kind: 'list', id: 2, limit: 500, continue: 'more' },
    ]);
    expect(machine.synced).to.equal(false);
    const actions = machine.handle({ kind: 'page', id: 2, text: page('5', [body('b', '4')]) }, 2);
    expect(actions.map((action) => (action.kind === 'changed' ? action.change.key : action))).to.deep.equal([
      'a',
      'b',
      { kind: 'synced' },
      { kind: 'watch', id: 3, resourceVersion: '5', timeoutSeconds: 300 },
    ]);
    expect(machine.store.get('b')).to.include({ apiVersion: 'evio.io/v1', kind: 'Thing' });
  });

  it('go on from the last bookmark after a watch that ended at its time', () => {
    const machine = watching();
    for (let at = 60_000; at < 300_000; at += 60_000)
      machine.handle({ kind: 'line', id: 2, line: line('BOOKMARK', { metadata: { resourceVersion: '77' } }) }, at);
    expect(machine.handle({ kind: 'ended', id: 2 }, 300_000)).to.deep.equal([]);
    expect(machine.handle({ kind: 'deadline' }, 300_000)).to.deep.equal([
      { kind: 'watch', id: 3, resourceVersion: '77', timeoutSeconds: 300 },
    ]);
  });

  it('list anew after a watch that ended early, though in order', () => {
    const machine = watching();
    machine.handle({ kind: 'ended', id: 2 }, 100_000);
    expect(machine.handle({ kind: 'deadline' }, machine.deadline() ?? 0)).to.deep.equal([
      { kind: 'list', id: 3, limit: 500 },
    ]);
  });

  it('are not asked for without pause when every watch ends at once', () => {
    const machine = watching();
    const pauses: number[] = [];
    let now = 1_000;
    for (let id = 2; id < 14; id += 2) {
      machine.handle({ kind: 'ended', id }, now);
      pauses.push((machine.deadline() ?? 0) - now);
      now = machine.deadline() ?? 0;
      machine.handle({ kind: 'deadline' }, now);
      machine.handle({ kind: 'page', id: id + 1, text: page('5', [body('a', '3')]) }, now);
      machine.handle({ kind: 'opened', id: id + 2 }, now);
    }
    expect(pauses).to.deep.equal([250, 500, 1_000, 2_000, 4_000, 8_000]);
  });

  it('list anew within a second of a version that is too old', () => {
    const machine = watching();
    const gone = line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' });
    expect(machine.handle({ kind: 'line', id: 2, line: gone }, 1_000)).to.deep.equal([{ kind: 'abort', id: 2 }]);
    expect(machine.deadline()).to.be.within(1_000, 2_000);
  });

  it('take a silent watch for a dead one', () => {
    const machine = watching();
    expect(machine.deadline()).to.equal(20 + IDLE_MS);
    expect(machine.handle({ kind: 'deadline' }, 20 + IDLE_MS)).to.deep.equal([{ kind: 'abort', id: 2 }]);
  });

  it('ignore what still comes of a watch that was given up', () => {
    const machine = watching();
    machine.handle({ kind: 'line', id: 2, line: 'garbage' }, 1_000);
    machine.handle({ kind: 'deadline' }, 2_000);
    expect(machine.handle({ kind: 'line', id: 2, line: line('DELETED', body('a', '6')) }, 2_001)).to.deep.equal([]);
    machine.handle({ kind: 'page', id: 3, text: page('7', [body('a', '3')]) }, 2_002);
    expect(machine.handle({ kind: 'line', id: 2, line: line('DELETED', body('a', '6')) }, 2_003)).to.deep.equal([]);
    expect(machine.store.size).to.equal(1);
  });

  it('wait neither for a page nor for a watch to start for ever', () => {
    const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
    machine.handle({ kind: 'start' }, 0);
    expect(machine.handle({ kind: 'deadline' }, PAGE_TIMEOUT_MS)).to.deep.equal([{ kind: 'abort', id: 1 }]);
    machine.handle({ kind: 'deadline' }, PAGE_TIMEOUT_MS + 1_000);
    machine.handle({ kind: 'page', id: 2, text: page('5', []) }, PAGE_TIMEOUT_MS + 1_000);
    expect(machine.deadline()).to.equal(PAGE_TIMEOUT_MS + 1_000 + OPEN_TIMEOUT_MS);
  });

  it('wait as long as the server asks, but not for ever', () => {
    for (const [asked, waited] of [
      [7_000, 7_000],
      [3_600_000, RETRY_AFTER_MAX_MS],
    ] as const) {
      const machine = watching();
      const failure = { status: 429, reason: 'TooManyRequests', message: 'too many', retryAfterMs: asked };
      machine.handle({ kind: 'ended', id: 2, failure }, 1_000);
      expect(machine.deadline()).to.equal(1_000 + waited);
    }
  });

  it('list all at once when a page came too late', () => {
    const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
    machine.handle({ kind: 'start' }, 0);
    machine.handle({ kind: 'page', id: 1, text: page('5', [body('gone', '3')], 'more') }, 1);
    const failure = { status: 410, reason: 'Expired', message: 'the continue token is too old' };
    expect(machine.handle({ kind: 'ended', id: 2, failure }, 2)).to.deep.equal([{ kind: 'list', id: 3 }]);
    machine.handle({ kind: 'page', id: 3, text: page('9', [body('a', '8')]) }, 3);
    expect(machine.store.list().map(({ metadata }) => metadata.name)).to.deep.equal(['a']);
  });

  it('tell what was deleted, added and changed while nobody watched', () => {
    const client = new SimulatedClient(1);
    for (const name of ['a', 'b', 'c', 'd', 'e']) client.server.put(name);
    client.handle({ kind: 'start' });
    client.clock.run(5_000);
    client.server.mood = 'refuses';
    client.server.cut('reset');
    client.server.remove('b');
    client.server.put('c');
    client.server.put('f');
    client.clock.run(60_000);
    expect(Object.keys(client.state())).to.include('b');
    client.server.mood = 'well';
    client.clock.run(60_000);
    expect(client.heardState()).to.deep.equal(client.server.state());
  });

  it('know an object that was made anew under its name for another one', () => {
    const machine = watching();
    const actions = machine.handle({ kind: 'line', id: 2, line: line('ADDED', body('a', '9', 1, 'another')) }, 30);
    const changes = actions.flatMap((action) => (action.kind === 'changed' ? [action.change] : []));
    expect(changes.map(({ before, after }) => [before?.metadata.uid, after?.metadata.uid])).to.deep.equal([
      ['uid-a', undefined],
      [undefined, 'another'],
    ]);
  });

  it('see a change though a server that was restored gave out the same version again', () => {
    const machine = watching();
    machine.handle({ kind: 'ended', id: 2 }, 1_000);
    machine.handle({ kind: 'deadline' }, 2_000);
    const actions = machine.handle({ kind: 'page', id: 3, text: page('5', [body('a', '3', 2)]) }, 2_000);
    expect(actions.map(({ kind }) => kind)).to.deep.equal(['changed', 'watch']);
  });

  it('list all again now and then though all is in order', () => {
    const client = new SimulatedClient(7);
    client.handle({ kind: 'start' });
    client.clock.run(2 * RELIST_MS + 60 * 60_000);
    const lists = client.actions.filter(({ kind }) => kind === 'list').length;
    expect(lists).to.be.within(3, 5);
  });

  it('say a trouble once when it stays, and once when it is over', () => {
    const client = new SimulatedClient(3);
    client.handle({ kind: 'start' });
    client.clock.run(1_000);
    client.server.mood = '500';
    client.server.cut('reset');
    client.clock.run(10 * 60_000);
    client.server.mood = 'well';
    client.clock.run(10 * 60_000);
    expect(client.troubles).to.deep.equal(['etcd is away', 'over']);
  });

  it('say each trouble once, also when two addresses of the server fail in turn', () => {
    const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
    machine.handle({ kind: 'start' }, 0);
    const told: (string | undefined)[] = [];
    for (let id = 1, now = 0; id <= 8; id++) {
      const failure = { status: 0, reason: 'Unreachable', message: `address ${id % 2}` };
      for (const action of machine.handle({ kind: 'ended', id, failure }, now))
        if (action.kind === 'trouble') told.push(action.failure?.message);
      now = machine.deadline() ?? 0;
      machine.handle({ kind: 'deadline' }, now);
    }
    expect(told).to.deep.equal(['address 0', 'address 1']);
  });

  it('keep what is known, frozen and without what nobody asks for', () => {
    const machine = new Reflector<Thing>({ kind: THING, random: () => 0 });
    machine.handle({ kind: 'start' }, 0);
    const { metadata, spec } = body('a', '3');
    const text = page('5', [{ metadata: { ...metadata, managedFields: [{ manager: 'kubectl' }] }, spec }]);
    machine.handle({ kind: 'page', id: 1, text }, 1);
    const thing = machine.store.get('a');
    expect(thing?.metadata).to.deep.equal(metadata);
    expect(() => Object.assign(thing?.spec ?? {}, { value: 2 })).to.throw(TypeError);
  });
});
