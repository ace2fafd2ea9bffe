/** Machines that come to a cluster by a token, with nothing but the Debian package: one that becomes a node, and one that stays outside. */
import type { Report } from '../demo/report.ts';
import { say } from '../demo/report.ts';
import { sleep } from '../demo/shell.ts';
import { type Guest, tokenFor } from './guest.ts';
import { attempt, conditionOf, get, inNode, isTrue, kubectl, list, NAMESPACE, seconds, wait } from './kube.ts';
import { PROBES } from './manifests.ts';
import { probesRunning } from './traffic.ts';

/** By issue: from `evio join` to Ready. */
const READY_SECONDS = 30;
/** The account ends a minute after its node (agent/src/join/tokens.ts). */
const ACCOUNT_MS = 90_000;
const NODE_FILE = '/etc/evio/node.json';

const addressesOf = (object: { readonly status?: Record<string, unknown> } | undefined): readonly string[] =>
  ((object?.status?.addresses ?? []) as { type: string; address: string }[])
    .filter(({ type }) => type === 'InternalIP')
    .map(({ address }) => address);

/** Package, one line, one start. `families`: 2 where the cluster has both. Gives the traces of Evio from before the line. */
export async function joinsAsNode(
  report: Report,
  guest: Guest,
  title: string,
  families: 1 | 2,
): Promise<readonly string[]> {
  const { name, machine } = guest;
  await guest.install();
  const before = guest.traces();
  const token = await tokenFor();
  const milestones: Record<string, number> = {};
  const began = performance.now();
  const reached = (what: string): void => {
    milestones[what] ??= Number(((performance.now() - began) / 1_000).toFixed(1));
  };
  const said = await machine.run('evio', 'join', token, '--node-ip', ...(families === 2 ? ['--dual-stack'] : []));
  reached('joined');
  if (said.code !== 0) throw new Error(`evio join: ${said.stderr}${said.stdout}`);
  await machine.ok('systemctl', 'enable', '--now', 'kubelet');
  await wait(`${name} is Ready`, 120_000, async () => {
    const node = await get('node', name);
    if (node === undefined) return false;
    reached('registered');
    if (addressesOf(node).length > 0) reached('has its address');
    return isTrue(node, 'Ready');
  }).catch(async (error: unknown) => {
    say(await guest.words());
    throw error;
  });
  const took = (performance.now() - began) / 1_000;
  report.details[`${title}milestones of ${name}, seconds`] = milestones;
  report.atMost(
    `${title}seconds from evio join to Ready, with a kubelet's start between and no other step`,
    took,
    READY_SECONDS,
    's',
  );
  const member = await get('evionode', name);
  const wanted = ((member?.spec?.addresses ?? []) as readonly string[]).map((one) => one.split('/')[0]);
  const node = await get('node', name);
  const got = addressesOf(node);
  report.holds(
    `${title}InternalIP of ${name} is its overlay address`,
    wanted.length > 0 && got.join() === wanted.slice(0, families).join(),
    got.join(' '),
    wanted.join(' '),
  );
  const owner = (member?.metadata as { ownerReferences?: { kind: string }[] } | undefined)?.ownerReferences?.[0]?.kind;
  const machineOf = (member?.spec?.machine as { identityKey?: string } | undefined)?.identityKey;
  report.holds(
    `${title}the EvioNode is the Node's, with the keys that the machine has made`,
    owner === 'Node' && machineOf !== undefined,
    `${owner}, ${machineOf === undefined ? 'no keys' : 'keys'}`,
  );
  // What `leaves` looks for again.
  const made = guest.traces().filter((line) => !before.includes(line));
  const files = [NODE_FILE, '/etc/default/kubelet', '/evio.service'];
  report.holds(
    `${title}evio join made a node file, one for the kubelet, and a link by which the unit starts at boot`,
    files.every((file) => made.some((line) => line.includes(file))),
    made.join('; '),
    files.join(' '),
  );
  const pods = (await list('pods', '-n', NAMESPACE, '--field-selector', `spec.nodeName=${name}`)).map(
    ({ metadata }) => metadata.name,
  );
  report.holds(`${title}no pod of Evio's runs on ${name}`, pods.length === 0, pods.join(' ') || 'none', 'none');
  return before;
}

