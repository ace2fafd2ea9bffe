/**
 * A real Kubernetes API server for tests: etcd and kube-apiserver on loopback, with ports, certificates, tokens and a folder of their
 * own, ended with the test.
 *
 *     const api = await startKubeApi();
 *     ... api.url, api.ca, api.tokens.admin, api.kubeconfig('admin'), api.request('GET', '/api/v1/nodes') ...
 *     await api.stop();
 *
 * Authorization (Node, RBAC) and admission (NodeRestriction, ValidatingAdmissionPolicy) are a cluster's. There is no scheduler and no
 * kubelet, and no controller unless asked for: nothing collects garbage or makes service accounts, so a pod needs none here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestAuthority } from './certificates.ts';
import { freePorts } from './xmpp-server.ts';

/** Where hack/cluster/build.sh puts the programs; EVIO_CLUSTER_BIN names another folder. */
export const CLUSTER_BIN = process.env.EVIO_CLUSTER_BIN ?? resolve(import.meta.dirname, '../../.cache/cluster/bin');
export const KUBECTL = join(CLUSTER_BIN, 'kubectl');

const START_TIMEOUT_MS = 120_000;
const FOLDER = 'evio-kube-api-';

export interface User {
  readonly name: string;
  readonly groups?: readonly string[];
}

export interface KubeApiOptions {
  /** Who may log in, each with a token of its own in `tokens`. `admin` is always there, as system:masters. */
  readonly users?: Readonly<Record<string, User>>;
  /** Starts kube-controller-manager too: garbage collection, deletion of namespaces, service accounts, workloads. */
  readonly controllers?: boolean;
  /** More flags for kube-apiserver. */
  readonly flags?: readonly string[];
}

export interface KubeAnswer {
  readonly status: number;
  /** The object; of an error, a Status with `message` and `reason`. Text where it is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever object was asked for
  readonly body: any;
}

export interface KubeRequest {
  /** A name in `tokens`; admin. */
  readonly as?: string;
  /** A token itself, such as one of a service account. */
  readonly token?: string;
  /** application/json; for PATCH the kind of patch, such as application/apply-patch+yaml. */
  readonly type?: string;
}

/** Servers that run, for the case that the tests end without ending them. */
const running = new Set<KubeApi>();
process.on('exit', () => {
  for (const server of running) server.abandon();
});

