/** Gives a pure machine that answers once the time and a place to act, until it is done. */
import type { Machine } from '../machine.ts';

type Give<E> = (event: E) => void;

export interface Place<E> {
  /** Before anything happens: by `give` events reach the machine from outside. */
  start(give: Give<E>): void;
  end(): void;
}

/** The machine takes `start` and `deadline`. Rejects with what `act` throws. */
export function drive<E extends { readonly kind: string }, A, R>(
  machine: Machine<E | { readonly kind: 'start' } | { readonly kind: 'deadline' }, A>,
  act: (action: A, done: (result: R) => void, give: Give<E>) => void,
  place: Place<E>,
): Promise<R> {
  const { promise, resolve, reject } = Promise.withResolvers<R>();
  type Any = Parameters<typeof machine.handle>[0];
  let timer: NodeJS.Timeout | undefined;
  let busy = false;
  let over = false;
  const queue: Any[] = [];
  const end = (): void => {
    over = true;
    clearTimeout(timer);
    place.end();
  };
  const done = (result: R): void => {
    end();
    resolve(result);
  };
  const give = (event: Any): void => {
    if (over) return;
    queue.push(event);
    // What an action gives back at once has its turn after the others.
    if (busy) return;
    busy = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        for (const action of machine.handle(next, performance.now())) act(action, done, give);
    } catch (error) {
      end();
      reject(error);
      return;
    } finally {
      busy = false;
    }
    clearTimeout(timer);
    const at = machine.deadline();
    if (over || at === undefined) return;
    timer = setTimeout(() => give({ kind: 'deadline' }), Math.max(1, Math.ceil(at - performance.now())));
  };
  place.start(give);
  give({ kind: 'start' });
  return promise;
}