/** The API server reaches the kubelet at the overlay address. */
export async function execs(report: Report, name: string, title: string): Promise<void> {
  const pod = (await probesRunning()).find(({ node }) => node === name)?.pod ?? '';
  const program = ['/usr/local/bin/node', '-p', 'require("os").hostname()'];
  const said = (await kubectl('exec', pod, '--', ...program).catch(String)).trim();
  report.holds(`${title}kubectl exec into a pod of ${name}`, said === pod, said, pod);
}

/** Its kubelet knows the API server by its overlay address alone, and starts with the rest of the machine. */
export async function reboots(report: Report, guest: Guest, title: string): Promise<void> {
  const { name } = guest;
  const restarts = async (): Promise<number> => {
    const pods = await list('pods', '--field-selector', `spec.nodeName=${name}`, '-l', `app=${PROBES}`);
    const [pod] = pods.map(({ status }) => status?.containerStatuses as { restartCount: number }[] | undefined);
    return (pod ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0);
  };
  const before = await restarts();
  const took = await seconds(async () => {
    await guest.cycle();
    await wait(`${name} is Ready again, and its pod`, 120_000, async () => {
      const ready = (await probesRunning()).some(({ node }) => node === name);
      return ready && (await restarts()) > before && isTrue(await get('node', name), 'Ready');
    });
  }).catch(async (error: unknown) => {
    say(await guest.words());
    throw error;
  });
  report.atMost(`${title}seconds from a loss of power of ${name} until its pod is ready again`, took, 60, 's');
}

const NO_ACCOUNT = /does not know its account any more/;
const whyOf = (said: string): string | null => (JSON.parse(said || '{}') as { why?: string | null }).why ?? null;

/** The node goes as its administrator would have it go; what it was is to be nowhere. `before`: traces with the package installed. */
export async function leaves(report: Report, guest: Guest, title: string, before: readonly string[]): Promise<void> {
  const { name, machine } = guest;
  const node = (await get('node', name)) !== undefined;
  if (node) {
    await kubectl('drain', name, '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=60s');
    await machine.ok('systemctl', 'disable', '--now', 'kubelet', 'kube-proxy');
  }
  const file = await machine.ok('cat', NODE_FILE);
  const said = await machine.run('evio', 'leave', '-o', 'json');
  if (said.code !== 0) throw new Error(`evio leave: ${said.stderr}${said.stdout}`);
  const { revoked, why } = JSON.parse(said.stdout) as { revoked: number | null; why: string | null };
  report.holds(
    `${title}evio leave: the authority has revoked ${name}`,
    revoked !== null && why === null,
    `${revoked} ${why ?? ''}`,
  );
  if (node) await kubectl('delete', 'node', name, '--wait', '--timeout=60s');
  const left = guest.traces().filter((line) => !before.includes(line));
  report.holds(
    `${title}after evio leave: files that ${name} did not have before`,
    left.length === 0,
    left.join('; ') || 'none',
    'none',
  );
  const links = (await machine.ok('ip', '-br', 'link')).split('\n').filter((line) => /^(evio|tincan)/.test(line));
  const running = (await machine.run('pgrep', '-l', 'tincan')).stdout.trim();
  report.holds(
    `${title}after evio leave: interfaces and processes`,
    links.length === 0 && running === '',
    [...links, running].filter(Boolean).join('; ') || 'none',
    'none',
  );
  // Whoever has kept its node file has nothing: its account is gone too.
  let words: string | null = null;
  await wait('its account is gone', ACCOUNT_MS, async () => {
    await machine.ok('sh', '-c', 'umask 077; cat >"$0" <<"END"\n'.concat(file, '\nEND'), NODE_FILE);
    words = whyOf((await machine.run('evio', 'leave', '-o', 'json')).stdout);
    if (NO_ACCOUNT.test(words ?? '')) return true;
    await sleep(5_000);
    return false;
  }).catch(() => undefined);
  report.holds(
    `${title}after evio leave: the XMPP server does not know the account of ${name} any more`,
    NO_ACCOUNT.test(words ?? ''),
    words ?? 'it did',
  );
  // An EvioPeer keeps its EvioNode, for the next machine.
  const member = await get('evionode', name);
  report.holds(
    `${title}after evio leave: the EvioNode of ${name}`,
    member === undefined,
    member === undefined ? 'none' : 'there',
    'none',
  );
}

export interface Reached {
  /** Addresses of pods, by the node they are on. */
  readonly pods: readonly { readonly node: string; readonly address: string }[];
  /** URLs of Services by their cluster addresses, and what is in the answer. */
  readonly services: readonly { readonly url: string; readonly answers: RegExp }[];
}