export async function startKubeApi(options: KubeApiOptions = {}): Promise<KubeApi> {
  const etcd = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'etcd'));
  const missing = [
    ...(etcd.some(executable) ? [] : ['etcd']),
    ...['kube-apiserver', ...(options.controllers === true ? ['kube-controller-manager'] : [])]
      .map((name) => join(CLUSTER_BIN, name))
      .filter((file) => !executable(file)),
  ];
  if (missing.length > 0)
    throw new Error(`no API server for this test: ${missing.join(', ')} not found; run: hack/cluster/build.sh`);
  removeAbandoned();
  const [port, etcdPort, peerPort] = await freePorts(3);
  if (port === undefined || etcdPort === undefined || peerPort === undefined) throw new Error('no free port');
  const server = new KubeApi({ port, etcdPort, peerPort }, options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

interface Ports {
  readonly port: number;
  readonly etcdPort: number;
  readonly peerPort: number;
}

export class KubeApi {
  readonly directory = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  readonly tokens: Readonly<Record<string, string>>;
  readonly #ports: Ports;
  readonly #options: KubeApiOptions;
  readonly #processes = new Map<string, ChildProcess>();

  constructor(ports: Ports, options: KubeApiOptions) {
    this.#ports = ports;
    this.#options = options;
    this.url = `https://127.0.0.1:${ports.port}`;
    const authority = new TestAuthority(this.directory);
    authority.issue('server', ['localhost', '127.0.0.1', '10.96.0.1']);
    this.ca = authority.certificate;
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(this.#file('accounts.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(this.#file('accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    const users: Readonly<Record<string, User>> = {
      ...options.users,
      admin: { name: 'admin', groups: ['system:masters'] },
      controllers: { name: 'system:kube-controller-manager' },
    };
    this.tokens = Object.fromEntries(Object.keys(users).map((key) => [key, randomBytes(16).toString('hex')]));
    const lines = Object.entries(users).map(
      ([key, user]) => `${this.tokens[key]},${user.name},${key},"${(user.groups ?? []).join(',')}"`,
    );
    writeFileSync(this.#file('tokens.csv'), `${lines.join('\n')}\n`, { mode: 0o600 });
    running.add(this);
  }

  /** Path of a kubeconfig with that user's token. */
  kubeconfig(user = 'admin'): string {
    const path = this.#file(`${user}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: this.url, 'certificate-authority': this.#file('ca.crt') } }],
      users: [{ name: user, user: { token: this.tokens[user] } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user } }],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** Starts what does not run, after `kill` too: the objects are still there. */
  async start(): Promise<void> {
    const { port, etcdPort, peerPort } = this.#ports;
    const etcd = `http://127.0.0.1:${etcdPort}`;
    this.#spawn('etcd', 'etcd', [
      `--data-dir=${this.#file('etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    ]);
    this.#spawn('kube-apiserver', join(CLUSTER_BIN, 'kube-apiserver'), [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      '--advertise-address=127.0.0.1',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112',
      `--cert-dir=${this.directory}`,
      `--tls-cert-file=${this.#file('server.crt')}`,
      `--tls-private-key-file=${this.#file('server.key')}`,
      `--client-ca-file=${this.#file('ca.crt')}`,
      `--token-auth-file=${this.#file('tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${this.#file('accounts.pub')}`,
      `--service-account-signing-key-file=${this.#file('accounts.key')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      ...(this.#options.controllers === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
      '--allow-privileged=true',
      ...(this.#options.flags ?? []),
    ]);
    await this.#ready();
    if (this.#options.controllers === true)
      this.#spawn('kube-controller-manager', join(CLUSTER_BIN, 'kube-controller-manager'), [
        `--kubeconfig=${this.kubeconfig('controllers')}`,
        '--use-service-account-credentials',
        `--service-account-private-key-file=${this.#file('accounts.key')}`,
        `--root-ca-file=${this.#file('ca.crt')}`,
        '--leader-elect=false',
        '--secure-port=0',
      ]);
  }

  /** Ends kube-apiserver at once, as a crash does; or stops and continues it (SIGSTOP, SIGCONT). etcd stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#processes.get('kube-apiserver');
    if (child === undefined || over(child)) return;
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await once(child, 'exit');
  }

  /** What `kill` leaves, without etcd's data: as after a disk was lost. `start` begins with nothing. */
  async loseData(): Promise<void> {
    const etcd = this.#processes.get('etcd');
    if (etcd !== undefined && !over(etcd)) {
      const exited = once(etcd, 'exit');
      etcd.kill('SIGKILL');
      await exited;
    }
    rmSync(this.#file('etcd'), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    const left = [...this.#processes.values()].filter((child) => !over(child));
    await Promise.all(
      left.map((child) => {
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        return exited;
      }),
    );
    this.abandon();
  }

  /** The same without waiting, for the end of the process. */
  abandon(): void {
    for (const child of this.#processes.values()) child.kill('SIGKILL');
    running.delete(this);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** What a program has said so far. */
  log(program: 'etcd' | 'kube-apiserver' | 'kube-controller-manager' = 'kube-apiserver'): string {
    return readFileSync(this.#file(`${program}.log`), 'utf8');
  }

  /** One request; never throws for its status. A body that is no string is sent as JSON. */
  request(method: string, path: string, body?: unknown, options: KubeRequest = {}): Promise<KubeAnswer> {
    const token = options.token ?? this.tokens[options.as ?? 'admin'];
    const payload = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((done, failed) => {
      const request = httpsRequest(
        new URL(path, this.url),
        {
          method,
          ca: this.ca,
          agent: false,
          headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(payload === undefined ? {} : { 'content-type': options.type ?? 'application/json' }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', failed);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            const json = response.headers['content-type']?.includes('json') === true;
            done({ status: response.statusCode ?? 0, body: json ? JSON.parse(text) : text });
          });
        },
      );
      request.on('error', failed);
      request.end(payload);
    });
  }

  #file(name: string): string {
    return join(this.directory, name);
  }

  #spawn(name: string, program: string, flags: readonly string[]): void {
    const before = this.#processes.get(name);
    if (before !== undefined && !over(before)) return;
    const out = openSync(this.#file(`${name}.log`), 'a', 0o600);
    // A test that is killed takes its servers with it.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...flags], { stdio: ['ignore', out, out] });
    closeSync(out);
    child.on('error', () => undefined);
    this.#processes.set(name, child);
  }

  async #ready(): Promise<void> {
    const end = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const dead = [...this.#processes].find(([, child]) => over(child))?.[0];
      if (dead !== undefined) throw new Error(`${dead} does not start: ${this.#lastWords(dead)}`);
      const answer = await this.request('GET', '/readyz').catch(() => undefined);
      if (answer?.status === 200) return;
      if (performance.now() > end)
        throw new Error(
          `kube-apiserver is not ready after ${START_TIMEOUT_MS} ms: ${this.#lastWords('kube-apiserver')}`,
        );
      await sleep(50);
    }
  }

  #lastWords(program: string): string {
    return readFileSync(this.#file(`${program}.log`), 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-3)
      .join(' | ');
  }
}

const over = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Folders of tests that were killed: their name says which process they were of. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${FOLDER}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined) continue;
    try {
      process.kill(Number(pid), 0);
    } catch {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}
