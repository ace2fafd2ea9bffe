/** What everything else is beside: plain transfers over the direct path, and that nothing overtakes anything there. */
import type { PairPart } from './part.ts';
import type { Pair } from './sites.ts';
import { families, type Stage } from './stage.ts';
import type { DatagramOptions } from './transfer.ts';
import { witnessed } from './witness.ts';

/** Larger than any packet of the underlay: it is a batch that the kernel, or the card, cuts. */
const BATCHES = { batches: 'oifname "eth0" meta l4proto udp meta length > 1600 COUNT' };

/** Streams and datagrams of both families, there and back; `share` of all is what each stream has. */
export async function both(stage: Stage, pair: Pair, share: number, what = '', count = 500): Promise<void> {
  for (const [from, to, way] of [
    [pair.a, pair.b, 'a to b'],
    [pair.b, pair.a, 'b to a'],
  ] as const)
    for (const [family, address] of families(to)) {
      const name = `${what}${family}, ${way}`;
      // Most of it one way: the other one has the same code.
      await stage.stream(`${name}, TCP`, from, address, { bytes: stage.bytes(way === 'a to b' ? share : share / 5) });
      await stage.datagrams(`${name}, UDP of all sizes`, from, address, { count: stage.count(count) });
    }
}

async function direct(stage: Stage, pair: Pair): Promise<void> {
  const { batches = 0 } = await witnessed(pair.a.ns, { at: 'out' }, BATCHES, () => both(stage, pair, 0.27));
  stage.report.holds('a sends batches of datagrams', batches > 0, batches, 'some');
}

/** The kernel cuts and joins nothing: as where it cannot. */
async function withoutBatches(stage: Stage, pair: Pair): Promise<void> {
  const { batches } = await witnessed(pair.a.ns, { at: 'out' }, BATCHES, () =>
    both(stage, pair, 0.02, 'without batches: '),
  );
  stage.report.holds('a without batches sends none', batches === 0, batches ?? 'unknown', '0');
}

/** Rows of small, medium and large datagrams, and of all of them, beside a bulk stream. */
async function order(stage: Stage, { a, b }: Pair): Promise<void> {
  for (const [family, address] of families(b)) {
    const row = (what: string, mbps: number, options: DatagramOptions) =>
      stage.datagrams(`beside a bulk stream, ${family}: ${what} datagrams`, a, address, { mbps, ...options });
    // At these paces all of them take about as long as the stream.
    await Promise.all([
      stage.stream(`beside datagrams, ${family}: a bulk stream`, a, address, { bytes: stage.bytes(0.1) }),
      row('small', 5, { most: 100, count: stage.count(3_000) }),
      row('medium', 20, { least: 100, most: 1_300, count: stage.count(2_000) }),
      row('large', 20, { least: 1_300, count: stage.count(80) }),
      row('small, medium and large', 20, { count: stage.count(200) }),
    ]);
  }
}

export const DIRECT_PARTS: readonly PairPart[] = [
  { name: 'direct', site: 'pair', short: true, run: direct },
  { name: 'order', site: 'pair', short: true, run: order },
  { name: 'without-batches', site: 'plain', short: true, run: withoutBatches },
];
