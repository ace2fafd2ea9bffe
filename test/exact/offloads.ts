/** Checksum and segmentation offloads off, at either end, above tincan and below it; and both switches. */
import { OFFLOADS } from '../bench/tcp.ts';
import { run } from '../demo/shell.ts';
import { both } from './direct.ts';
import type { PairPart } from './part.ts';
import { offloads, type Pair } from './sites.ts';
import { families, type Host, type Stage } from './stage.ts';

/** Above: without them no super-frame and no unfinished checksum enters tincan. */
const ABOVE = ['tx', 'sg', 'tso', 'gso', 'gro'];
/** Below: what the kernel cannot leave to the device it does itself. */
const BELOW = ['tx', ...OFFLOADS];

type Off = 'above' | 'below' | 'both' | 'none';
/** At a, and at b. */
const COMBINATIONS: readonly { readonly a: Off; readonly b: Off; readonly short?: boolean }[] = [
  { a: 'above', b: 'none', short: true },
  { a: 'none', b: 'above', short: true },
  { a: 'above', b: 'above' },
  { a: 'below', b: 'none', short: true },
  { a: 'none', b: 'below' },
  { a: 'below', b: 'below' },
  { a: 'both', b: 'none' },
  { a: 'none', b: 'both' },
  { a: 'both', b: 'both', short: true },
];

/** The links that a frame passes above tincan: the bridge and tincan's ports on it. */
async function above({ ns }: Host): Promise<readonly string[]> {
  const links = (await run(ns, 'ls', '/sys/class/net')).split('\n');
  return links.filter((name) => name.startsWith('evio0'));
}

async function set(host: Host, off: Off, state: 'on' | 'off'): Promise<void> {
  if (off === 'above' || off === 'both')
    for (const link of await above(host)) await offloads(host.ns, link, ABOVE, state);
  if (off === 'below' || off === 'both') await offloads(host.ns, 'eth0', BELOW, state);
}

async function combinations(stage: Stage, pair: Pair, share: number): Promise<void> {
  for (const off of COMBINATIONS.filter(({ short }) => !stage.short || short === true)) {
    const name = `offloads off at a: ${off.a}, at b: ${off.b}`;
    try {
      for (const side of ['a', 'b'] as const) await set(pair[side], off[side], 'off');
      for (const [family, address] of families(pair.b)) {
        await stage.stream(`${name}, ${family}, TCP`, pair.a, address, { bytes: stage.bytes(share) });
        await stage.datagrams(`${name}, ${family}, UDP`, pair.a, address, { count: stage.count(100) });
      }
    } finally {
      for (const side of ['a', 'b'] as const) await set(pair[side], off[side], 'on');
    }
  }
}

/**
 * Open vSwitch's netdev datapath switches in user space, in batches by flow, and to it fragments are another flow than whole packets,
 * and all but the first of a datagram another one than the first: a datagram that is cut may come after the next one. It has short queues
 * of its own, which it does not count.
 */
const OVS_MBPS = 10;

async function openVSwitch(stage: Stage, { a, b }: Pair): Promise<void> {
  for (const [from, to, way] of [
    [a, b, 'a to b'],
    [b, a, 'b to a'],
  ] as const)
    for (const [family, address] of families(to)) {
      const name = `Open vSwitch: ${family}, ${way}`;
      const [mbps, count] = [OVS_MBPS, stage.count(200)];
      await stage.stream(`${name}, TCP`, from, address, { bytes: stage.bytes(0.02) });
      await stage.datagrams(`${name}, UDP of one packet`, from, address, { count, most: 1_300, mbps });
      await stage.datagrams(`${name}, UDP of all sizes`, from, address, { count, mbps, anyOrder: true });
    }
}

export const OFFLOAD_PARTS: readonly PairPart[] = [
  { name: 'offloads', site: 'pair', short: true, run: (stage, pair) => combinations(stage, pair, 0.01) },
  { name: 'ovs', site: 'ovs', short: true, run: openVSwitch },
  { name: 'jumbo', site: 'jumbo', short: true, run: (stage, pair) => both(stage, pair, 0.06, 'jumbo frames: ') },
];
