/** What a node of a cluster lacks: its API server, its prefix, its CNI plugin, addresses for pods. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterNode } from '../cluster-node.ts';
import type { Fault, Named, Variant } from '../faults.ts';
import type { Lab } from '../lab.ts';

type Code = Variant['codes'][number];

/** A node of a cluster, and its status once it names one of these. */
async function named(
  lab: Lab,
  codes: readonly Code[],
  spoil: (node: ClusterNode) => Promise<void> | void,
  enrol: Parameters<ClusterNode['enrol']>[0] = {},
): Promise<Named> {
  const node = await ClusterNode.make(lab);
  try {
    await node.enrol(enrol);
    await node.start();
    await node.ready();
    await spoil(node);
    return await node.named(codes);
  } finally {
    await node.stop();
  }
}

/** The same for one that is never started. */
async function waiting(lab: Lab, codes: readonly Code[], enrol: Parameters<ClusterNode['enrol']>[0] | undefined) {
  const node = await ClusterNode.make(lab);
  try {
    if (enrol !== undefined) await node.enrol(enrol);
    await node.start();
    return await node.named(codes);
  } finally {
    await node.stop();
  }
}

/** A file for each address, as evio-cni keeps them. */
function take(node: ClusterNode, piece: number, hosts: readonly number[]): void {
  const network = node.pieces[piece]?.replace(/0?\/\d+$/, '') ?? '';
  mkdirSync(node.store, { recursive: true });
  for (const host of hosts) writeFileSync(join(node.store, `${network}${host}`), '{}');
}

export const CLUSTER_FAULTS: readonly Fault[] = [
  {
    name: 'missing CNI binary',
    words: /cni\/bin/,
    variants: [
      {
        what: 'evio-cni was removed, from a read-only disk',
        by: 'status',
        codes: ['cni-plugin'],
        run: (lab) =>
          named(lab, ['cni-plugin'], (node) => node.frozen(node.binDir, () => rmSync(join(node.binDir, 'evio-cni')))),
      },
      {
        what: 'portmap, which is chained',
        by: 'status',
        codes: ['cni-chained'],
        run: (lab) => named(lab, ['cni-chained'], (node) => rmSync(join(node.binDir, 'portmap'))),
      },
    ],
  },
  {
    name: 'full pool',
    words: /(10\.244\.\d+\.0\/29|fd00:244:\d+::\/125): .*cni\/data/,
    variants: [
      {
        what: 'of IPv4 addresses',
        by: 'status',
        codes: ['pool-full'],
        run: (lab) => named(lab, ['pool-full'], (node) => take(node, 0, [2, 3, 4, 5, 6])),
      },
      {
        what: 'of IPv6 addresses',
        by: 'status',
        codes: ['pool-full'],
        run: (lab) => named(lab, ['pool-full'], (node) => take(node, 1, [2, 3, 4, 5, 6, 7])),
      },
    ],
  },
  {
    name: 'stale conflist',
    words: /cni\/net\.d/,
    variants: [
      {
        what: 'of another network, which comes first',
        by: 'status',
        codes: ['conflist-other'],
        run: (lab) =>
          named(lab, ['conflist-other'], (node) =>
            writeFileSync(
              join(node.confDir, '05-flannel.conflist'),
              '{"cniVersion":"1.0.0","name":"cbr0","plugins":[]}',
            ),
          ),
      },
      {
        what: 'our own of former times, on a read-only disk',
        by: 'status',
        codes: ['conflist-stale'],
        run: (lab) =>
          named(lab, ['conflist-stale'], (node) =>
            node.frozen(node.confDir, () =>
              writeFileSync(
                join(node.confDir, '10-evio.conflist'),
                '{"cniVersion":"0.3.1","name":"evio","plugins":[]}',
              ),
            ),
          ),
      },
    ],
  },
  {
    name: 'API server away',
    words: /https:\/\/127\.0\.0\.1:\d+/,
    variants: [
      {
        what: 'nothing listens',
        by: 'status',
        codes: ['api-server-away'],
        run: (lab) => named(lab, ['api-server-away'], (node) => node.closeDoor()),
      },
      {
        what: 'it is silent',
        by: 'status',
        codes: ['api-server-away'],
        run: async (lab) => {
          let api: ClusterNode['api'] | undefined;
          try {
            return await named(lab, ['api-server-away'], async (node) => {
              api = node.api;
              await api.kill('SIGSTOP');
            });
          } finally {
            await api?.kill('SIGCONT');
          }
        },
      },
    ],
  },
  {
    name: 'prefix missing',
    words: /cloud1-\d+/,
    variants: [
      {
        what: 'the operator had no piece left, and made no EvioNode',
        by: 'status',
        codes: ['prefix-missing'],
        run: (lab) => waiting(lab, ['prefix-missing'], undefined),
      },
      {
        what: 'the certificate does not carry what the EvioNode has',
        by: 'status',
        codes: ['prefix-missing'],
        run: (lab) => waiting(lab, ['prefix-missing'], { podCIDRs: ['10.245.0.0/29'] }),
      },
    ],
  },
];
