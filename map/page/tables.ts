/** The same as tables: all nodes, or tunnels with what is wrong first. Rows are made in pieces, so that a thousand do not hold the page up. */
import type { MapEdge, MapNode } from '../src/model.ts';
import { edgeKey } from '../src/model.ts';
import { button, byId, h, say } from './dom.ts';
import type { Store } from './store.ts';
import { agoText, kindsText, LOOK, LOOKS, lookOf, NAT, rateText, rttText, STATE, shareText } from './words.ts';

interface Row {
  readonly key: string;
  /** The first is the row's header. */
  readonly cells: readonly string[];
  readonly sort: readonly (string | number)[];
  readonly choose: readonly string[];
}

interface Column {
  readonly name: string;
  readonly number?: boolean;
  readonly long?: boolean;
}

const NODE_COLUMNS: readonly Column[] = [
  { name: 'Node' },
  { name: 'State' },
  { name: 'NAT' },
  { name: 'Up', number: true },
  { name: 'Relayed', number: true },
  { name: 'Down', number: true },
  { name: 'Next on the ring' },
  { name: 'Version' },
  { name: 'Says', long: true },
];
const TUNNEL_COLUMNS: readonly Column[] = [
  { name: 'Tunnel' },
  { name: 'Path' },
  { name: 'RTT', number: true },
  { name: 'Loss', number: true },
  { name: 'Rate', number: true },
  { name: 'Edge' },
  { name: 'For', number: true },
];
/** More are found by a word. */
const ROWS_MAX = 1_500;
const PIECE = 60;
const EVERY_MS = 3_000;

export class Tables {
  readonly #store: Store;
  readonly #scroll = byId('table-scroll');
  readonly #filter = byId<HTMLInputElement>('rows-with');
  readonly #choose: (names: readonly string[]) => void;
  #of: 'nodes' | 'tunnels' = 'nodes';
  #sort: { readonly column: number; readonly down: boolean } | undefined;
  #rows = new Map<string, { readonly row: Row; readonly element: HTMLTableRowElement }>();
  #run = 0;
  #drawnAt = 0;
  #timer: number | undefined;
  #shown = false;

