/** The edges, on two canvases: all of them below, those of what is looked at above, so that walking along the ring redraws a few only. */
import { bend, type Point, placeOf, type View } from '../src/layout.ts';
import type { MapEdge } from '../src/model.ts';
import { byId } from './dom.ts';
import type { Store } from './store.ts';
import { LOOKS, type Look, lookOf } from './words.ts';

/** Curves of one stroke: the longer a path, the more costly are its crossings. */
const BATCH = 150;
const DASH: Readonly<Record<Look, readonly number[]>> = {
  direct: [],
  relayed: [6, 4],
  via: [2, 4],
  connecting: [2, 3],
  down: [9, 5],
};

/** What of the ring is on the screen, and how large, in CSS pixels. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly radius: number;
  readonly view: View;
}

export const onScreen = ({ width, height, radius, view }: Frame, { x, y }: Point): Point => ({
  x: width / 2 + (x - view.x) * view.zoom * radius,
  y: height / 2 + (y - view.y) * view.zoom * radius,
});

export class Painter {
  readonly #store: Store;
  readonly #base = byId<HTMLCanvasElement>('base');
  readonly #top = byId<HTMLCanvasElement>('top');
  #colours: Readonly<Record<string, string>> = {};

  constructor(store: Store) {
    this.#store = store;
    this.recolour();
  }

  recolour(): void {
    const style = getComputedStyle(document.documentElement);
    this.#colours = Object.fromEntries(
      [...LOOKS, 'text', 'accent', 'surface'].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
  }

  all(frame: Frame): void {
    const context = prepared(this.#base, frame);
    if (context === undefined) return;
    const { model, shown } = this.#store;
    const groups = new Map<Look, MapEdge[]>(LOOKS.map((look) => [look, []]));
    for (const edge of model.edges) groups.get(lookOf(edge))?.push(edge);
    const many = model.edges.length;
    // So faint that thousands stay a pattern, but what is wrong is seen.
    const faint = Math.min(0.75, Math.max(0.05, 9 / Math.sqrt(many + 1) / Math.max(1, many / 2500)));
    for (const look of LOOKS) {
      if (!shown.has(look)) continue;
      const edges = groups.get(look) ?? [];
      const crowd = Math.min(0.95, Math.max(0.14, 7 / Math.sqrt(edges.length + 1)));
      context.globalAlpha = look === 'direct' ? faint * (frame.view.zoom > 2 ? 1.6 : 1) : crowd;
      context.lineWidth = look === 'down' ? 1.6 : many > 800 ? 1 : 1.4;
      this.#strokes(context, frame, look, edges);
    }
  }

  /** The edges of who is chosen or looked at, and the route. */
  some(frame: Frame): void {
    const context = prepared(this.#top, frame);
    if (context === undefined) return;
    const { chosen, focus, edges, route, shown } = this.#store;
    const names = new Set([...chosen, ...(focus === undefined ? [] : [focus])]);
    const hops = new Set(route?.hops.map(({ from, to }) => this.#store.edge(from, to)));
    const own = new Set([...names].flatMap((name) => [...(edges.get(name) ?? [])]));
    context.lineWidth = 1.8;
    context.globalAlpha = hops.size > 0 ? 0.4 : 0.95;
    for (const look of LOOKS)
      if (shown.has(look))
        this.#strokes(
          context,
          frame,
          look,
          [...own].filter((edge) => lookOf(edge) === look),
        );
    context.globalAlpha = 1;
    for (const edge of hops) {
      if (edge === undefined) continue;
      context.lineWidth = 7;
      this.#strokes(context, frame, lookOf(edge), [edge], 'surface');
      context.lineWidth = 4;
      this.#strokes(context, frame, lookOf(edge), [edge]);
    }
  }

  #strokes(context: CanvasRenderingContext2D, frame: Frame, look: Look, edges: readonly MapEdge[], colour?: string) {
    const { places, model } = this.#store;
    const size = model.nodes.length;
    context.strokeStyle = this.#colours[colour ?? look] ?? '#888';
    context.setLineDash(colour === undefined ? [...DASH[look]] : []);
    context.lineCap = 'round';
    let count = 0;
    context.beginPath();
    for (const { a, b } of edges) {
      const [i, j] = [places.get(a), places.get(b)];
      if (i === undefined || j === undefined) continue;
      const [from, to] = [placeOf(i, size), placeOf(j, size)];
      const [p, q, middle] = [onScreen(frame, from), onScreen(frame, to), onScreen(frame, bend(from, to))];
      if (outside(frame, p, q, middle)) continue;
      context.moveTo(p.x, p.y);
      context.quadraticCurveTo(middle.x, middle.y, q.x, q.y);
      if (++count % BATCH === 0) {
        context.stroke();
        context.beginPath();
      }
    }
    context.stroke();
  }
}

function prepared(canvas: HTMLCanvasElement, { width, height }: Frame): CanvasRenderingContext2D | undefined {
  // Twice as fine is as fine as is seen.
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext('2d');
  if (context === null) return undefined;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

const outside = ({ width, height }: Frame, ...points: readonly Point[]): boolean =>
  points.every(({ x }) => x < 0) ||
  points.every(({ y }) => y < 0) ||
  points.every(({ x }) => x > width) ||
  points.every(({ y }) => y > height);
