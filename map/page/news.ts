/** The events: a list for the eye, and now and then a sentence for a screen reader, which could not follow a list that runs. */
import type { TimedEvent } from '../src/feed.ts';
import { byId, h } from './dom.ts';
import type { Store } from './store.ts';
import { clockText } from './words.ts';

const LISTED_MAX = 100;
const SAY_EVERY_MS = 5_000;
const SIGN = { good: '▲', bad: '▼', neutral: '●' } as const;

export function news(store: Store): void {
  const [list, none, pause, said] = [byId('events'), byId('no-events'), byId('pause'), byId('said')];
  let paused = false;
  let listed = 0;
  let unsaid: TimedEvent[] = [];
  let speaks = false;

  const show = (): void => {
    if (paused) return;
    const last = store.events.at(-1)?.id ?? 0;
    // Another process counts from the beginning.
    if (last < listed) [listed] = [0, list.replaceChildren()];
    const fresh = store.events.filter(({ id }) => id > listed);
    if (fresh.length === 0) return;
    list.prepend(...fresh.toReversed().map(line));
    while (list.childElementCount > LISTED_MAX) list.lastElementChild?.remove();
    listed = last;
    none.hidden = true;
  };
  const speak = (): void => {
    speaks = false;
    if (!paused && unsaid.length > 0) said.textContent = spoken(unsaid);
    unsaid = [];
  };
  store.on(['events'], () => {
    show();
    if (store.fresh.length === 0) return;
    unsaid.push(...store.fresh);
    if (speaks) return;
    speaks = true;
    setTimeout(speak, SAY_EVERY_MS);
  });
  pause.addEventListener('click', () => {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    show();
  });
}

const line = ({ tone, text, atMs }: TimedEvent): HTMLElement =>
  h(
    'li',
    {},
    h('time', { datetime: new Date(atMs).toISOString() }, clockText(atMs)),
    h('span', { 'data-tone': tone, 'aria-hidden': 'true' }, SIGN[tone]),
    h('span', {}, text),
  );

/** A few as they are, many as counts; what is bad first. */
function spoken(events: readonly TimedEvent[]): string {
  const bad = events.filter(({ tone }) => tone === 'bad');
  const first = [...bad, ...events.filter(({ tone }) => tone !== 'bad')].slice(0, 3);
  const rest = events.length - first.length;
  return `${first.map(({ text }) => text).join('. ')}.${rest === 0 ? '' : ` And ${rest} more changes, ${bad.length} of all for the worse.`}`;
}
