/**
 * Paths that carry less than the interfaces at their ends say, where nobody is told: the router's "fragmentation needed" is dropped,
 * and a switch says nothing at all. The size is found by probing, and no transfer stalls.
 */
import { join } from 'node:path';
import { Control } from '../../agent/src/io/control.ts';
import { lanNode, routerOf, SIDES, TO_B } from '../bench/place.ts';
import { OFFLOADS } from '../bench/tcp.ts';
import { RING_NODES } from '../bench/transit.ts';
import type { Joined } from '../demo/overlay.ts';
import { feed, run, sleep, until } from '../demo/shell.ts';
import { sizeFits } from './judge.ts';
import type { PairPart, RingPart } from './part.ts';
import { FIRST_MTU, offloads, type Pair, type Row, setMtu, untilDirect } from './sites.ts';
import { families, type Host, type Stage } from './stage.ts';

const MTUS = [1_280, 1_400, 1_500, 9_000] as const;
/** From one that is found to the next smaller one, while a transfer runs. */
const FALLS = [1_500, 1_400, 1_280] as const;

/** The first sizes are asked for at once, each twice, 400 ms for an answer. */
const FOUND_S = 10;
/**
 * Two seconds until the smaller size is known, on a second leg to the source as well; TCP, which doubles its patience meanwhile, sends
 * again after three, or after six.
 */
const STALL_MS = 8_000;

/** Messages of ICMP and ICMPv6 that would tell an end. */
const SILENT = `table inet evio_silent {
  counter kept { }
  chain out {
    type filter hook output priority 0; policy accept;
    icmp type { destination-unreachable, time-exceeded } counter name kept drop
    icmpv6 type { destination-unreachable, packet-too-big } counter name kept drop
  }
}
`;

interface Tunnel {
  readonly peer: string;
  readonly recordSize: number;
}

/** The record size that a node uses to a neighbour now. */
async function recordSize(node: Joined, neighbour: Joined): Promise<number> {
  const control = await Control.open(join(node.runDir, 'control.sock'), {
    event: () => undefined,
    closed: () => undefined,
  });
  try {
    const { tunnels } = (await control.request('tunnels', {})) as { tunnels: readonly Tunnel[] };
    return tunnels.find(({ peer }) => peer === neighbour.id)?.recordSize ?? 0;
  } finally {
    control.close();
  }
}

/** A check: the size to the neighbour is what such a path carries, within the limit. */
async function found(
  stage: Stage,
  name: string,
  [node, neighbour]: readonly [Joined, Joined],
  mtu: number,
): Promise<void> {
  const began = performance.now();
  let size = 0;
  await until(name, FOUND_S * 3_000, async () => {
    size = await recordSize(node, neighbour);
    return sizeFits(size, mtu);
  }).catch(() => undefined);
  const took = sizeFits(size, mtu) ? (performance.now() - began) / 1000 : Number.POSITIVE_INFINITY;
  stage.report.atMost(`${name}: a record size that fits is found (${size} bytes)`, took, FOUND_S, 's');
}

/** Large and small packets both ways, once the size is known. */
async function pass(stage: Stage, name: string, { a, b }: { readonly a: Host; readonly b: Host }): Promise<void> {
  for (const [from, to, way] of [
    [a, b, 'there'],
    [b, a, 'back'],
  ] as const)
    for (const [family, address] of families(to)) {
      await stage.stream(`${name}, ${family}, ${way}: TCP`, from, address, { bytes: stage.bytes(0.002) });
      await stage.datagrams(`${name}, ${family}, ${way}: UDP of all sizes`, from, address, {
        count: stage.count(60),
        mbps: 50,
      });
    }
}

/** A transfer of some eight seconds during which `change` is made. */
async function during(
  stage: Stage,
  name: string,
  { a, b }: { readonly a: Host; readonly b: Host },
  pauseMs: number,
  change: () => Promise<unknown>,
): Promise<void> {
  const transfer = stage.stream(name, a, b.ipv4, { bytes: 20e6, mbps: 20, pauseMs, patience: 60 });
  await sleep(2_000);
  await change();
  await transfer;
}

async function onThePath(stage: Stage, pair: Pair): Promise<void> {
  const { peer } = pair;
  const router = routerOf(peer.fact.name);
  const { a, b } = peer.nodes;
  const ways = [
    [a, b],
    [b, a],
  ] as const;
  await feed(router, SILENT, 'nft', '-f', '-');
  const narrow = (mtu: number): Promise<string> => setMtu(router, TO_B.link, String(mtu));
  for (const mtu of stage.short ? [FIRST_MTU] : MTUS) {
    // In the short form the pair was opened so.
    if (!stage.short) {
      for (const side of SIDES) await peer.stop(side);
      await narrow(mtu);
      for (const side of SIDES) await peer.start(side);
      await untilDirect(pair);
    }
    const name = `path MTU ${mtu}`;
    for (const way of ways) await found(stage, `${name}, ${way[0].name}`, way, mtu);
    await pass(stage, name, pair);
  }
  for (const mtu of stage.short ? [1_280] : FALLS) {
    const name = `path MTU falls to ${mtu} under a transfer`;
    await during(stage, name, pair, STALL_MS, () => narrow(mtu));
    for (const way of ways) await found(stage, `${name}, ${way[0].name}`, way, mtu);
    await pass(stage, `path MTU fell to ${mtu}`, pair);
  }
  const { nftables } = JSON.parse(await run(router, 'nft', '-j', 'list', 'counters')) as {
    readonly nftables: readonly { readonly counter?: { readonly packets: number } }[];
  };
  const kept = nftables.reduce((sum, { counter }) => sum + (counter?.packets ?? 0), 0);
  stage.report.holds('"fragmentation needed" that the router said and nobody heard', kept > 0, kept, 'some');
}

/** The far end's port of the switch takes less: the second leg of a way over another node. */
async function onTheSecondLeg(stage: Stage, row: Row): Promise<void> {
  const { ring } = row;
  const port = `to-${ring.c.name}`;
  // The switch's own MTU would follow that of its smallest port.
  await setMtu('lan', 'switch', '1500');
  // A switch lets a batch that is not cut yet pass, however small its port.
  for (let number = 1; number <= RING_NODES; number++) await offloads(lanNode(number), 'eth0', OFFLOADS, 'off');
  try {
    for (const mtu of stage.short ? [1_280] : [1_400, 1_280]) {
      const name = `path MTU of the second leg falls to ${mtu} under a transfer`;
      await during(stage, name, row, STALL_MS, () => setMtu('lan', port, String(mtu)));
      await found(stage, name, [ring.via, ring.c], mtu);
      await pass(stage, `second leg of MTU ${mtu}`, row);
    }
    await ring.check();
  } finally {
    await setMtu('lan', port, '1500');
  }
}

export const PATH_MTU_PARTS: readonly PairPart[] = [{ name: 'path-mtu', site: 'line', short: true, run: onThePath }];
export const LEG_PARTS: readonly RingPart[] = [{ name: 'transit-mtu', site: 'ring', run: onTheSecondLeg }];
