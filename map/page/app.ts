/** The page: what is told comes into the store, and each part shows its own of it. */
import { type Summary, summaryOf } from '../src/model.ts';
import { byId, h, s, say, set } from './dom.ts';
import { news } from './news.ts';
import { panel } from './panel.ts';
import { RingView } from './ring.ts';
import { Store } from './store.ts';
import { Tables } from './tables.ts';
import { type Link, Wire } from './wire.ts';
import { LOOK, LOOKS, type Look, NAT, STATE, shareText } from './words.ts';

/** A route is computed by the server: not with each step. */
const ROUTE_MS = 2_000;
const THEME = 'evio-map-theme';
type Theme = 'system' | 'dark' | 'light';

const store = new Store();
const ring = new RingView(store);
const go = (name: string): void => {
  view('map');
  ring.go(name);
};
const tables = new Tables(store, (names) => {
  store.choose(names);
  go(names.at(-1) ?? '');
});
panel(store, go);
news(store);

// ---- link ----------------------------------------------------------------------------------------------------------

const LINK: Readonly<Record<Link, string>> = {
  loading: 'Loading',
  live: 'Live',
  polling: 'Every five seconds: as many pages as may listen do so already',
  away: 'No answer: what is shown is old. Trying again',
};
const wire = new Wire(store, (link) => {
  set(byId('link'), 'data-state', link === 'polling' ? 'live' : link);
  say(byId('link-text'), LINK[link]);
});

// ---- summary -------------------------------------------------------------------------------------------------------

interface Tile {
  readonly name: string;
  readonly key?: Look;
  value(summary: Summary): readonly [main: string, rest: string];
  bad?(summary: Summary): boolean;
}
const number = (value: number): string => value.toLocaleString('en');
const TILES: readonly Tile[] = [
  {
    name: 'Nodes ready',
    value: ({ ready, nodes }) => [number(ready), `of ${number(nodes)}`],
    bad: (x) => x.ready < x.nodes,
  },
  { name: 'Tunnels up', value: ({ up }) => [number(up), ''] },
  {
    name: 'Direct',
    key: 'direct',
    value: ({ direct, up }) => [number(direct), up === 0 ? '' : shareText(direct / up)],
  },
  {
    name: 'Relayed',
    key: 'relayed',
    value: ({ relayed, relayShare }) => [number(relayed), relayShare === null ? '' : shareText(relayShare)],
  },
  { name: 'Via others', key: 'via', value: ({ via }) => [number(via), ''] },
  {
    name: 'Down',
    key: 'down',
    value: ({ down, connecting }) => [number(down), connecting === 0 ? '' : `${number(connecting)} connecting`],
    bad: (x) => x.down > 0,
  },
];
const tiles = TILES.map(({ name, key }) => {
  const [main, rest] = [document.createTextNode('–'), h('small')];
  const mark = key === undefined ? undefined : h('span', { class: 'key', 'data-path': key, 'aria-hidden': 'true' });
  const element = h('div', { class: 'tile' }, h('dt', {}, mark, name), h('dd', {}, main, ' ', rest));
  return { element, main, rest };
});
byId('summary').append(...tiles.map(({ element }) => element));

store.on(['model'], () => {
  const { model } = store;
  const summary = summaryOf(model);
  TILES.forEach(({ value, bad }, i) => {
    const tile = tiles[i];
    if (tile === undefined) return;
    const [main, rest] = value(summary);
    if (tile.main.data !== main) tile.main.data = main;
    say(tile.rest, rest);
    set(tile.element, 'data-tone', bad?.(summary) === true ? 'bad' : undefined);
  });
  say(byId('title'), model.title);
  document.title = `${model.title === '' ? '' : `${model.title} – `}Evio map`;
  say(
    byId('scope'),
    model.self === null
      ? 'As the nodes tell the cluster: within half a minute, what is wrong at once.'
      : `As ${model.self} sees it: its own tunnels, every second.`,
  );
});

// ---- filters, legend, search ---------------------------------------------------------------------------------------

const HINT: Readonly<Record<Look, string>> = {
  direct: 'no server between',
  relayed: 'over a TURN server',
  via: 'other members carry its frames',
  connecting: 'being made',
  down: 'lost, and tried again',
};
for (const look of LOOKS) {
  const box = h('input', { type: 'checkbox', checked: true });
  box.addEventListener('change', () => {
    if (box.checked) store.shown.add(look);
    else store.shown.delete(look);
    store.tell('filters');
  });
  const key = h('span', { class: 'key', 'data-path': look, 'aria-hidden': 'true' });
  byId('filters').append(h('label', { class: 'chip', title: HINT[look] }, box, key, LOOK[look]));
}

