/** The ring as a picture: SVG, DOT (Graphviz), Mermaid. Pure. */
import type { EdgeKind, Graph } from '../../agent/src/api.ts';

export const FORMATS = ['svg', 'dot', 'mermaid'] as const;
export type Format = (typeof FORMATS)[number];

export function drawn(graph: Graph, format: Format): string {
  switch (format) {
    case 'svg':
      return svg(graph);
    case 'dot':
      return dot(graph);
    case 'mermaid':
      return mermaid(graph);
  }
}

type Edge = Graph['edges'][number];
type Way = 'direct' | 'webrtc' | 'relay' | 'via' | 'none';

const wayOf = ({ path, relayed }: Edge): Way => (relayed ? 'relay' : path);
/** What an edge is for, the first of these that it is. */
const KINDS: readonly EdgeKind[] = ['successor', 'predecessor', 'long-distance', 'on-demand', 'static'];
const kindOf = ({ kinds }: Edge): string => KINDS.find((kind) => kinds.includes(kind)) ?? 'other';
const isRing = (edge: Edge): boolean => kindOf(edge) === 'successor' || kindOf(edge) === 'predecessor';

/** Told apart without colours too: by dashes. */
const LOOK: Readonly<Record<Way, { readonly colour: string; readonly dash: string; readonly dot: string }>> = {
  direct: { colour: '#1a7f37', dash: '', dot: 'solid' },
  webrtc: { colour: '#0969da', dash: '', dot: 'bold' },
  relay: { colour: '#bc4c00', dash: '6 4', dot: 'dashed' },
  via: { colour: '#6e7781', dash: '2 4', dot: 'dotted' },
  none: { colour: '#cf222e', dash: '1 6', dot: 'dotted' },
};

const rtt = ({ rttMs }: Edge): string => (rttMs === null ? '' : `${rttMs.toFixed(rttMs < 10 ? 1 : 0)} ms`);
const about = (edge: Edge): string =>
  [edge.kinds.join(', ') || 'other', wayOf(edge), rtt(edge)].filter(Boolean).join(', ');

/** A place on the ring, 0 to 1: labels are the first 64 bits of the node id. */
const placeOf = (label: string): number => Number(BigInt(`0x${label}`) >> 11n) / 2 ** 53;

const SIZE = 800;
const RADIUS = 300;

function svg(graph: Graph): string {
  const at = new Map(graph.nodes.map(({ id, label }) => [id, point(placeOf(label), RADIUS)]));
  const self = graph.nodes.find((node) => node.self)?.id ?? '';
  const line = (from: string, to: string, attributes: string, title: string): string[] => {
    const [a, b] = [at.get(from), at.get(to)];
    if (a === undefined || b === undefined) return [];
    return [
      `<path d="M${a.x} ${a.y}L${b.x} ${b.y}" ${attributes}>${title === '' ? '' : `<title>${escaped(title)}</title>`}</path>`,
    ];
  };
  const name = new Map(graph.nodes.map((node) => [node.id, node.name]));
  const ways = [...new Set(graph.edges.map(wayOf))];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE + 60}" role="img" font-family="sans-serif" font-size="13">`,
    `<title>Overlay ${escaped(graph.overlay)}, ${graph.nodes.length} nodes, as ${escaped(name.get(self) ?? self)} knows it</title>`,
    `<rect width="${SIZE}" height="${SIZE + 60}" fill="#fff"/>`,
    `<circle cx="${SIZE / 2}" cy="${SIZE / 2}" r="${RADIUS}" fill="none" stroke="#d0d7de"/>`,
    ...graph.told.flatMap(([from, to]) =>
      line(from, to, 'stroke="#d0d7de" fill="none"', `${name.get(from)} - ${name.get(to)}`),
    ),
    ...graph.edges.flatMap((edge) => {
      const { colour, dash } = LOOK[wayOf(edge)];
      const width = isRing(edge) ? 3 : 1.5;
      const dashed = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
      return line(
        self,
        edge.to,
        `class="${wayOf(edge)}" stroke="${colour}" stroke-width="${width}"${dashed} fill="none"`,
        `to ${name.get(edge.to)}: ${about(edge)}`,
      );
    }),
    ...graph.nodes.map((node) => dotOf(node, at.get(node.id) ?? point(0, RADIUS), graph.nodes.length)),
    ...ways.map((way, i) => legend(way, i)),
    '</svg>\n',
  ].join('\n');
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** From the top, clockwise. */
function point(place: number, radius: number): Point {
  const angle = 2 * Math.PI * place - Math.PI / 2;
  const of = (offset: number): number => Number((SIZE / 2 + radius * offset).toFixed(1));
  return { x: of(Math.cos(angle)), y: of(Math.sin(angle)) };
}

