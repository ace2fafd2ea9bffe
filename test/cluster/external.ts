/** An XMPP server that is there already: ejabberd and coturn as `evio server` runs them, on the control plane's machine beside the cluster. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Report } from '../demo/report.ts';
import { NETWORK } from './install.ts';
import { apply, get, inNode, isTrue, kubectl, list, NAMESPACE, NODES, seconds, secret, wait } from './kube.ts';
import { SHOWS_SECONDS, untilCondition } from './mistakes.ts';
import { networkReady, replaceNetwork, restartDns } from './modes.ts';
import { pairsOfPods, startProbes, stopProbes } from './traffic.ts';

const HOST = 'cp';
const DIR = '/var/lib/evio-external';
/** Not those of the embedded server. */
const PLACE = [
  ...['--domain', 'evio.test', '--address', '203.0.113.6', '--dir', DIR],
  ...['--tls-port', '5333', '--starttls-port', '5332', '--turn-port', '3578', '--relay-ports', '50000-50999'],
];
const SECRETS = { admin: 'xmpp-admin', ca: 'xmpp-ca' };

interface AdminFile {
  readonly service: string;
  readonly domain: string;
  readonly conference: string;
  readonly username: string;
  readonly password: string;
  readonly ca: string;
}

export async function external(report: Report): Promise<void> {
  const evio = resolve('dist/evio');
  await inNode(HOST, evio, 'server', 'init', '--xmpp', 'ejabberd', '--foreground', ...PLACE);
  const admin = JSON.parse(await inNode(HOST, 'cat', `${DIR}/admin.json`)) as AdminFile;
  const server = spawn(resolve('hack/cluster/nx'), [HOST, evio, 'server', 'run', '--dir', DIR], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  try {
    await carriedBy(report, admin);
  } finally {
    await stopProbes();
    await kubectl('delete', 'evionetwork', 'default', '--ignore-not-found', '--timeout=150s');
    await kubectl('-n', NAMESPACE, 'delete', 'secret', ...Object.values(SECRETS), '--ignore-not-found');
    server.kill('SIGTERM');
    await ended;
    await inNode(HOST, 'rm', '-rf', DIR);
  }
}

async function carriedBy(report: Report, { service, domain, conference, username, password, ca }: AdminFile) {
  const references = { adminSecretRef: { name: SECRETS.admin }, caSecretRef: { name: SECRETS.ca } };
  await replaceNetwork({
    ...NETWORK.spec,
    signalling: { external: { service, domain, conference, ...references } },
  });
  const missing = await untilCondition('SignallingReady', 'False', 'SecretMissing');
  report.atMost('Secret missing: seconds until the EvioNetwork says so', missing.after, SHOWS_SECONDS, 's');
  report.holds(
    'Secret missing: the message names it',
    missing.message.includes(`${NAMESPACE}/${SECRETS.admin} does not exist`),
    missing.message,
  );
  await apply([secret(SECRETS.admin, { username, password }), secret(SECRETS.ca, { 'ca.crt': ca })]);
  const there = await untilCondition('SignallingReady', 'True', undefined);
  report.atMost('Secret there: seconds until the EvioNetwork says so', there.after, SHOWS_SECONDS, 's');
  const took = await seconds(() => wait('all nodes Ready with an external server', 180_000, networkReady));
  report.atMost('external ejabberd: seconds from the Secrets to all nodes Ready', there.after + took, 90, 's');
  const members = await list('evionodes');
  report.holds(
    'external ejabberd: every node is in the room, with an account that the operator made (XEP-0133)',
    members.length === NODES.length && members.every((one) => isTrue(one, 'SignallingConnected')),
    members.map((one) => one.metadata.name).join(', '),
  );
  report.holds(
    'external ejabberd: no server of ours runs in the cluster',
    (await get('deployment', 'evio-server', '-n', NAMESPACE)) === undefined,
  );
  await restartDns();
  await pairsOfPods(report, await startProbes(), 'external ejabberd: ');
}
