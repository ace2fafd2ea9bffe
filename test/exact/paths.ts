/** Ways other than the direct path between two neighbours: coturn, and another node. */
import { untilPath } from '../bench/evio.ts';
import { SIDES } from '../bench/place.ts';
import { run } from '../demo/shell.ts';
import type { PairPart, RingPart } from './part.ts';
import { type Pair, type Row, untilDirect } from './sites.ts';
import { families, type Stage } from './stage.ts';

const PATH_MS = 60_000;
/** coturn's buffers hold so little that a flood of fragments is lost in them, not by us. */
const RELAYED_MBPS = 20;

async function relayed(stage: Stage, pair: Pair): Promise<void> {
  const nodes = Object.values(pair.peer.nodes);
  // Without eth0 each end has its link to the server only, and the server forwards nothing.
  for (const side of SIDES) await run(pair[side].ns, 'ip', 'link', 'set', 'eth0', 'down');
  try {
    await untilPath(nodes, 'webrtc', PATH_MS);
    for (const [family, address] of families(pair.b)) {
      await stage.stream(`relayed by coturn, ${family}: TCP`, pair.a, address, { bytes: stage.bytes(0.02) });
      const line = 'relayed';
      const [count, mbps] = [stage.count(300), RELAYED_MBPS];
      await stage.datagrams(`relayed by coturn, ${family}: UDP`, pair.a, address, { count, most: 9_000, mbps, line });
    }
    await untilPath(nodes, 'webrtc', PATH_MS);
  } finally {
    for (const side of SIDES) await run(pair[side].ns, 'ip', 'link', 'set', 'eth0', 'up');
    await untilDirect(pair);
  }
}

async function transit(stage: Stage, { a, b, ring }: Row): Promise<void> {
  for (const [from, to, way] of [
    [a, b, 'there'],
    [b, a, 'back'],
  ] as const)
    for (const [family, address] of families(to)) {
      const name = `over another node, ${family}, ${way}`;
      await stage.stream(`${name}: TCP`, from, address, { bytes: stage.bytes(0.03) });
      await stage.datagrams(`${name}: UDP of all sizes`, from, address, { count: stage.count(200), mbps: 100 });
    }
  await ring.check();
}

export const RELAYED_PARTS: readonly PairPart[] = [{ name: 'relayed', site: 'pair', short: true, run: relayed }];
export const TRANSIT_PARTS: readonly RingPart[] = [{ name: 'transit', site: 'ring', short: true, run: transit }];
