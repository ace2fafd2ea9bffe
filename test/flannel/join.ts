/** A fifth machine comes to the cluster with Flannel by a token, and goes again; and one that stays outside. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Guest } from '../cluster/guest.ts';
import { execs, joinsAsNode, joinsAsPeer, leaves } from '../cluster/join.ts';
import { inNode, list, NODES, wait } from '../cluster/kube.ts';
import { outsider, servicesOfProbes } from '../cluster/peers.ts';
import { probesRunning, talk } from '../cluster/traffic.ts';
import type { Report } from '../demo/report.ts';
import { makePackage } from '../package/packages.ts';
import { IMAGES } from './flannel.ts';

const NODE = { name: 'edge3', place: `edge3:${process.env.NAT ?? 'punchable'}:192.168.3.10:203.0.113.22` };
const API_PORT = 6443;

/** Kubernetes is on overlay addresses by now: what the machine's kubelet knows of the API server is one of these. */
export async function newcomers(report: Report, title: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'evio-join-'));
  const guests: Guest[] = [];
  try {
    const deb = makePackage(work);
    const node = await Guest.boot({
      place: NODE.place,
      deb,
      kubernetes: { cloudProvider: 'external', images: IMAGES },
    });
    guests.push(node);
    await inNode(NODE.name, 'nft', RULES);
    const before = await joinsAsNode(report, node, title, 2);
    await wait('a probe runs on it', 60_000, async () => (await probesRunning()).length === NODES.length + 1);
    await talk(report, await probesRunning(), `${title}with a machine that joined, `);
    await execs(report, NODE.name, title);
    report.holds(
      `${title}packets of ${NODE.name} to the API server outside the overlay`,
      (await counted(NODE.name)) === 0,
      await counted(NODE.name),
      '0',
    );
    await leaves(report, node, title, before);
    const left = (await list('nodes')).map(({ metadata }) => metadata.name).sort();
    report.holds(
      `${title}after that the cluster has its own nodes`,
      left.join() === [...NODES].sort().join(),
      left.join(' '),
    );
    await node.end();

    const peer = await Guest.boot({ place: outsider(), deb });
    guests.push(peer);
    // Pods are Flannel's: of them a peer reaches what Services lead to.
    await joinsAsPeer(report, peer, title, 'cloud1', async () => ({ pods: [], services: await servicesOfProbes() }));
  } finally {
    for (const guest of guests) await guest.end().catch(() => undefined);
    rmSync(work, { recursive: true, force: true });
  }
}

const TABLE = 'evio_api';
const RULES = `table inet ${TABLE} {
  chain out { type filter hook postrouting priority 300; oifname "eth0" tcp dport ${API_PORT} counter; }
}`;
async function counted(name: string): Promise<number> {
  const text = await inNode(name, 'nft', 'list', 'table', 'inet', TABLE);
  return Number(/packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
}
