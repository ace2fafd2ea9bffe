/** The nodes: a list of options in an SVG, in ring order, one of which the Tab key reaches; arrow keys walk on from it. */
import { moved, nearestTo, neighbourOf, type Point, placeOf, type View, WHOLE, zoomed } from '../src/layout.ts';
import type { MapNode } from '../src/model.ts';
import { byId, oncePerFrame, s, set } from './dom.ts';
import { type Frame, onScreen, Painter } from './paint.ts';
import type { Store } from './store.ts';
import { nodeText } from './words.ts';

/** All names stand beside the ring up to so many nodes. */
const NAMED_MAX = 64;
/** New nodes that are made at once. */
const MANY = 200;
const SHOWN = 'evio-map-shown';
/** Pings at once. */
const PINGS_MAX = 40;
const TOUCH_PX = 26;
/** Of a phone. */
const SMALL_PX = 500;

export class RingView {
  readonly #store: Store;
  readonly #svg = byId<SVGSVGElement>('ring');
  readonly #stage = byId('stage');
  readonly #painter: Painter;
  readonly #nodes = new Map<string, SVGPathElement>();
  readonly #guide = s('circle', { class: 'guide', 'aria-hidden': 'true' });
  readonly #options = s('g', { role: 'presentation' });
  readonly #marks = s('g', { 'aria-hidden': 'true' });
  readonly #names = s('g', { 'aria-hidden': 'true' });
  #order: readonly MapNode[] = [];
  #frame: Frame = { width: 1, height: 1, radius: 1, view: WHOLE };
  /** The one that Tab reaches. */
  #tab: string | undefined;
  /** There is room for names. */
  #roomy = true;
  readonly #drawAll = oncePerFrame(() => this.#draw());
  readonly #drawSome = oncePerFrame(() => this.#mark());

