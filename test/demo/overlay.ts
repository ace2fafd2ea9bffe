/** Evio as a person would run it: `evio server init`, `overlay create`, `node enroll`, `agent run`, each in its namespace. */
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Peer, Status } from '../../agent/src/api.ts';
import { XMPP_NAMES, XMPP_TITLES } from '../../cli/src/server/settings.ts';
import { NODES, SERVER } from './internet.ts';
import { ovsOf, SWITCH, switchKeys } from './open-vswitch.ts';
import { attempt, pidsIn, run, sleep, start, until } from './shell.ts';

/** The shipped command. */
export const EVIO = resolve('dist/evio');

/** Which XMPP server: XMPP=ejabberd in the environment, else Prosody. */
export const XMPP = XMPP_NAMES.find((name) => name === (process.env.XMPP ?? 'prosody')) ?? unknownXmpp();
export const XMPP_TITLE = XMPP_TITLES[XMPP];

/** A report's name says what the nodes stood on, unless it is the usual: demo, demo-ovs, demo-ovs-ejabberd. */
export const reportName = (verb: string): string =>
  [verb, ...(SWITCH === 'tincan' ? [] : [SWITCH]), ...(XMPP === 'prosody' ? [] : [XMPP])].join('-');

function unknownXmpp(): never {
  process.stderr.write(`evio: XMPP=${process.env.XMPP} is not allowed; allowed: ${XMPP_NAMES.join(', ')}\n`);
  process.exit(2);
}

export interface Joined {
  readonly name: string;
  /** Another one after it was enrolled anew with other keys. */
  id: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly config: string;
  readonly runDir: string;
}

export interface Server {
  readonly dir: string;
  /** The whole log of both servers. */
  readonly log: string;
  readonly process: ChildProcess;
}

/** Sets the XMPP server and coturn up on the server host and waits until both answer. */
export async function startServer(dir: string): Promise<Server> {
  await initServer(dir);
  return runServer(dir);
}

/** `evio server init`; again: the same secrets and authority, another certificate. */
export async function initServer(dir: string): Promise<void> {
  const addresses = SERVER.addresses.flatMap((address) => ['--address', address]);
  const options = ['--xmpp', XMPP, '--domain', 'evio.example', ...addresses, '--dir', dir, '--foreground'];
  await run('server', EVIO, 'server', 'init', ...options);
  // coturn says what each allocation carried only when it is verbose; nothing else about it changes.
  appendFileSync(join(dir, 'coturn', 'turnserver.conf'), 'verbose\n');
}

export async function runServer(dir: string): Promise<Server> {
  const log = join(dir, '..', 'server.log');
  const child = start('server', log, EVIO, 'server', 'run', '--verbose', '--dir', dir);
  await until(`${XMPP_TITLE} and coturn answer`, 15_000, async () => {
    if (child.exitCode !== null) throw new Error(`evio server run ended: ${readFileSync(log, 'utf8').slice(-500)}`);
    const listening = (await attempt('server', ['ss', '-Hltun'])).stdout;
    return SERVER.addresses.every((address) => listening.includes(`${address}:3478`)) && /:522[23]\b/.test(listening);
  });
  return { dir, log, process: child };
}

/** The program that each kind of server is, by the end of its path. */
const PROGRAMS = { xmpp: { prosody: 'prosody', ejabberd: 'beam.smp' }[XMPP], turn: 'turnserver' } as const;

export async function serverPid(kind: keyof typeof PROGRAMS): Promise<number> {
  for (const pid of await pidsIn('server')) {
    const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const words = [program, ...args.slice(0, 2)].map((word) => basename(word));
    if (words.includes(PROGRAMS[kind]) && !words.includes('setpriv')) return pid;
  }
  throw new Error(`no ${PROGRAMS[kind]} runs on the server`);
}

/** Creates an overlay and enrols all seven nodes; each gets one complete node file. */
export async function enrol(
  server: Server,
  name: string,
  dir: string,
  topology: readonly string[],
): Promise<readonly Joined[]> {
  const home = await createOverlay(server, name, dir, topology);
  const joined: Joined[] = [];
  for (const node of NODES)
    joined.push(await enrolNode(home, node.name, join(dir, 'nodes', node.name), { keys: switchKeys(node.name) }));
  return joined;
}

