/** IP packets with more than a plain header: options, extension headers, fragments. */
import type { PairPart } from './part.ts';
import type { Pair } from './sites.ts';
import { families, type Stage } from './stage.ts';
import type { Header } from './transfer.ts';
import { witnessed } from './witness.ts';

const OPTIONS: readonly (readonly [Header, 'IPv4' | 'IPv6', string])[] = [
  ['record-route', 'IPv4', 'iifname "evio0" ip hdrlength > 5 COUNT'],
  ['timestamp', 'IPv4', 'iifname "evio0" ip hdrlength > 5 COUNT'],
  ['destination-options', 'IPv6', 'iifname "evio0" exthdr dst exists COUNT'],
  ['hop-by-hop', 'IPv6', 'iifname "evio0" exthdr hbh exists COUNT'],
];

async function options(stage: Stage, { a, b }: Pair): Promise<void> {
  for (const [header, family, rule] of OPTIONS) {
    const address = family === 'IPv4' ? b.ipv4 : b.ipv6;
    const name = `with ${header}, ${family}`;
    const { seen = 0 } = await witnessed(b.ns, { at: 'in' }, { seen: rule }, async () => {
      await stage.stream(`${name}: TCP`, a, address, { bytes: stage.bytes(0.02), header });
      // Without fragments: which of them have the header is the kernel's to say.
      await stage.datagrams(`${name}: UDP`, a, address, { count: stage.count(500), most: 1_280, header });
    });
    // A super-frame may be one packet here.
    stage.report.holds(`${name}: packets that had it when they arrived`, seen >= 500, seen, 'all');
  }
}

const FRAGMENTS = {
  IPv4: 'iifname "evio0" ip frag-off & 0x3fff != 0 COUNT',
  IPv6: 'iifname "evio0" exthdr frag exists COUNT',
} as const;

async function fragments(stage: Stage, { a, b }: Pair): Promise<void> {
  for (const [family, address] of families(b)) {
    const count = stage.count(300);
    const { seen = 0 } = await witnessed(b.ns, { at: 'in' }, { seen: FRAGMENTS[family] }, () =>
      stage.datagrams(`fragments, ${family}`, a, address, { count, least: 1_401, most: 65_507 }),
    );
    stage.report.holds(`fragments, ${family}: so many of them arrived`, seen >= count * 2, seen, `>= ${count * 2}`);
  }
}

export const HEADER_PARTS: readonly PairPart[] = [
  { name: 'options', site: 'pair', short: true, run: options },
  { name: 'fragments', site: 'pair', short: true, run: fragments },
];
