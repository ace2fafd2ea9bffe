/** What `evio preflight` sees of this machine. Reads, and changes nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isObject } from '../../../agent/src/io/json-lines.ts';
import { surroundings } from '../../../agent/src/io/surroundings.ts';
import { CHAINED } from '../../../agent/src/kube/conflist.ts';
import { type Finished, installed, run } from '../process.ts';
import { holderOf } from '../udp-port.ts';
import { type CniFact, type MachineFacts, type NftFact, type PortFact, SYSCTLS, type Sysctl } from './machine.ts';
import { routes4, routes6 } from './routes.ts';

export interface MachineOptions {
  readonly cidrs: readonly string[];
  readonly udpPort: { readonly port: number; readonly use: string } | undefined;
  /** Whether the XMPP and TURN servers would be here. */
  readonly server: boolean;
  readonly confDir: string;
  readonly binDir: string;
}

const WAIT_MS = 5_000;
/** Defaults of `evio server init`, and of an agent's probes in a cluster. */
const SERVER_PORTS = [
  ['TCP', 5222, 'XMPP with STARTTLS'],
  ['TCP', 5223, 'XMPP over TLS'],
  ['UDP', 3478, 'STUN and TURN'],
  ['UDP', 3479, 'STUN and TURN'],
] as const;
const PROBES = [['TCP', 10_456, "an agent's probes in a cluster"]] as const;

export async function machineFacts(options: MachineOptions): Promise<MachineFacts> {
  const cni = cniFact(options.confDir, options.binDir);
  const wanted = [
    ...(options.udpPort === undefined ? [] : [['UDP', options.udpPort.port, options.udpPort.use] as const]),
    ...(options.server ? SERVER_PORTS : []),
    ...(cni === null ? [] : PROBES),
  ];
  return {
    surroundings: surroundings(),
    architecture: process.arch,
    wallMs: Date.now(),
    synchronized: await synchronized(),
    routes: [...routes4(textOf('/proc/net/route')), ...routes6(textOf('/proc/net/ipv6_route'))],
    cidrs: options.cidrs,
    ports: await Promise.all(
      wanted.map(async ([protocol, port, use]): Promise<PortFact> => {
        const holder = protocol === 'UDP' ? holderOf(port) : (await tcpTaken(port)) ? {} : undefined;
        return { protocol, port, use, holder };
      }),
    ),
    sysctls: Object.fromEntries(SYSCTLS.map((name) => [name, sysctl(name)])) as Record<Sysctl, string | undefined>,
    nft: await nftFact(),
    cni,
  };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function sysctl(name: string): string | undefined {
  const text = textOf(join('/proc/sys', name.replaceAll('.', '/'))).trim();
  return text === '' ? undefined : text;
}

/** Whether nobody can listen there; of all addresses, as whoever listens at one of them is in the way as well. */
function tcpTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE'));
    server.listen(port, () => server.close(() => resolve(false)));
  });
}

/** systemd's word; else the file that its time service leaves. */
async function synchronized(): Promise<boolean | undefined> {
  if (existsSync('/run/systemd/timesync/synchronized')) return true;
  const said = await attempt('timedatectl', 'show', '-p', 'NTPSynchronized', '--value');
  const word = said?.code === 0 ? said.stdout.trim() : '';
  return word === 'yes' ? true : word === 'no' ? false : undefined;
}

/** Undefined: it is not installed, or cannot be started. */
async function attempt(program: string, ...args: readonly string[]): Promise<Finished | undefined> {
  if (!installed(program)) return undefined;
  try {
    const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`;
    return await run(program, args, { timeoutMs: WAIT_MS, env: { ...process.env, PATH } });
  } catch {
    return undefined;
  }
}

async function nftFact(): Promise<NftFact> {
  const said = await attempt('nft', '-j', 'list', 'chains');
  if (said === undefined) return { kind: 'missing' };
  if (said.code !== 0)
    return { kind: 'fails', said: said.stderr.trim().split('\n')[0] || `it ended with ${said.code ?? 'a signal'}` };
  return { kind: 'works', dropping: droppingChains(said.stdout) };
}

/** Of `nft -j list chains` (libnftables-json(5)). */
function droppingChains(text: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const objects = isObject(value) && Array.isArray(value.nftables) ? value.nftables : [];
  return objects
    .map((one: unknown) => (isObject(one) && isObject(one.chain) ? one.chain : {}))
    .filter(({ hook, policy }) => hook === 'forward' && policy === 'drop')
    .map(({ family, table, name }) => `${family} ${table} ${name}`);
}

/** Null where neither folder is there, nor a kubelet's: no runtime of Kubernetes has been here. */
function cniFact(confDir: string, binDir: string): CniFact | null {
  if (![confDir, binDir, '/var/lib/kubelet'].some((dir) => existsSync(dir))) return null;
  return {
    confDir,
    binDir,
    configurations: existsSync(confDir) ? readdirSync(confDir) : [],
    missing: Object.keys(CHAINED).filter((name) => !existsSync(join(binDir, name))),
  };
}