  constructor(store: Store, choose: (names: readonly string[]) => void) {
    this.#store = store;
    this.#choose = choose;
    const pick = (of: 'nodes' | 'tunnels'): void => {
      this.#of = of;
      this.#sort = undefined;
      for (const one of ['nodes', 'tunnels']) byId(`of-${one}`).setAttribute('aria-pressed', String(one === of));
      this.#anew();
    };
    byId('of-nodes').addEventListener('click', () => pick('nodes'));
    byId('of-tunnels').addEventListener('click', () => pick('tunnels'));
    this.#filter.addEventListener('input', () => this.#soon(150));
    store.on(['model'], () => this.#soon(EVERY_MS));
  }

  set shown(shown: boolean) {
    this.#shown = shown;
    if (shown) this.#anew();
    else this.#run++;
  }

  #soon(afterMs: number): void {
    if (!this.#shown) return;
    if (afterMs < EVERY_MS) clearTimeout(this.#timer);
    else if (this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (afterMs < EVERY_MS) this.#anew();
        else this.#renew();
      },
      Math.max(0, afterMs < EVERY_MS ? afterMs : this.#drawnAt + EVERY_MS - performance.now()),
    );
  }

  /** Cells that are other now; a row more or less makes the table anew. */
  #renew(): void {
    if (!this.#shown) return;
    const rows = this.#wanted();
    if (rows.length !== this.#rows.size || rows.some(({ key }) => !this.#rows.has(key))) {
      // Whoever stands in the table is not thrown out of it: it is made anew when he has left.
      if (this.#scroll.contains(document.activeElement) && document.activeElement !== this.#scroll) return;
      this.#anew();
      return;
    }
    this.#drawnAt = performance.now();
    for (const row of rows) {
      const known = this.#rows.get(row.key);
      if (known === undefined) continue;
      row.cells.forEach((text, i) => {
        const cell = known.element.cells[i];
        if (i > 0 && cell !== undefined) say(cell, text);
      });
    }
  }

  #columns(): readonly Column[] {
    return this.#of === 'nodes' ? NODE_COLUMNS : TUNNEL_COLUMNS;
  }

  #wanted(): readonly Row[] {
    const { model } = this.#store;
    const all =
      this.#of === 'nodes' ? model.nodes.map((node, i) => nodeRow(node, model.nodes, i)) : tunnelRows(model.edges);
    const word = this.#filter.value.trim().toLowerCase();
    const found =
      word === '' ? all : all.filter(({ cells }) => cells.some((cell) => cell.toLowerCase().includes(word)));
    const sort = this.#sort;
    const sorted =
      sort === undefined
        ? found
        : found.toSorted((x, y) => {
            const [p, q] = [x.sort[sort.column] ?? '', y.sort[sort.column] ?? ''];
            return (p < q ? -1 : p > q ? 1 : 0) * (sort.down ? -1 : 1);
          });
    const rows = sorted.slice(0, ROWS_MAX);
    const what = this.#of;
    say(
      byId('rows'),
      rows.length === all.length ? `${all.length} ${what}` : `${rows.length} of ${all.length} ${what} are shown`,
    );
    return rows;
  }

  #anew(): void {
    const run = ++this.#run;
    this.#drawnAt = performance.now();
    const rows = this.#wanted();
    const columns = this.#columns();
    const body = h('tbody');
    const heads = columns.map(({ name, number }, i) => {
      const head = h('th', { scope: 'col', class: number === true ? 'number' : '' });
      head.append(button(name, { 'data-column': i }, () => this.#by(i)));
      if (this.#sort?.column === i) head.setAttribute('aria-sort', this.#sort.down ? 'descending' : 'ascending');
      return head;
    });
    const caption = this.#of === 'nodes' ? 'Nodes in ring order' : 'Tunnels, what is wrong first';
    const table = h('table', {}, h('caption', {}, caption), h('thead', {}, h('tr', {}, ...heads)), body);
    const column = this.#scroll.contains(document.activeElement)
      ? document.activeElement?.getAttribute('data-column')
      : null;
    this.#scroll.replaceChildren(table);
    if (column != null) this.#scroll.querySelector<HTMLElement>(`[data-column="${column}"]`)?.focus();
    this.#rows = new Map();
    const more = (from: number): void => {
      if (run !== this.#run) return;
      for (const row of rows.slice(from, from + PIECE)) {
        const element = this.#row(row, columns);
        this.#rows.set(row.key, { row, element });
        body.append(element);
      }
      if (from + PIECE < rows.length) requestAnimationFrame(() => more(from + PIECE));
    };
    more(0);
  }

  #row({ cells, choose }: Row, columns: readonly Column[]): HTMLTableRowElement {
    const [head = '', ...rest] = cells;
    const name = button(head, { class: 'quiet' }, () => this.#choose(choose));
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      ...rest.map((text, i) => {
        const { number, long } = columns[i + 1] ?? {};
        return h('td', { class: number === true ? 'number' : long === true ? 'long' : undefined }, text);
      }),
    );
  }

  #by(column: number): void {
    const before = this.#sort;
    if (before?.column === column && before.down) this.#sort = undefined;
    else this.#sort = { column, down: before?.column === column };
    this.#anew();
  }
}

function nodeRow(node: MapNode, all: readonly MapNode[], index: number): Row {
  const { name, state, reason, message, nat, version, counts } = node;
  const next = all[(index + 1) % all.length]?.name ?? '';
  const number = (value: number | undefined): string => (value === undefined ? '–' : String(value));
  const said = message === '' ? (state === 'ready' ? '' : reason) : `${reason}: ${message}`;
  return {
    key: name,
    cells: [
      name,
      STATE[state],
      NAT[nat],
      number(counts?.up),
      number(counts?.relayed),
      number(counts?.failed),
      next,
      version,
      said,
    ],
    sort: [name, state, nat, counts?.up ?? -1, counts?.relayed ?? -1, counts?.failed ?? -1, next, version, said],
    choose: [name],
  };
}

function tunnelRows(edges: readonly MapEdge[]): readonly Row[] {
  const now = Date.now();
  const rank = (edge: MapEdge): number => -LOOKS.indexOf(lookOf(edge));
  return edges
    .toSorted((x, y) => rank(x) - rank(y))
    .map((edge) => {
      const { a, b, kinds, rttMs, loss, bps, since } = edge;
      const look = LOOK[lookOf(edge)];
      return {
        key: edgeKey(a, b),
        cells: [
          `${a} – ${b}`,
          look,
          rttText(rttMs),
          shareText(loss),
          rateText(bps),
          kindsText(kinds),
          agoText(since, now),
        ],
        sort: [`${a} ${b}`, look, rttMs ?? -1, loss ?? -1, bps ?? -1, kindsText(kinds), since ?? ''],
        choose: [a, b],
      };
    });
}
