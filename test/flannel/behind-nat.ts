/**
 * A control plane that nobody reaches but over the overlay: it stands behind a NAT, and what has a public address is an XMPP server alone,
 * as `evio server init` sets it up on a machine of its own. A machine behind another NAT joins by package, token and a kubelet's start.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onCluster } from '../cluster/cluster.ts';
import { Guest } from '../cluster/guest.ts';
import { explain } from '../cluster/install.ts';
import { execs, joinsAsNode, leaves, reboots } from '../cluster/join.ts';
import {
  apply,
  get,
  helm,
  inNode,
  isTrue,
  kubectl,
  list,
  must,
  NAMESPACE,
  seconds,
  secret,
  wait,
} from '../cluster/kube.ts';
import { pairsOfPods, probesRunning, startProbes } from '../cluster/traffic.ts';
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { makePackage } from '../package/packages.ts';
import { IMAGES, MANIFEST } from './flannel.ts';
import { overEvio } from './manifest.ts';
import { moveToOverlay, RELEASE } from './overlay-only.ts';

const CONTROL_PLANE = { name: 'cp', address: '192.168.9.10', outside: '203.0.113.6' };
/** It has two addresses, as a server on the move from one provider to another has for a time. */
const SERVER = {
  ...{ place: 'server1:public:203.0.113.10', domain: 'evio.test' },
  ...{ address: '203.0.113.10', next: '198.51.100.10' },
};
const NODE = 'edge3:punchable:192.168.3.10:203.0.113.22';
const TITLE = 'control plane behind a NAT: ';
const SERVER_DIR = '/etc/evio/server';

interface AdminFile {
  readonly service: string;
  readonly domain: string;
  readonly conference: string;
  readonly username: string;
  readonly password: string;
  readonly ca: string;
  readonly stun: readonly string[];
}

export async function behindNat(report: Report): Promise<void> {
  const { name, address, outside } = CONTROL_PLANE;
  const before = process.env.NODES;
  process.env.NODES = `${name}:punchable:${address}:${outside}`;
  const work = mkdtempSync(join(tmpdir(), 'evio-join-'));
  const guests: Guest[] = [];
  const boot = async (setting: Parameters<typeof Guest.boot>[0]): Promise<Guest> => {
    const guest = await Guest.boot(setting);
    guests.push(guest);
    return guest;
  };
  const run = async (): Promise<void> => {
    const deb = makePackage(work);
    await must('load', IMAGES);
    await bringEvio(await bringServer(await boot({ place: SERVER.place, deb })));
    report.details[`${TITLE}API server`] = await moveToOverlay([name]);
    await apply(overEvio(readFileSync(MANIFEST, 'utf8'), 'host-gw'));
    await wait(`${name} is Ready with Flannel`, 120_000, async () => isTrue(await get('node', name), 'Ready'));
    // Its kubelet takes --node-ip for its addresses; the other one, in join.ts, waits for a cloud controller.
    const node = await boot({ place: NODE, deb, kubernetes: { cloudProvider: 'none', images: IMAGES } });
    const traces = await joinsAsNode(report, node, TITLE, 2);
    await pairsOfPods(report, await startProbes(2), TITLE);
    await execs(report, node.name, TITLE);
    await serverMoves(report, node);
    await reboots(report, node, TITLE);
    await pairsOfPods(report, await probesRunning(), `${TITLE}after that `);
    await leaves(report, node, TITLE, traces);
  };
  try {
    await onCluster(async () => {
      try {
        await run();
      } catch (error) {
        await explain();
        throw error;
      } finally {
        for (const guest of guests) await guest.end();
      }
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
    if (before === undefined) delete process.env.NODES;
    else process.env.NODES = before;
  }
}

/** Who joined by a token has no EvioNode that its agent reads: it is told over the server that it still has. */
async function serverMoves(report: Report, { name, machine }: Guest): Promise<void> {
  const service = `xmpps://${SERVER.next}:5223`;
  const patch = { spec: { signalling: { external: { service } } } };
  await kubectl('patch', 'evionetwork', 'default', '--type=merge', '-p', JSON.stringify(patch));
  const took = await seconds(() =>
    wait(`${name} is connected to ${service}`, 90_000, async () => {
      const said = await machine.run('evio', 'status', '-o', 'json');
      const { signalling } = JSON.parse(said.stdout || '{}') as { signalling?: { state: string; service: string } };
      return signalling?.service === service && signalling.state === 'online';
    }),
  );
  report.atMost(
    `${TITLE}seconds until ${name} uses another address that the EvioNetwork has for the XMPP server`,
    took,
    60,
    's',
  );
  const file = JSON.parse(await machine.ok('cat', '/etc/evio/node.json')) as { signalling: { service: string } };
  report.holds(`${TITLE}its node file has it`, file.signalling.service === service, file.signalling.service, service);
}

/** As docs/operations.md has it, on a machine that does nothing else. */
async function bringServer(guest: Guest): Promise<AdminFile> {
  const { domain, address, next } = SERVER;
  await guest.install();
  await guest.machine.ok('ip', 'address', 'add', `${next}/32`, 'dev', 'lo');
  await inNode('inet', 'ip', 'route', 'add', `${next}/32`, 'via', address);
  await guest.machine.ok('evio', 'server', 'init', '--domain', domain, '--address', address, '--address', next);
  return JSON.parse(await guest.machine.ok('cat', `${SERVER_DIR}/admin.json`)) as AdminFile;
}

/** One node so far, which its DaemonSets run; agents and kubelets begin at the address that the machine itself has. */
async function bringEvio({ service, domain, conference, username, password, ca, stun }: AdminFile): Promise<void> {
  const references = { adminSecretRef: { name: 'xmpp-admin' }, caSecretRef: { name: 'xmpp-ca' } };
  const spec = {
    nodeCIDRs: ['10.45.0.0/16', 'fd45::/64'],
    signalling: { external: { service, domain, conference, ...references } },
    ice: { stun },
  };
  const values = { network: { mode: 'HostNetwork', spec }, apiServers: [`https://${CONTROL_PLANE.address}:6443`] };
  await kubectl('create', 'namespace', NAMESPACE);
  await apply([secret('xmpp-admin', { username, password }), secret('xmpp-ca', { 'ca.crt': ca })]);
  await helm(
    'upgrade',
    '--install',
    ...RELEASE,
    '--set-json',
    `network=${JSON.stringify(values.network)}`,
    '--set-json',
    `apiServers=${JSON.stringify(values.apiServers)}`,
  );
  await wait('the EvioNode of the control plane is Ready', 180_000, async () => {
    const members = await list('evionodes');
    return members.length === 1 && members.every((one) => isTrue(one, 'Ready'));
  });
  say('Evio runs on a control plane behind a NAT');
}
