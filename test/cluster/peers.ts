/** A machine outside the cluster, by the token of an EvioPeer: it reaches pods by their own addresses, and Services by kube-proxy of a gateway. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '../demo/report.ts';
import { makePackage } from '../package/packages.ts';
import { Guest } from './guest.ts';
import { joinsAsPeer } from './join.ts';
import { list } from './kube.ts';
import { bracketed, type Probe } from './traffic.ts';

/** Behind a NAT of the cluster's kind, on no network of its nodes. */
export const outsider = (): string => `outside1:${process.env.NAT ?? 'punchable'}:192.168.4.10:203.0.113.26`;

/** Services of the probes, by their own addresses. */
export async function servicesOfProbes() {
  const found = (await list('services', '-n', 'default')).filter(({ metadata }) => /^probes6?$/.test(metadata.name));
  return found.map(({ spec }) => ({ url: `http://${bracketed(String(spec?.clusterIP))}/`, answers: /"node":"/ }));
}

export async function peers(report: Report, probes: readonly Probe[]): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'evio-join-'));
  let guest: Guest | undefined;
  try {
    guest = await Guest.boot({ place: outsider(), deb: makePackage(work) });
    await joinsAsPeer(report, guest, '', 'cloud1', async () => ({
      pods: probes.flatMap(({ node, v4, v6 }) => [v4, v6].map((address) => ({ node, address }))),
      services: await servicesOfProbes(),
    }));
  } finally {
    await guest?.end();
    rmSync(work, { recursive: true, force: true });
  }
}