const PEER = 'camera1';
export const SERVICE_CIDRS = ['10.96.0.0/16', 'fd00:10:96::/112'];

/** An EvioPeer: outside the cluster, by the token of its own, with Services by kube-proxy of the node that carries them. */
export async function joinsAsPeer(
  report: Report,
  guest: Guest,
  title: string,
  gateway: string,
  reached: () => Promise<Reached>,
): Promise<void> {
  const { machine } = guest;
  await kubectl('label', 'node', gateway, 'evio.io/gateway=true', '--overwrite');
  const gateways = { serviceCIDRs: SERVICE_CIDRS, nodeSelector: { 'evio.io/gateway': 'true' } };
  await kubectl('patch', 'evionetwork', 'default', '--type=merge', '-p', JSON.stringify({ spec: { gateways } }));
  await wait(
    `${gateway} carries Services`,
    60_000,
    async () => (await get('evionetwork', 'default'))?.status?.gateway === gateway,
  );
  await guest.install();
  const before = guest.traces();
  const token = await tokenFor('--peer', PEER);
  const began = performance.now();
  const said = await machine.run('evio', 'join', token);
  if (said.code !== 0) throw new Error(`evio join: ${said.stderr}${said.stdout}`);
  const peer = async () => get('eviopeer', PEER);
  await wait(`EvioPeer ${PEER} has joined`, 60_000, async () => isTrue(await peer(), 'Joined'));
  report.holds(
    `${title}the machine ${guest.name} is the EvioPeer ${PEER}, as its token says`,
    said.stdout.includes(PEER),
    said.stdout.trim().slice(0, 200),
  );
  const { pods, services } = await reached();
  for (const { node, address } of pods) {
    const ping = ['ping', '-n', '-c', '1', '-W', '2', address];
    const { code, stdout } = await within10(
      () => machine.run(...ping),
      (got) => got.code === 0,
    );
    report.holds(`${title}${PEER} pings the pod ${address} on ${node}`, code === 0, stdout.trim().split('\n').at(-1));
  }
  for (const { url, answers } of services) {
    const { stdout, stderr } = await within10(
      () => machine.run('curl', '-gsS', '--max-time', '3', url),
      (got) => answers.test(got.stdout),
    );
    const got = (stdout || stderr).trim().slice(0, 200);
    report.holds(`${title}${PEER} is answered by the Service ${url}`, answers.test(stdout), got);
  }
  report.details[`${title}seconds from evio join to the last answer`] = Number(
    ((performance.now() - began) / 1_000).toFixed(1),
  );
  const routes = await inNode(gateway, 'ip', 'route', 'show', SERVICE_CIDRS[0] as string);
  report.holds(
    `${title}the gateway itself has no route for Services`,
    routes.trim() === '',
    routes.trim() || 'none',
    'none',
  );
  await peerLeaves(report, guest, title, before);
}

async function peerLeaves(report: Report, guest: Guest, title: string, before: readonly string[]): Promise<void> {
  const said = await guest.machine.run('evio', 'leave', '-o', 'json');
  const { revoked, why } = JSON.parse(said.stdout || '{}') as { revoked?: number; why?: string | null };
  report.holds(
    `${title}evio leave: the authority has revoked ${PEER}`,
    (revoked ?? 0) > 0,
    `${revoked} ${why ?? ''}${said.stderr}`,
  );
  await wait(
    `EvioPeer ${PEER} has no machine`,
    30_000,
    async () => !isTrue(await get('eviopeer', PEER), 'Joined'),
  ).catch(() => undefined);
  const joined = conditionOf(await get('eviopeer', PEER), 'Joined');
  report.holds(
    `${title}after evio leave: the EvioPeer waits for another machine`,
    joined?.status === 'False',
    `${joined?.status} ${joined?.reason}`,
  );
  const left = guest.traces().filter((line) => !before.includes(line));
  report.holds(
    `${title}after evio leave: files that the machine did not have before`,
    left.length === 0,
    left.join('; ') || 'none',
    'none',
  );
  await kubectl('delete', 'eviopeer', PEER, '--wait', '--timeout=60s');
  await attempt('k', [
    'patch',
    'evionetwork',
    'default',
    '--type=json',
    '-p',
    '[{"op":"remove","path":"/spec/gateways"}]',
  ]);
}

/** The first answer that is right, within ten seconds; else the last one. */
async function within10<T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T> {
  const end = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (right(answer) || performance.now() > end) return answer;
    await sleep(250);
  }
}
