/** README.md from `helm install` to a green connectivity test, by its own code block, as a shell runs it where kubectl is at home. */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { onlyBlock } from '../readme/blocks.ts';
import { attempt, helm, kubectl, NAMESPACE, STATE, seconds } from './kube.ts';
import { stopProbes } from './traffic.ts';

const BLOCK_MS = 480_000;

/** Evio must not be in the cluster; it is not, afterwards. */
export async function readme(report: Report): Promise<void> {
  await stopProbes();
  // In a cluster without a network it waits for one; here it has an address of the one before.
  await kubectl('delete', 'pods', '--namespace', 'kube-system', '--selector', 'k8s-app=kube-dns', '--wait=false');
  const code = onlyBlock(readFileSync('README.md', 'utf8'), 'cluster');
  const path = ['.cache/cluster/bin', 'dist'].map((folder) => resolve(folder)).join(':');
  for (const program of ['.cache/cluster/bin/kubectl', '.cache/cluster/bin/helm', 'dist/evio'])
    if (!existsSync(program)) throw new Error(`${program} is missing`);
  const environment = [
    `PATH=${path}:${process.env.PATH ?? ''}`,
    `KUBECONFIG=${STATE}/pki/admin.conf`,
    ...['CACHE', 'CONFIG', 'DATA'].map((kind) => `HELM_${kind}_HOME=${STATE}/helm/${kind.toLowerCase()}`),
  ];
  let said = { code: 1, out: '', err: '' };
  const took = await seconds(async () => {
    said = await attempt('nx', ['cp', 'env', ...environment, 'sh', '-euc', code], '', BLOCK_MS);
  });
  say(`README.md, the block of a cluster\n${said.out}${said.err}`);
  report.holds(
    'README.md: its block for a cluster runs to its end, from helm install to a green connectivity test',
    said.code === 0 && / passed, 0 failed, /.test(said.out),
    said.out.trim().split('\n').at(-1) || said.err.trim().slice(0, 300),
  );
  report.atMost('README.md: seconds from helm install to a green connectivity test', took, 300, 's');
  await kubectl('delete', 'evionetwork', 'default', '--ignore-not-found', '--timeout=150s');
  await helm('uninstall', 'evio', '--namespace', NAMESPACE, '--wait');
}
