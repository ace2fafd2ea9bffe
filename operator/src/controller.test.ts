import { expect } from 'chai';
import { type KubeObject, keyOf } from '../../agent/src/kube-api/object.ts';
import { type Source, watch } from './controller.ts';

interface Thing extends KubeObject {
  readonly owner: string;
}
const thing = (name: string, owner: string, generation = 1): Thing => ({
  metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '', generation },
  owner,
});

class Things implements Source<Thing> {
  readonly synced = true;
  changed: (after: Thing | undefined, before: Thing | undefined) => void = () => {};
  list = () => [thing('a', 'x'), thing('b', 'y')];
  subscribe(changed: Things['changed']): void {
    this.changed = changed;
  }
}

describe('watch', () => {
  it('wakes the owner before a change and the one after it, each once', () => {
    const things = new Things();
    const woken: string[] = [];
    watch(things, ({ owner }) => [owner]).start((key) => woken.push(key));
    things.changed(thing('a', 'x'), undefined);
    things.changed(thing('a', 'y'), thing('a', 'x'));
    things.changed(thing('a', 'y', 2), thing('a', 'y'));
    things.changed(undefined, thing('a', 'y'));
    expect(woken).to.deep.equal(['x', 'x', 'y', 'y', 'y']);
  });

  it('leaves out changes that do not matter, but no birth and no death', () => {
    const things = new Things();
    const woken: string[] = [];
    const spec = (after: Thing, before: Thing) => after.metadata.generation !== before.metadata.generation;
    const watching = watch(things, (object) => [keyOf(object)], spec);
    watching.start((key) => woken.push(key));
    things.changed(thing('a', 'y'), thing('a', 'x'));
    expect(woken).to.deep.equal([]);
    things.changed(thing('a', 'y', 2), thing('a', 'y'));
    things.changed(undefined, thing('b', 'y'));
    expect(woken).to.deep.equal(['a', 'b']);
    expect([...watching.known()]).to.deep.equal(['a', 'b']);
  });
});