/** `evio overlay create`; gives the overlay's directory. */
export async function createOverlay(
  server: Server,
  name: string,
  dir: string,
  options: readonly string[],
): Promise<string> {
  const home = join(dir, name);
  const admin = join(server.dir, 'admin.json');
  await run('server', EVIO, 'overlay', 'create', name, '--server', admin, '--dir', home, ...options);
  return home;
}

/** `evio node enroll` of a node whose files are in `place`; `keys` are added to its file. */
export async function enrolNode(
  home: string,
  name: string,
  place: string,
  { options = [], keys = {} }: { readonly options?: readonly string[]; readonly keys?: object } = {},
): Promise<Joined> {
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const overlay = basename(home);
  const config = join(place, `${overlay}.json`);
  const printed = await run(
    'server',
    ...[EVIO, 'node', 'enroll', name, '--overlay', home, '--out', config, '-o', 'json', ...options],
  );
  const enrolled = JSON.parse(printed) as { id: string; addresses: string[] };
  const runDir = join(place, 'run');
  const file = JSON.parse(readFileSync(config, 'utf8')) as Record<string, unknown>;
  const kept = { runDir, stateDir: join(place, `state-${overlay}`) };
  writeFileSync(config, JSON.stringify({ ...file, ...kept, ...keys }, null, 2), { mode: 0o600 });
  const bare = enrolled.addresses.map((address) => address.split('/')[0] ?? '');
  return {
    name,
    id: enrolled.id,
    ipv4: bare.find((address) => !address.includes(':')) ?? '',
    ipv6: bare.find((address) => address.includes(':')) ?? '',
    config,
    runDir,
  };
}

/** Starts a node's agent, which starts its tincan. */
export function startAgent(node: Joined): ChildProcess {
  return start(node.name, join(node.runDir, '..', 'agent.log'), EVIO, 'agent', 'run', '--config', node.config);
}

export async function status(node: Joined): Promise<Status | undefined> {
  const done = await attempt(node.name, [EVIO, 'status', '--run-dir', node.runDir, '-o', 'json'], 10_000);
  // A fault that is being injected makes it end with 1, and its answer counts all the same.
  if (done.stdout === '') return undefined;
  const report = JSON.parse(done.stdout) as Status & { readonly running: boolean };
  return report.running ? report : undefined;
}

export async function peers(node: Joined): Promise<readonly Peer[]> {
  const printed = await run(node.name, EVIO, 'peers', '--run-dir', node.runDir, '-o', 'json');
  const body = JSON.parse(printed) as { peers: Peer[] } | Peer[];
  return Array.isArray(body) ? body : body.peers;
}

/** The process of a kind on a node: `agent` is the Node.js one, `tincan` the datapath. */
export async function pidOf(node: Joined, kind: 'agent' | 'tincan'): Promise<number> {
  return until(`${kind} runs on ${node.name}`, 5_000, () => runs(node, kind));
}

/** Its pid, or undefined when none runs. */
export async function runs(node: Joined, kind: 'agent' | 'tincan'): Promise<number | undefined> {
  for (const pid of await pidsIn(node.name)) {
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      const isTincan = /\/tincan$/.test(program ?? '');
      const isAgent = /node$|evio$/.test(program ?? '') && args.includes('agent') && args.includes('run');
      if ((kind === 'tincan' && isTincan) || (kind === 'agent' && isAgent)) return pid;
    } catch {
      // It ended between the listing and the look.
    }
  }
  return undefined;
}

export async function residentMb(pid: number): Promise<number> {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}

/** Stops agents and their tincans the orderly way, and checks that nothing is left. */
export async function stopAll(nodes: readonly Joined[]): Promise<readonly string[]> {
  await Promise.all(nodes.map((node) => attempt(node.name, [EVIO, 'agent', 'stop', '--run-dir', node.runDir], 15_000)));
  await sleep(300);
  const left: string[] = [];
  for (const node of nodes) {
    const links = (await attempt(node.name, ['ip', '-o', 'link', 'show'])).stdout;
    if (/evio0/.test(links)) left.push(`evio0 on ${node.name}`);
    // Open vSwitch is the machine's, and stays.
    const staying = ovsOf(node.name)?.pids ?? [];
    for (const pid of await pidsIn(node.name)) if (!staying.includes(pid)) left.push(`process ${pid} on ${node.name}`);
  }
  return left;
}