/** Names of a ring that is too full would lie upon each other: they stay as titles. */
const NAMED_MAX = 60;

function dotOf({ name, label, self }: Graph['nodes'][number], { x, y }: Point, count: number): string {
  const out = point(placeOf(label), RADIUS + 14);
  const anchor = out.x > SIZE / 2 + 20 ? 'start' : out.x < SIZE / 2 - 20 ? 'end' : 'middle';
  const text =
    count > NAMED_MAX && !self
      ? ''
      : `<text x="${out.x}" y="${(out.y + 4).toFixed(1)}" text-anchor="${anchor}"${self ? ' font-weight="bold"' : ''}>${escaped(name)}</text>`;
  return `<g><title>${escaped(name)} (${label})</title><circle cx="${x}" cy="${y}" r="${self ? 8 : 5}" fill="${self ? '#0969da' : '#57606a'}"/>${text}</g>`;
}

function legend(way: Way, i: number): string {
  const { colour, dash } = LOOK[way];
  const x = 30 + i * 110;
  const y = SIZE + 30;
  return `<path d="M${x} ${y}h30" stroke="${colour}" stroke-width="3"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}/><text x="${x + 38}" y="${y + 4}">${way}</text>`;
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

/** For circo, neato or dot: `evio graph --format dot | circo -Tsvg`. Names are DNS labels, and quoted all the same. */
function dot(graph: Graph): string {
  const self = graph.nodes.find((node) => node.self)?.id ?? '';
  const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
  const id = (of: string): string => quoted(of.slice(0, 16));
  return [
    `graph ${quoted(graph.overlay)} {`,
    '  node [shape=ellipse];',
    ...graph.nodes.map((node) => `  ${id(node.id)} [label=${quoted(node.name)}${node.self ? ', style=bold' : ''}];`),
    ...graph.edges.map((edge) => {
      const { colour, dot: style } = LOOK[wayOf(edge)];
      return `  ${id(self)} -- ${id(edge.to)} [color=${quoted(colour)}, style=${style}, label=${quoted(about(edge))}];`;
    }),
    ...graph.told.map(([from, to]) => `  ${id(from)} -- ${id(to)} [color="#d0d7de"];`),
    '}\n',
  ].join('\n');
}

function mermaid(graph: Graph): string {
  const self = graph.nodes.find((node) => node.self)?.id ?? '';
  const id = (of: string): string => `n${of.slice(0, 16)}`;
  const text = (words: string): string => words.replaceAll('"', "'");
  return [
    'graph LR',
    ...graph.nodes.map(
      (node) => `  ${id(node.id)}${node.self ? `(["${text(node.name)}"])` : `("${text(node.name)}")`}`,
    ),
    ...graph.edges.map((edge) => {
      const link = { direct: '---', webrtc: '---', relay: '-.-', via: '-.-', none: '-.-' }[wayOf(edge)];
      return `  ${id(self)} ${link}|"${text(about(edge))}"| ${id(edge.to)}`;
    }),
    ...graph.told.map(([from, to]) => `  ${id(from)} --- ${id(to)}`),
    '',
  ].join('\n');
}
