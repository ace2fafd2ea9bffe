/** Beside the ring: who is chosen, its tunnels, and the way between two. */
import type { MapEdge, MapNode } from '../src/model.ts';
import { button, byId, h } from './dom.ts';
import type { Store } from './store.ts';
import { agoText, kindsText, LOOK, lookOf, NAT, rateText, rttText, STATE, shareText } from './words.ts';

const badge = (is: string, text: string): HTMLElement => h('span', { class: 'badge', 'data-is': is }, text);

/** `asked`: the way between two is wanted. */
export function panel(store: Store, go: (name: string) => void): void {
  const [body, heading] = [byId('chosen-body'), byId('chosen-heading')];
  const draw = (): void => {
    const [first, second] = store.chosen.map((name) => store.node(name));
    heading.textContent = second !== undefined ? 'The way between two nodes' : (first?.name ?? 'Nothing is chosen');
    // Whoever stands on a button here finds it again.
    const held = body.contains(document.activeElement) ? document.activeElement?.getAttribute('data-key') : undefined;
    body.replaceChildren(
      ...(first === undefined
        ? nobody()
        : second === undefined
          ? one(store, first, go)
          : two(store, first, second, go)),
    );
    if (held != null)
      body.querySelector<HTMLElement>(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
  };
  store.on(['model', 'chosen', 'route', 'trace'], draw);
  draw();
}

const nobody = (): readonly Node[] => [
  h(
    'p',
    { class: 'muted' },
    'Choose a node on the ring or in the tables: its tunnels are shown here. A second one shows the way that frames take between the two.',
  ),
];

function one(store: Store, node: MapNode, go: (name: string) => void): readonly Node[] {
  const edges = [...(store.edges.get(node.name) ?? [])].sort(worstFirst);
  return [
    facts(node),
    ...(edges.length === 0
      ? [
          h(
            'p',
            { class: 'muted' },
            store.model.self === null ? 'No tunnels.' : 'Its tunnels are known to itself only.',
          ),
        ]
      : [h('h3', {}, `${edges.length} tunnels`), tunnels(store, node.name, edges, go)]),
    h(
      'div',
      { class: 'row' },
      button('Let go', { 'data-key': 'let-go' }, () => store.choose([])),
    ),
  ];
}

function facts({ name, label, state, reason, message, nat, version, counts }: MapNode): HTMLElement {
  const row = (term: string, ...what: readonly (Node | string)[]): readonly Node[] => [
    h('dt', {}, term),
    h('dd', {}, ...what),
  ];
  return h(
    'dl',
    { class: 'facts' },
    ...row('Name', name),
    ...row('State', badge(state, STATE[state]), ` ${reason}`),
    ...(message === '' ? [] : row('Says', message)),
    ...row('NAT', NAT[nat]),
    ...row('Place on the ring', h('span', { class: 'mono' }, label ?? 'not known')),
    ...(counts === null
      ? []
      : row('Tunnels', `${counts.up} up: ${counts.direct} direct, ${counts.relayed} relayed; ${counts.failed} down`)),
    ...(version === '' ? [] : row('Version', version)),
  );
}

const ORDER = ['down', 'connecting', 'via', 'relayed', 'direct'];
const worstFirst = (x: MapEdge, y: MapEdge): number => ORDER.indexOf(lookOf(x)) - ORDER.indexOf(lookOf(y));

function tunnels(store: Store, own: string, edges: readonly MapEdge[], go: (name: string) => void): HTMLElement {
  const now = Date.now();
  const measured = edges.some(({ loss, bps }) => loss !== null || bps !== null);
  const rows = edges.map((edge) => {
    const peer = edge.a === own ? edge.b : edge.a;
    const look = lookOf(edge);
    const name = button(
      peer,
      { class: 'quiet', 'data-key': `to ${peer}`, title: `The way from ${own} to ${peer}` },
      () => {
        store.choose([own, peer]);
        go(peer);
      },
    );
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      h('td', {}, badge(look, LOOK[look])),
      h('td', { class: 'number' }, rttText(edge.rttMs)),
      ...(measured
        ? [h('td', { class: 'number' }, shareText(edge.loss)), h('td', { class: 'number' }, rateText(edge.bps))]
        : []),
      h('td', {}, kindsText(edge.kinds)),
      h('td', { class: 'number' }, agoText(edge.since, now)),
    );
  });
  const head = (text: string, number = false): HTMLElement =>
    h('th', { scope: 'col', class: number ? 'number' : '' }, text);
  const heads = [
    head('To'),
    head('Path'),
    head('RTT', true),
    ...(measured ? [head('Loss', true), head('Rate', true)] : []),
    head('Edge'),
    head('For', true),
  ];
  return h(
    'div',
    { class: 'tunnels', tabindex: 0, role: 'region', 'aria-label': `Tunnels of ${own}` },
    h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows)),
  );
}