function legend(): void {
  const entries: readonly (readonly [string, string, string])[] =
    store.paint === 'state'
      ? (['ready', 'not-ready', 'unknown'] as const).map((state) => [state, state, STATE[state]])
      : (['none', 'endpoint-independent', 'address-dependent', 'unknown'] as const).map((nat) => [
          `nat-${nat}`,
          nat === 'unknown' ? 'unknown' : 'ready',
          `NAT ${NAT[nat]}`,
        ]);
  byId('legend').replaceChildren(
    ...entries.map(([look, form, text]) => {
      const d = form === 'not-ready' ? 'M0 -6L6 0L0 6L-6 0Z' : 'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z';
      const sign = s(
        'svg',
        { viewBox: '-7 -7 14 14', 'aria-hidden': 'true' },
        s('path', { class: 'node', 'data-look': look, d }),
      );
      return h('li', {}, sign, text);
    }),
  );
}
legend();
const paint = byId<HTMLSelectElement>('paint');
paint.addEventListener('change', () => {
  store.paint = paint.value === 'nat' ? 'nat' : 'state';
  legend();
  store.tell('filters');
});

const find = byId<HTMLInputElement>('find');
find.addEventListener('input', () => {
  const word = find.value.trim().toLowerCase();
  const found = word === '' ? [] : store.model.nodes.filter(({ name }) => name.includes(word)).slice(0, 20);
  byId('names').replaceChildren(...found.map(({ name }) => h('option', { value: name })));
  store.look(found.find(({ name }) => name === word)?.name ?? (found.length === 1 ? found[0]?.name : undefined));
});
find.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || store.focus === undefined) return;
  const name = store.focus;
  store.choose([...store.chosen.slice(0, 1), name]);
  go(name);
});
document.addEventListener('keydown', (event) => {
  const { target } = event;
  if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return;
  if (event.key === '/' && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    view('map');
    find.focus();
  } else if (event.key === 'Escape') store.choose([]);
});

// ---- views and themes ----------------------------------------------------------------------------------------------

function view(which: 'map' | 'table'): void {
  if (byId('map-view').hidden === (which !== 'map')) return;
  byId('map-view').hidden = which !== 'map';
  byId('table-view').hidden = which !== 'table';
  for (const one of ['map', 'table']) byId(`show-${one}`).setAttribute('aria-pressed', String(one === which));
  tables.shown = which === 'table';
}
byId('show-map').addEventListener('click', () => view('map'));
byId('show-table').addEventListener('click', () => view('table'));
byId('skip').addEventListener('click', (event) => {
  event.preventDefault();
  view('table');
  byId('table-view').focus();
});

const dark = window.matchMedia('(prefers-color-scheme: dark)');
const kept = (): Theme => {
  try {
    const theme = localStorage.getItem(THEME);
    return theme === 'dark' || theme === 'light' ? theme : 'system';
  } catch {
    return 'system';
  }
};
let theme = kept();
function wear(): void {
  const worn = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  document.documentElement.dataset.theme = worn;
  say(byId('theme'), `Theme: ${theme}`);
  store.tell('theme');
}
byId('theme').addEventListener('click', () => {
  theme = ({ system: 'dark', dark: 'light', light: 'system' } as const)[theme];
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // It holds for this page only.
  }
  wear();
});
dark.addEventListener('change', wear);
wear();

// ---- routes --------------------------------------------------------------------------------------------------------

let askedAt = 0;
let asking = 0;
async function route(): Promise<void> {
  const [from, to] = store.chosen;
  const mine = ++asking;
  askedAt = performance.now();
  const found = from === undefined || to === undefined ? undefined : await wire.route(from, to);
  if (mine !== asking || (found === undefined && store.route === undefined)) return;
  store.route = found;
  store.tell('route');
}
store.on(['chosen'], () => {
  store.route = undefined;
  void route();
});
store.on(['model'], () => {
  if (store.chosen.length === 2 && performance.now() - askedAt > ROUTE_MS) void route();
});

// ---- traces --------------------------------------------------------------------------------------------------------

/** Only who opened the address with the key may have frames sent; the key stays with this tab, and leaves the address. */
const KEY = 'evio-map-trace';
function keyOfTraces(): string | undefined {
  const [, key] = /^#trace=([\w-]+)$/.exec(location.hash) ?? [];
  try {
    if (key !== undefined) {
      history.replaceState(null, '', location.pathname);
      sessionStorage.setItem(KEY, key);
    }
    return key ?? sessionStorage.getItem(KEY) ?? undefined;
  } catch {
    return key;
  }
}
const key = keyOfTraces();
if (key !== undefined)
  store.runTrace = () => {
    const [from, to] = store.chosen;
    if (from === undefined || to === undefined) return;
    if (typeof store.trace === 'object' && 'running' in store.trace) return;
    const running = { running: true } as const;
    store.trace = running;
    store.tell('trace');
    void wire.trace(key, from, to).then((shown) => {
      // Others were chosen meanwhile.
      if (store.trace !== running) return;
      store.trace = shown;
      store.tell('trace');
    });
  };
store.on(['chosen'], () => {
  store.trace = undefined;
});

void wire.start();
