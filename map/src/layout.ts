/** Where things are on the picture. The ring is a circle of radius 1 about (0, 0), y downwards; the first node stands at the top. Pure. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Evenly spaced, clockwise: labels lie unevenly, and it is the order that counts. */
export function placeOf(index: number, size: number): Point {
  const angle = (2 * Math.PI * index) / Math.max(1, size) - Math.PI / 2;
  return { x: Math.cos(angle), y: Math.sin(angle) };
}

/**
 * The middle of a chord as a quadratic curve: neighbours are joined along the ring, far ones over the middle, so that long links stand
 * apart from the ring's own.
 */
export function bend(a: Point, b: Point): Point {
  const [x, y] = [(a.x + b.x) / 2, (a.y + b.y) / 2];
  // 0 for neighbours, 1 for those that face each other.
  const far = Math.min(1, Math.hypot(a.x - b.x, a.y - b.y) / 2);
  const pull = 1 - 0.85 * Math.sqrt(far);
  return { x: x * pull, y: y * pull };
}

/** The index next to `index` in a direction, round the ring; the first one from none. */
export function neighbourOf(index: number | undefined, step: number, size: number): number | undefined {
  if (size === 0) return undefined;
  if (index === undefined) return 0;
  return (((index + step) % size) + size) % size;
}

/** The node nearest to a point, no further than `within`. Looks at those of about that angle only. */
export function nearestTo(point: Point, size: number, within: number): number | undefined {
  if (size === 0) return undefined;
  const turn = (Math.atan2(point.y, point.x) + Math.PI / 2) / (2 * Math.PI);
  const index = neighbourOf(0, Math.round(turn * size), size) ?? 0;
  const { x, y } = placeOf(index, size);
  return Math.hypot(point.x - x, point.y - y) <= within ? index : undefined;
}

/** What of the ring is looked at: the point in the middle, and how much larger than the whole it is. */
export interface View {
  readonly x: number;
  readonly y: number;
  /** 1 shows the whole ring. */
  readonly zoom: number;
}

export const WHOLE: View = { x: 0, y: 0, zoom: 1 };
export const ZOOM_MAX = 40;

/** Larger by `factor`, with `fixed` staying where it is on the screen. */
export function zoomed({ x, y, zoom }: View, factor: number, fixed: Point): View {
  const next = Math.min(ZOOM_MAX, Math.max(1, zoom * factor));
  const share = 1 - zoom / next;
  return kept({ x: x + (fixed.x - x) * share, y: y + (fixed.y - y) * share, zoom: next });
}

export const moved = (view: View, dx: number, dy: number): View => kept({ ...view, x: view.x + dx, y: view.y + dy });

/** Not so far away that nothing is seen; the whole is looked at from its middle. */
function kept({ x, y, zoom }: View): View {
  const far = 1.2 * (1 - 1 / zoom);
  const within = (value: number): number => Math.min(far, Math.max(-far, value));
  return { x: within(x), y: within(y), zoom };
}
