/** A picture of the ring: each node where its label stands, each tunnel a chord. */

import { RING_SIZE } from '../../../agent/src/overlay/label.ts';
import type { Graph } from './measure.ts';

const SIZE = 900;
const RADIUS = 400;
/** More chords than these would be one grey disc: then only those of some nodes are drawn. */
const CHORDS_MAX = 3_000;

/** @param dead indices of tunnels that are drawn as dead */
export function ringSvg({ labels, tunnels }: Graph, title: string, dead: readonly number[] = []): string {
  const angles = labels.map((label) => (Number((label * 1_000_000n) / RING_SIZE) / 1_000_000) * 2 * Math.PI);
  const at = (place: number) => {
    const angle = angles[place] ?? 0;
    return `${(SIZE / 2 + RADIUS * Math.sin(angle)).toFixed(1)} ${(SIZE / 2 - RADIUS * Math.cos(angle)).toFixed(1)}`;
  };
  const gone = new Set(dead);
  const step = Math.ceil(tunnels.length / CHORDS_MAX);
  const shown = tunnels.map((pair, i) => ({ pair, i })).filter(({ pair }) => step === 1 || pair[0] % (2 * step) === 0);
  const path = (wanted: boolean) =>
    shown
      .filter(({ i }) => gone.has(i) === wanted)
      .map(({ pair: [a, b] }) => `M${at(a)}L${at(b)}`)
      .join('');
  const dots = labels.map((_, place) => `M${at(place)}h0`).join('');
  const part = step === 1 ? '' : `; tunnels of every ${2 * step}th node drawn`;
  const text = `${title}: ${labels.length} nodes, ${tunnels.length} tunnels${part}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}" viewBox="0 0 ${SIZE} ${SIZE}" font-family="sans-serif" font-size="15" role="img">
<title>${text}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="12" y="24">${text}</text>
<g fill="none"><path d="${path(false)}" stroke="#2f6fdb" stroke-opacity="0.35" stroke-width="0.7"/>
<path d="${path(true)}" stroke="#d03b2f" stroke-opacity="0.8" stroke-width="0.7"/>
<path d="${dots}" stroke="#1b2430" stroke-width="${labels.length > 300 ? 3 : 7}" stroke-linecap="round"/></g>
</svg>
`;
}