  constructor(store: Store) {
    this.#store = store;
    this.#painter = new Painter(store);
    this.#svg.append(this.#guide, this.#options, this.#marks, this.#names);
    store.on(['model', 'filters'], this.#drawAll);
    store.on(['chosen', 'focus', 'route'], this.#drawSome);
    store.on(['theme'], () => {
      this.#painter.recolour();
      this.#drawAll();
    });
    store.on(['events'], () => this.#ping());
    new ResizeObserver(() => this.#measure()).observe(this.#stage);
    this.#keys();
    this.#pointers();
    byId('closer').addEventListener('click', () => this.zoom(1.6));
    byId('farther').addEventListener('click', () => this.zoom(1 / 1.6));
    byId('whole').addEventListener('click', () => this.#look(WHOLE));
  }

  /** Moves the keyboard to a node, and the picture to where it is seen. */
  go(name: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    this.#reach(name);
    node.focus({ preventScroll: true });
    this.#intoSight(name);
  }

  zoom(factor: number, at?: Point): void {
    const { view } = this.#frame;
    const name = this.#store.focus ?? this.#store.chosen[0];
    this.#look(zoomed(view, factor, at ?? (name === undefined ? view : this.#place(name))));
  }

  #place(name: string): Point {
    return placeOf(this.#store.places.get(name) ?? 0, this.#order.length);
  }

  #measure(): void {
    const { clientWidth: width, clientHeight: height } = this.#stage;
    if (width === 0 || height === 0) return;
    // Beside the ring there is room for a name, above and below it for a line.
    this.#frame = { ...this.#frame, width, height };
    const [beside, above] = this.#named ? [Math.min(96, width / 4.5), 44] : [26, 26];
    const radius = Math.max(40, Math.min(width / 2 - beside, height / 2 - above));
    this.#frame = { ...this.#frame, width, height, radius };
    set(this.#svg, 'viewBox', `0 0 ${width} ${height}`);
    this.#draw();
  }

  /** Whether all names are shown, at the whole ring. */
  get #named(): boolean {
    return this.#store.model.nodes.length <= (this.#frame.width < SMALL_PX ? NAMED_MAX / 3 : NAMED_MAX);
  }

  #look(view: View): void {
    this.#frame = { ...this.#frame, view };
    set(this.#stage, 'data-zoomed', view.zoom > 1);
    this.#drawAll();
  }

  #intoSight(name: string): void {
    const { width, height, view } = this.#frame;
    if (view.zoom === 1) return;
    const { x, y } = onScreen(this.#frame, this.#place(name));
    const edge = 60;
    if (x > edge && y > edge && x < width - edge && y < height - edge) return;
    this.#look({ ...view, ...this.#place(name) });
  }

  // ---- drawing ---------------------------------------------------------------------------------------------------

  #draw(): void {
    const { nodes } = this.#store.model;
    if (this.#named !== this.#roomy) {
      this.#roomy = this.#named;
      this.#measure();
      return;
    }
    this.#painter.all(this.#frame);
    // A thousand new nodes in a frame of their own: together with the edges they would hold the page up.
    if (nodes.length - this.#nodes.size > MANY) requestAnimationFrame(() => this.#settle(nodes));
    else this.#settle(nodes);
  }

  #settle(nodes: readonly MapNode[]): void {
    // Another one may have come meanwhile: its own frame follows.
    if (nodes !== this.#store.model.nodes) return;
    this.#arrange(nodes);
    this.#mark();
    byId('nothing').hidden = nodes.length > 0;
    // What test/map measures: the first picture with nodes is on the screen.
    if (nodes.length > 0 && performance.getEntriesByName(SHOWN).length === 0)
      requestAnimationFrame(() => performance.mark(SHOWN));
  }

  #arrange(nodes: readonly MapNode[]): void {
    const { radius, view } = this.#frame;
    const middle = onScreen(this.#frame, { x: 0, y: 0 });
    set(this.#guide, 'cx', middle.x.toFixed(1));
    set(this.#guide, 'cy', middle.y.toFixed(1));
    set(this.#guide, 'r', (radius * view.zoom).toFixed(1));
    this.#keep(nodes);
    const dot = this.#dot;
    nodes.forEach((node, i) => {
      const element = this.#nodes.get(node.name);
      if (element === undefined) return;
      const look = this.#store.paint === 'nat' ? `nat-${node.nat}` : node.state;
      const { x, y } = onScreen(this.#frame, placeOf(i, nodes.length));
      // What is wrong is larger, so that it is found among a thousand.
      const size = node.state === 'not-ready' ? Math.max(dot, 4.5) : dot;
      set(element, 'd', shape(node.state, size));
      set(element, 'transform', `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      set(element, 'data-look', look);
      set(element, 'aria-label', nodeText(node));
    });
    this.#order = nodes;
  }

  /** Pixels. */
  get #dot(): number {
    const { radius, view } = this.#frame;
    const spacing = (2 * Math.PI * radius * view.zoom) / Math.max(1, this.#store.model.nodes.length);
    return Math.min(9, Math.max(1.7, spacing * 0.38));
  }

  #keep(nodes: readonly MapNode[]): void {
    if (nodes === this.#order && this.#nodes.size === nodes.length) return;
    const { places } = this.#store;
    for (const [name, element] of this.#nodes) {
      if (places.has(name)) continue;
      element.remove();
      this.#nodes.delete(name);
    }
    let before: Element | null = null;
    for (const { name } of nodes) {
      let element = this.#nodes.get(name);
      if (element === undefined) {
        element = s('path', {
          class: 'node',
          role: 'option',
          tabindex: -1,
          'aria-selected': 'false',
          'data-name': name,
        });
        this.#nodes.set(name, element);
      }
      // Ring order is the order in which a screen reader meets them.
      const next: Element | null = before === null ? this.#options.firstElementChild : before.nextElementSibling;
      if (next !== element) this.#options.insertBefore(element, next);
      before = element;
    }
    if (this.#tab === undefined || !this.#nodes.has(this.#tab)) this.#reach(nodes[0]?.name);
  }

  #reach(name: string | undefined): void {
    if (this.#tab !== undefined) this.#nodes.get(this.#tab)?.setAttribute('tabindex', '-1');
    this.#tab = name;
    if (name !== undefined) this.#nodes.get(name)?.setAttribute('tabindex', '0');
  }

  /** Rings about who is chosen and who is looked at, and names. */
  #mark(): void {
    const { chosen, focus, route, model } = this.#store;
    this.#painter.some(this.#frame);
    set(this.#stage, 'data-chosen', chosen.length > 0 || focus !== undefined);
    for (const element of this.#options.querySelectorAll('[aria-selected="true"]'))
      if (!chosen.includes(element.getAttribute('data-name') ?? '')) element.setAttribute('aria-selected', 'false');
    for (const name of chosen) this.#nodes.get(name)?.setAttribute('aria-selected', 'true');
    const dot = this.#dot;
    const ring = (name: string, className: string, r: number, width: number): SVGElement => {
      const { x, y } = onScreen(this.#frame, this.#place(name));
      return s('circle', {
        class: className,
        cx: x.toFixed(1),
        cy: y.toFixed(1),
        r: r.toFixed(1),
        'stroke-width': width,
      });
    };
    this.#marks.replaceChildren(
      ...chosen.map((name) => ring(name, 'pick', dot + 4.5, 2)),
      ...(focus === undefined ? [] : [ring(focus, 'halo', dot + 8, 3)]),
    );
    const special = new Set([...chosen, ...(focus === undefined ? [] : [focus])]);
    for (const { from, to } of route?.hops ?? []) special.add(from).add(to);
    const all = this.#named || this.#frame.view.zoom > model.nodes.length / (this.#frame.width < SMALL_PX ? 18 : 36);
    const named = all ? model.nodes.map(({ name }) => name) : [...special];
    this.#names.replaceChildren(...this.#texts(named, special));
  }

  #texts(names: readonly string[], special: ReadonlySet<string>): readonly SVGElement[] {
    const { width, height, view } = this.#frame;
    const small = width < SMALL_PX;
    return names.flatMap((name) => {
      const place = this.#place(name);
      const { x, y } = onScreen(this.#frame, place);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) return [];
      // Above and below, where names stand side by side, every other one is a line further out.
      const steep = Math.abs(place.y) > 0.93 && (this.#store.places.get(name) ?? 0) % 2 === 1 ? 13 : 0;
      const off = this.#dot + (special.has(name) ? 13 : 7) + steep;
      const [tx, ty] = [x + place.x * off, y + place.y * off];
      const anchor = Math.abs(place.x) < 0.15 ? 'middle' : place.x > 0 ? 'start' : 'end';
      const text = small && name.length > 12 && !special.has(name) ? `${name.slice(0, 11)}…` : name;
      // Within the stage, whatever the name's length.
      const wide = text.length * (special.has(name) ? 8 : small ? 6.2 : 7);
      const inside =
        anchor === 'start' ? Math.min(tx, width - wide - 4) : anchor === 'end' ? Math.max(tx, wide + 4) : tx;
      const label = s(
        'text',
        {
          class: special.has(name) ? 'name' : 'name soft',
          x: inside.toFixed(1),
          // Pushed in, it stands above its node rather than on it.
          y: (inside === tx ? ty + 4 + place.y * 4 : y - this.#dot - 11).toFixed(1),
          'text-anchor': anchor,
          'font-size': special.has(name) ? (small ? 12 : 13) : small ? 10 : 12,
          'stroke-width': view.zoom > 1 || special.has(name) ? 4 : 3,
        },
        text,
      );
      return [label];
    });
  }

  #ping(): void {
    for (const { nodes, tone } of this.#store.fresh.slice(0, PINGS_MAX)) {
      for (const name of nodes) {
        if (!this.#store.places.has(name)) continue;
        const { x, y } = onScreen(this.#frame, this.#place(name));
        const ping = s('circle', {
          class: `ping ${tone}`,
          cx: x,
          cy: y,
          r: 7,
          'stroke-width': 2,
          'aria-hidden': 'true',
        });
        this.#svg.append(ping);
        setTimeout(() => ping.remove(), 1_700);
      }
    }
  }

  // ---- keys ------------------------------------------------------------------------------------------------------

  #keys(): void {
    this.#svg.addEventListener('focusin', (event) => {
      const name = (event.target as Element).getAttribute('data-name');
      if (name === null) return;
      this.#reach(name);
      this.#store.look(name);
    });
    this.#svg.addEventListener('focusout', () => this.#store.look(undefined));
    this.#svg.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (!this.#key(event.key)) return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #key(key: string): boolean {
    const { focus, places } = this.#store;
    const size = this.#order.length;
    const at = focus === undefined ? undefined : places.get(focus);
    const far = Math.max(1, Math.round(size / 12));
    const steps: Readonly<Record<string, number | undefined>> = {
      ArrowRight: neighbourOf(at, 1, size),
      ArrowDown: neighbourOf(at, 1, size),
      ArrowLeft: neighbourOf(at, -1, size),
      ArrowUp: neighbourOf(at, -1, size),
      PageDown: neighbourOf(at, far, size),
      PageUp: neighbourOf(at, -far, size),
      Home: 0,
      End: size - 1,
    };
    const to = steps[key];
    if (to !== undefined) this.go(this.#order[to]?.name ?? '');
    else if (key === 'Enter' || key === ' ') {
      if (focus === undefined) return false;
      this.#store.toggle(focus);
    } else if (key === 'Escape') this.#store.choose([]);
    else if (key === '+' || key === '=') this.zoom(1.6);
    else if (key === '-') this.zoom(1 / 1.6);
    else if (key === '0') this.#look(WHOLE);
    else return false;
    return true;
  }

  // ---- pointers --------------------------------------------------------------------------------------------------

  #at(event: { readonly clientX: number; readonly clientY: number }): Point {
    const { left, top } = this.#svg.getBoundingClientRect();
    const { width, height, radius, view } = this.#frame;
    const scale = radius * view.zoom;
    return {
      x: view.x + (event.clientX - left - width / 2) / scale,
      y: view.y + (event.clientY - top - height / 2) / scale,
    };
  }

  #nearest(event: PointerEvent): string | undefined {
    const { radius, view } = this.#frame;
    const index = nearestTo(this.#at(event), this.#order.length, TOUCH_PX / (radius * view.zoom));
    return index === undefined ? undefined : this.#order[index]?.name;
  }

  #pointers(): void {
    const down = new Map<number, PointerEvent>();
    let travelled = 0;
    let held = false;
    this.#svg.addEventListener('pointerdown', (event) => {
      if (down.size === 0) [travelled, held] = [0, this.#svg.contains(document.activeElement)];
      down.set(event.pointerId, event);
      // A click on a node is for its nearest one; the keyboard goes there when it is let go.
      event.preventDefault();
    });
    this.#svg.addEventListener('pointermove', (event) => {
      const before = down.get(event.pointerId);
      if (before === undefined) {
        // A keyboard that walks here is not disturbed by a mouse that rests.
        if (event.pointerType === 'mouse' && !this.#svg.contains(document.activeElement))
          this.#store.look(this.#nearest(event));
        return;
      }
      const { radius, view } = this.#frame;
      const scale = radius * view.zoom;
      const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
      travelled += Math.abs(dx) + Math.abs(dy);
      const other = [...down.values()].find(({ pointerId }) => pointerId !== event.pointerId);
      if (other !== undefined) {
        const apart = (one: PointerEvent): number =>
          Math.max(10, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
        const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
        this.#look(zoomed(view, apart(event) / apart(before), this.#at(middle)));
      } else if (view.zoom > 1) this.#look(moved(view, -dx / scale, -dy / scale));
      if (travelled > 6 && !this.#svg.hasPointerCapture(event.pointerId)) this.#svg.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event);
    });
    const up = (event: PointerEvent): void => {
      const was = down.delete(event.pointerId);
      if (!was || event.type !== 'pointerup' || down.size > 0 || travelled > 8) return;
      const name = this.#nearest(event);
      if (name === undefined) this.#store.choose([]);
      else {
        this.#store.toggle(name);
        this.#reach(name);
        if (held) this.#nodes.get(name)?.focus({ preventScroll: true });
      }
    };
    for (const type of ['pointerup', 'pointercancel'] as const) this.#svg.addEventListener(type, up);
    this.#svg.addEventListener('pointerleave', (event) => {
      if (event.pointerType === 'mouse' && !this.#svg.contains(document.activeElement)) this.#store.look(undefined);
    });
    this.#svg.addEventListener(
      'wheel',
      (event) => {
        // At the whole ring a wheel that goes away scrolls the page.
        if (event.deltaY > 0 && this.#frame.view.zoom === 1 && !event.ctrlKey) return;
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY / 300), this.#at(event));
      },
      { passive: false },
    );
  }
}

/** By state: a dot, a diamond, or a ring (which is the same as a dot, with another filling). */
function shape(state: MapNode['state'], r: number): string {
  const n = r.toFixed(2);
  if (state === 'not-ready') {
    const d = (r * 1.35).toFixed(2);
    return `M0 -${d}L${d} 0L0 ${d}L-${d} 0Z`;
  }
  return `M-${n} 0a${n} ${n} 0 1 0 ${(2 * r).toFixed(2)} 0a${n} ${n} 0 1 0 -${(2 * r).toFixed(2)} 0Z`;
}