function two(store: Store, first: MapNode, second: MapNode, go: (name: string) => void): readonly Node[] {
  const { route } = store;
  const ours = route !== undefined && route.from === first.name && route.to === second.name ? route : undefined;
  const { runTrace } = store;
  const buttons = h(
    'div',
    { class: 'row' },
    runTrace === undefined
      ? undefined
      : // Not disabled: whoever stands on it would lose it.
        button('Run a trace', { 'data-key': 'trace', 'aria-disabled': isRunning(store.trace) && 'true' }, runTrace),
    button('Other way round', { 'data-key': 'turn' }, () => store.choose([second.name, first.name])),
    button(`Only ${first.name}`, { 'data-key': 'first' }, () => store.choose([first.name])),
    button('Let go', { 'data-key': 'let-go' }, () => store.choose([])),
  );
  const title = h('p', {}, `From `, h('strong', {}, first.name), ' to ', h('strong', {}, second.name), '.');
  if (ours === undefined) return [title, h('p', { class: 'muted' }, 'Looking for the way.'), buttons];
  const hops = ours.hops.map(({ from, to, path, rttMs }) => {
    const look = path === 'none' ? 'down' : path;
    return h(
      'li',
      {},
      `${from} → `,
      button(to, { class: 'quiet', 'data-key': `hop ${to}` }, () => go(to)),
      ' ',
      badge(look, LOOK[look]),
      ` ${rttText(rttMs)}`,
    );
  });
  const verdict = { whole: '', partial: 'The way is known in part: ', none: 'No way is known: ' }[ours.reach];
  return [
    title,
    h(
      'p',
      {},
      `${verdict}${ours.text}${ours.reach === 'whole' && ours.rttMs !== null ? `, ${rttText(ours.rttMs)} there and back` : ''}.`,
    ),
    ...(hops.length === 0 ? [] : [h('ol', { class: 'route' }, ...hops)]),
    h(
      'p',
      { class: 'muted' },
      'Computed from the tunnels shown, by the rule that nodes use. It is not a trace: no packet was sent.',
    ),
    ...traced(store),
    buttons,
  ];
}

const isRunning = (trace: Store['trace']): boolean => typeof trace === 'object' && 'running' in trace;

function traced({ trace }: Store): readonly Node[] {
  if (trace === undefined) return [];
  if (typeof trace === 'string') return [h('p', { role: 'status' }, `No trace: ${trace}`)];
  if ('running' in trace) return [h('p', { class: 'muted', role: 'status' }, 'Tracing: frames are sent.')];
  const { arrived, text, fix, steps } = trace;
  const rows = steps.map(({ station, step, there, back }) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, station),
      h('td', { class: 'long' }, step),
      h('td', { class: 'number' }, there),
      h('td', { class: 'number' }, back),
    ),
  );
  const heads = ['Node', 'Step', 'There', 'Back'].map((head, i) =>
    h('th', { scope: 'col', class: i > 1 ? 'number' : '' }, head),
  );
  return [
    h('h3', {}, 'Trace'),
    h('p', { role: 'status' }, badge(arrived ? 'ready' : 'down', arrived ? 'Arrived' : 'Lost'), ` ${text}`),
    ...(fix === null ? [] : [h('p', { class: 'muted' }, `To do: ${fix}`)]),
    h(
      'div',
      { class: 'tunnels', tabindex: 0, role: 'region', 'aria-label': 'Steps of the trace' },
      h('table', {}, h('thead', {}, h('tr', {}, ...heads)), h('tbody', {}, ...rows)),
    ),
  ];
}
