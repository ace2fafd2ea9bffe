/**
 * A node of a cluster, from its first start to its removal: the real agent, tincan, Prosody and API server in a network namespace of
 * their own; this script is the operator, and another node of the overlay. Prints what happened as one JSON object.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findTincan } from '../../../agent/src/io/tincan-process.ts';
import { type OwnKeys, type PublicKeys, publicKeys } from '../../../agent/src/kube/enrolment.ts';
import { type Membership, TestOperator } from '../../../agent/src/kube/operator.testing.ts';
import type { Credentials } from '../../../agent/src/wire/sealed-credentials.ts';
import { adminOf } from '../../contract/room.ts';
import { addPolicies, startEvioApi } from '../../servers/evio-api.ts';
import { startProsody } from '../../servers/prosody.ts';
import { CONFERENCE } from '../../servers/xmpp-server.ts';
import { condition, enrolInCluster, evioNode, leaseRenewed, NODE, prepareCluster, taints, until } from './cluster.ts';

const EVIO = fileURLToPath(new URL('../../../cli/src/evio.ts', import.meta.url));
const PLAIN = fileURLToPath(new URL('../../contract/agents/agent-child.ts', import.meta.url));
const ROOM = `default@${CONFERENCE}`;
const HEALTH = 10_456;
const [ADDRESSES, PODS] = [['10.45.0.3/16'], ['10.244.3.0/24']];

const at = (...parts: readonly string[]): string => join(dir, ...parts);
const children: ChildProcess[] = [];
const result: Record<string, unknown> = {};
const operator = new TestOperator();
const prosody = await startProsody();
const api = await startEvioApi();
const dir = mkdtempSync(join(tmpdir(), 'evio-kubernetes-'));

function start(name: string, program: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const log = openSync(at(`${name}.log`), 'a');
  const child = spawn(program, words, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  children.push(child);
  return child;
}

const ended = (child: ChildProcess): Promise<number | string | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.signalCode ?? child.exitCode)
    : new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)));
const over = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const OPTIONS = [
  ...[
    'agent',
    'run',
    '--kubernetes',
    '--node-name',
    NODE,
    '--api-server',
    'https://127.0.0.1:1',
    '--api-server',
    api.url,
  ],
  ...['--service-account-dir', at('account'), '--state-root', at('state'), '--run-root', at('run')],
  ...['--cni-conf-dir', at('net.d'), '--cni-bin-dir', at('bin'), '--cni-data-dir', at('store')],
  ...['--cni-plugin', at('plugin'), '--health-port', String(HEALTH)],
];
const agent = (...more: readonly string[]): ChildProcess =>
  start('agent', process.execPath, [EVIO, ...OPTIONS, ...more]);
const agentLog = (): string => readFileSync(at('agent.log'), 'utf8');
const conflistFile = at('net.d', '10-evio.conflist');
const pluginFile = at('bin', 'evio-cni');

async function probe(path: string): Promise<number | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${HEALTH}${path}`);
    await response.text();
    return response.status;
  } catch {
    return undefined;
  }
}

const credentials = (username: string): Credentials => ({
  service: prosody.service,
  domain: prosody.domain,
  username,
  password: `password of ${username}`,
  ca: prosody.ca,
  room: ROOM,
  stun: [],
  turn: 'none',
  cni: { attachment: 'Routed', podCIDRs: ['10.244.0.0/16'] },
});

/** Another node of the overlay, without a cluster. */
function startOther(): ChildProcess {
  const own: OwnKeys = { identity: Buffer.alloc(32, 21), session: Buffer.alloc(32, 22) };
  const member: Membership = {
    name: 'other',
    serial: 1,
    keys: publicKeys(own),
    credentials: credentials('other'),
    addresses: ['10.45.0.9/16'],
    podCIDRs: [],
  };
  const { stun, turn, cni: _, ...signalling } = credentials('other');
  mkdirSync(at('other'), { mode: 0o700 });
  const file = {
    apiVersion: 'evio/1',
    name: 'other',
    overlay: { parameters: operator.parameters.bytes.toString('base64') },
    identity: {
      key: Buffer.from(own.identity).toString('base64'),
      sessionKey: Buffer.from(own.session).toString('base64'),
      certificate: operator.certificate(member).toString('base64'),
    },
    signalling,
    ice: { stun, turn },
    network: { bridge: 'evio9', tap: 'evio9-tap', lan: false },
    runDir: at('other', 'run'),
    stateDir: at('other', 'state'),
  };
  writeFileSync(at('other', 'node.json'), JSON.stringify(file), { mode: 0o600 });
  return start('other', process.execPath, [PLAIN, at('other', 'node.json')], { EVIO_TINCAN: findTincan() });
}

