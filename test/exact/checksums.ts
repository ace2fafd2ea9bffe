/**
 * Frames that leave a node by a device without offloads: a host plugged into b's bridge by a veth whose checksum and segmentation
 * offloads are off. What the kernel puts on it is captured at the other end and every checksum computed again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plugPod } from '../demo/floods.ts';
import { POD, removeNamespaces } from '../demo/internet.ts';
import { collect, run, sleep } from '../demo/shell.ts';
import { checkCapture, type Kind } from './capture.ts';
import type { PairPart } from './part.ts';
import { answers, offloads, type Pair } from './sites.ts';
import type { Host, Stage } from './stage.ts';
import { takeTransfers } from './transfer.ts';

const WANTED: readonly Kind[] = ['IPv4 header', 'IPv4 TCP', 'IPv4 UDP', 'IPv6 TCP', 'IPv6 UDP'];
/** Of each kind there have to be so many. */
const ENOUGH = 100;
/** Both ends' beside the overlay's: the host behind the bridge is no member. */
const ADDRESSES = { a: 'fd77:5::1', pod: 'fd77:5::2' } as const;

async function checksums(stage: Stage, { a, b, peer }: Pair): Promise<void> {
  const pod = await plugPod(peer.nodes.b);
  try {
    await offloads(b.ns, 'evio-pod0', ['tx', 'sg', 'tso', 'gso'], 'off');
    await run(POD, 'ip', 'address', 'add', `${ADDRESSES.pod}/64`, 'dev', 'eth0', 'nodad');
    await run(a.ns, 'ip', 'address', 'add', `${ADDRESSES.a}/64`, 'dev', 'evio0', 'nodad');
    await takeTransfers(POD, join(stage.place.dir, 'pod-transfers.log'));
    const host: Host = { ns: POD, ipv4: pod.ipv4, ipv6: ADDRESSES.pod };
    for (const address of [host.ipv4, host.ipv6]) await answers(a.ns, address);

    const file = stage.file('pod.pcap');
    // Of what comes from the overlay, all of it.
    const options = [
      '--immediate-mode',
      '-U',
      '-i',
      'eth0',
      '-Q',
      'in',
      '-s',
      '0',
      '-B',
      '65536',
      '-Z',
      'root',
      '-w',
      file,
    ];
    const capture = collect(POD, 'tcpdump', ...options, 'ip or ip6');
    await sleep(700);
    for (const [family, address] of [
      ['IPv4', host.ipv4],
      ['IPv6', host.ipv6],
    ] as const) {
      const name = `to a host behind a device without offloads, ${family}`;
      await stage.stream(`${name}: TCP`, a, address, { bytes: stage.bytes(0.01) });
      await stage.datagrams(`${name}: UDP`, a, address, { count: stage.count(300), most: 1_300 });
    }
    await sleep(300);
    capture.child.kill('SIGINT');
    await capture.output;
    const found = checkCapture(readFileSync(file));
    stage.report.details.checksums = Object.fromEntries(found);
    for (const kind of WANTED) {
      const { good, bad } = found.get(kind) ?? { good: 0, bad: 0 };
      const value = `${good} right, ${bad} wrong`;
      stage.report.holds(
        `on a device without offloads: checksums, ${kind}`,
        bad === 0 && good >= ENOUGH,
        value,
        'all right',
      );
    }
  } finally {
    await run(a.ns, 'ip', 'address', 'del', `${ADDRESSES.a}/64`, 'dev', 'evio0').catch(() => undefined);
    // And what runs in it.
    await removeNamespaces([POD]);
  }
}

export const CHECKSUM_PARTS: readonly PairPart[] = [{ name: 'checksums', site: 'pair', short: true, run: checksums }];
