/** Who the node is: revoked, displaced, near its end. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVIO, enrolNode, type Joined } from '../../demo/overlay.ts';
import { run, sleep } from '../../demo/shell.ts';
import type { Fault, Named } from '../faults.ts';
import { codesOf, type Lab } from '../lab.ts';
import { fromNetcheck, fromStatus } from './words.ts';

/** The name that a node was enrolled by; `Joined.name` is its machine's here. */
const enrolled = (node: Joined): string => (JSON.parse(readFileSync(node.config, 'utf8')) as { name: string }).name;

const revoke = (lab: Lab, node: Joined): Promise<string> =>
  lab.alone(() => run('server', EVIO, 'overlay', 'revoke', enrolled(node), '--overlay', lab.home));

/** A second node with the address of the first, by a newer certificate: as after a restored backup of the address book. */
async function twinOf(lab: Lab, first: Joined): Promise<Joined> {
  const path = join(lab.home, 'overlay.json');
  const before = readFileSync(path, 'utf8');
  const book = JSON.parse(before) as { nodes: Record<string, { addresses: string[] }> };
  const entry = book.nodes[enrolled(first)];
  if (entry === undefined) throw new Error(`the address book has no ${enrolled(first)}`);
  const { addresses } = entry;
  entry.addresses = [];
  writeFileSync(path, JSON.stringify(book, null, 2));
  const name = `twin-of-${enrolled(first)}`;
  const twin = await enrolNode(lab.home, name, join(lab.dir, 'nodes', name), { options: ['--address4', first.ipv4] });
  const after = JSON.parse(readFileSync(path, 'utf8')) as typeof book;
  (after.nodes[enrolled(first)] as { addresses: string[] }).addresses = addresses;
  writeFileSync(path, JSON.stringify(after, null, 2));
  return { ...twin, name: 'cloud2' };
}

async function displaced(lab: Lab, later: 'newer' | 'older'): Promise<Named> {
  const first = await lab.node('cloud1');
  const twin = await lab.alone(() => twinOf(lab, first));
  try {
    for (const one of later === 'newer' ? [first, twin] : [twin, first]) await lab.start(one);
    return fromStatus(await lab.statusWhen(first, (report) => codesOf(report).includes('address-duplicate')));
  } finally {
    await Promise.all([lab.stop(first), lab.stop(twin)]);
  }
}

const LIFE_S = 90;
/** A twentieth of it is left. */
const late = (since: number): Promise<void> => sleep(since + LIFE_S * 950 - performance.now());

export const MEMBER_FAULTS: readonly Fault[] = [
  {
    name: 'revoked node',
    words: /\.json/,
    variants: [
      {
        what: 'while it runs',
        by: 'status',
        codes: ['revoked'],
        run: async (lab) => {
          const node = await lab.node('cloud1');
          try {
            await lab.start(node);
            await revoke(lab, node);
            await run(node.name, EVIO, 'agent', 'revocations', join(lab.home, 'revocations'), '--run-dir', node.runDir);
            return fromStatus(await lab.statusWhen(node, (report) => codesOf(report).includes('revoked')));
          } finally {
            await lab.stop(node);
          }
        },
      },
      {
        what: 'by the list in its node file, without an agent',
        by: 'netcheck',
        codes: ['revoked'],
        said: /\.json: identity\.certificate: it is revoked/,
        run: async (lab) => {
          const node = await lab.node('cloud1');
          await revoke(lab, node);
          lab.edit(node, (file) => {
            file.overlay.revocations = readFileSync(join(lab.home, 'revocations'), 'utf8').trim();
          });
          return fromNetcheck(await lab.netcheck(node));
        },
      },
    ],
  },
  {
    name: 'duplicate address',
    words: /twin-of-.* has 10\.\d+\.\d+\.\d+ as well/,
    variants: [
      {
        what: 'the newer one comes',
        by: 'status',
        codes: ['address-duplicate'],
        run: (lab) => displaced(lab, 'newer'),
      },
      {
        what: 'the older one comes later',
        by: 'status',
        codes: ['address-duplicate'],
        run: (lab) => displaced(lab, 'older'),
      },
    ],
  },
  {
    name: 'member without certificate renewal',
    words: /evio authority serve/,
    variants: [
      {
        what: 'without an agent',
        by: 'netcheck',
        codes: ['certificate-soon'],
        early: true,
        run: async (lab) => {
          const since = performance.now();
          const node = await lab.node('lte1', ['--valid', `${LIFE_S}s`]);
          await late(since);
          return fromNetcheck(await lab.netcheck(node));
        },
      },
      {
        what: 'while it runs, and no authority does',
        by: 'status',
        codes: ['certificate-soon'],
        early: true,
        run: async (lab) => {
          const since = performance.now();
          const node = await lab.node('lte1', ['--valid', `${LIFE_S}s`]);
          try {
            await lab.start(node);
            await late(since);
            return fromStatus(
              await lab.statusWhen(node, (report) => codesOf(report).includes('certificate-soon'), 500),
            );
          } finally {
            await lab.stop(node);
          }
        },
      },
    ],
  },
];