const enrolment = (keys: PublicKeys, serial: number) =>
  operator.spec({ name: NODE, serial, keys, credentials: credentials(NODE), addresses: ADDRESSES, podCIDRs: PODS })
    .enrolment;

try {
  const admin = await adminOf(prosody);
  await admin.createRoom(ROOM);
  for (const name of [NODE, 'other']) {
    await admin.addUser(name, `password of ${name}`);
    await admin.addMember(ROOM, name);
  }
  admin.close();
  const token = await prepareCluster(api, ADDRESSES, PODS);
  // What the agent writes has to be what the policies let it write.
  await addPolicies(api);
  mkdirSync(at('account'));
  writeFileSync(at('account', 'token'), token);
  writeFileSync(at('account', 'ca.crt'), api.ca);
  // The plugin itself is tested elsewhere: here it has to be a program that answers VERSION.
  writeFileSync(at('plugin'), '#!/bin/sh\necho \'{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}\'\n');
  chmodSync(at('plugin'), 0o755);
  mkdirSync(at('bin'));
  writeFileSync(at('bin', 'portmap'), '', { mode: 0o755 });

  // 1. First start: keys are told, and nothing runs before the operator answers.
  const other = startOther();
  let first = agent();
  const keys = await until('the keys are told', async () => (await evioNode(api)).status?.keys);
  result.awaiting = condition(await evioNode(api), 'Ready');
  result.modes = ['keys.json'].map((name) => (statSync(at('state', 'kubernetes', name)).mode & 0o777).toString(8));
  result.readyBefore = await until('probes are answered', () => probe('/readyz'));
  result.conflistBefore = existsSync(conflistFile);

  // 2. Enrolled, but without a tincan.
  await enrolInCluster(api, enrolment(keys, 7));
  result.withoutTincan = await until('the missing tincan is told', async () => {
    const state = condition(await evioNode(api), 'Ready');
    return state === 'False DataPlaneAbsent' && state;
  });
  result.taintsBefore = await taints(api);
  const tincan = start('tincan', findTincan(), ['--run-dir', at('run', 'default'), '--keep-bridge']);
  const tincanPid = tincan.pid ?? 0;
  const begun = performance.now();
  await until('the node is ready', async () => condition(await evioNode(api), 'Ready') === 'True Ready');
  result.readyMs = Math.round(performance.now() - begun);
  result.taints = await until('the taint is off', async () => {
    const keys = await taints(api);
    return !keys.includes('node.evio.io/agent-not-ready') && keys;
  });
  result.ready = await until('it is ready', async () => (await probe('/readyz')) === 200);
  result.live = await probe('/livez');
  result.conflist = JSON.parse(readFileSync(conflistFile, 'utf8'));
  result.plugin = (statSync(pluginFile).mode & 0o777).toString(8);
  result.lease = (await until('the lease is there', () => leaseRenewed(api))) > Date.now() - 60_000;
  const status = await until(
    'the tunnel is told',
    async () => {
      const { status } = await evioNode(api);
      return status?.summary?.tunnels === 1 && status;
    },
    60_000,
  );
  result.tunnels = status.tunnels?.map(({ peer, state, path }) => `${peer} ${state} ${path}`);
  result.serial = status.observedSerial;
  result.versions = status.versions;
  result.ipam = status.ipam;

  // 3. A renewed certificate is taken without a new process, and tincan goes on.
  const { pid } = first;
  for (const type of ['SignallingConnected', 'RingJoined'])
    await until(`${type} holds`, async () => condition(await evioNode(api), type)?.startsWith('True'));
  // Both nodes of this machine have the overlay's subnet on a bridge of theirs.
  result.conflict = condition(await evioNode(api), 'AddressConflict');
  const transition = async () =>
    (await evioNode(api)).status?.conditions
      ?.map(({ type, lastTransitionTime }) => `${type} ${lastTransitionTime}`)
      .sort();
  const transitions = await transition();
  // Times have whole seconds.
  await sleep(1_000);
  await enrolInCluster(api, enrolment(keys, 8));
  await until('the new serial is told', async () => (await evioNode(api)).status?.observedSerial === '8');
  await until(
    'it is in the room again',
    async () => condition(await evioNode(api), 'SignallingConnected') === 'True Connected',
  );
  result.steady = JSON.stringify(await transition()) === JSON.stringify(transitions);
  result.renewed = { samePid: first.pid === pid && !over(first), sameTincan: pidOfTincan() === tincanPid };

  // 4. What others take away comes back.
  rmSync(conflistFile);
  rmSync(pluginFile);
  await until('both are back', async () => existsSync(conflistFile) && existsSync(pluginFile));
  writeFileSync(conflistFile, '{}');
  await until('it is as it should be', async () => readFileSync(conflistFile, 'utf8').includes('evio-cni'));
  result.mended = true;

  // 5. The API server is away, and the agent is exchanged meanwhile.
  await api.kill();
  await sleep(2_000);
  result.readyWithoutApi = await probe('/readyz');
  first.kill('SIGTERM');
  result.termCode = await ended(first);
  result.tincanStays = pidOfTincan() === tincanPid;
  result.bridgeStays = links().includes('evio0');
  // Nobody is left who could answer.
  other.kill('SIGINT');
  await ended(other);
  const before = agentLog().length;
  const again = performance.now();
  first = agent();
  result.readyAgainWithoutApi = await until(
    'it is ready from what it knows',
    async () => (await probe('/readyz')) === 200,
  );
  result.readyAloneMs = Math.round(performance.now() - again);
  await sleep(12_000);
  const said = agentLog().slice(before).split('\n');
  result.linesAboutApi = said.filter((line) => line.includes('API server')).length;
  result.secretsInLog = /password of|Bearer/.test(agentLog()) || agentLog().includes(token);
  const back = Date.now();
  await api.start();
  result.leaseAgain = await until('the lease is renewed again', async () => ((await leaseRenewed(api)) ?? 0) > back);
  result.stillReady = await until(
    'it is told again',
    async () => condition(await evioNode(api), 'Ready') === 'True Ready',
  );

  // The other node has gone, and its bridge: by that the new agent's first word is known.
  await until(
    'the new agent has written',
    async () => condition(await evioNode(api), 'AddressConflict') === 'False NoConflict',
  );
  const lasting = (list: readonly string[] = []) =>
    list.filter((one) => !/^(AddressConflict|RingJoined) /.test(one)).join();
  result.steadyOverRestart = lasting(await transition()) === lasting(transitions);

  // 6. Everything of Evio goes, twice; also what a tincan that was killed has left.
  first.kill('SIGTERM');
  await ended(first);
  tincan.kill('SIGKILL');
  await ended(tincan);
  result.leftByTincan = links().includes('evio0');
  result.cleanup = [await ended(agent('--cleanup')), await ended(agent('--cleanup'))];
  result.left = [
    ...readdirSync(at('net.d')),
    ...readdirSync(at('bin')),
    ...['state', 'run', 'store'].filter((name) => existsSync(at(name))),
    ...links().filter((name) => name.startsWith('evio')),
  ];
} catch (error) {
  result.error = `${error instanceof Error ? error.stack : String(error)}\n${existsSync(at('agent.log')) ? agentLog().slice(-4_000) : ''}`;
}
// The other node takes its own tincan along.
for (const child of children) if (!over(child)) child.kill('SIGINT');
await Promise.race([Promise.all(children.map(ended)), sleep(8_000)]);
for (const child of children) if (!over(child)) child.kill('SIGKILL');
await api.stop();
await prosody.stop();
rmSync(dir, { recursive: true, force: true });
process.stdout.write(JSON.stringify(result));
process.exit(0);

/** Of this network namespace, which /sys does not show. */
function links(): readonly string[] {
  return [...readFileSync('/proc/self/net/dev', 'utf8').matchAll(/^\s*([^\s:|]+):/gm)].flatMap(
    ([, name]) => name ?? [],
  );
}

function pidOfTincan(): number {
  return Number(readFileSync(at('run', 'default', 'tincan.lock'), 'utf8'));
}
