/**
 * A node of a cluster without a kubelet: the agent as the DaemonSet runs it, with a real kube-apiserver, in whose place of the operator the
 * case itself enrols it.
 */
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { keysHash, publicKeys } from '../../agent/src/kube/enrolment.ts';
import { parseCertificate } from '../../agent/src/wire/certificate.ts';
import { nodeIdOf } from '../../agent/src/wire/ids.ts';
import { verifyParameters } from '../../agent/src/wire/parameters.ts';
import { sealCredentials } from '../../agent/src/wire/sealed-credentials.ts';
import { EVIO, type Joined } from '../demo/overlay.ts';
import { attempt, run, sleep, start, until } from '../demo/shell.ts';
import { pathOf, startEvioApi } from '../servers/evio-api.ts';
import type { KubeApi } from '../servers/kube-api.ts';
import { relay } from '../servers/relay.ts';
import { fromStatus } from './faults/words.ts';
import type { Named } from './faults.ts';
import { codesOf, type Lab } from './lab.ts';

const NETWORK = 'default';
const AT = 'cloud1';
/** Debian's. */
const PLUGINS = '/usr/lib/cni';

interface Door {
  readonly api: KubeApi;
  /** A socket of this machine that leads to the API server: unix sockets know no network namespaces. */
  readonly path: string;
  readonly server: Server;
}
/** Prefixes of two nodes must not meet. */
let made = 0;
const doors = new Map<Lab, Promise<Door>>();

/** One API server for all cases of a lab. */
function doorOf(lab: Lab): Promise<Door> {
  let door = doors.get(lab);
  if (door === undefined) {
    door = openDoor(lab);
    doors.set(lab, door);
  }
  return door;
}

async function openDoor(lab: Lab): Promise<Door> {
  const api = await startEvioApi();
  const path = join(lab.dir, 'api.sock');
  const server = createServer((socket) => relay(socket, connect(Number(new URL(api.url).port), '127.0.0.1')));
  await new Promise<void>((done) => server.listen(path, done));
  lab.atEnd(async () => {
    server.close();
    await api.stop();
  });
  return { api, path, server };
}

const LEAD = fileURLToPath(new URL('./lead.ts', import.meta.url));

interface NodeFile {
  readonly name: string;
  readonly overlay: { readonly parameters: string };
  readonly identity: { readonly key: string; readonly sessionKey: string; readonly certificate: string };
  readonly signalling: {
    readonly service: string;
    readonly domain: string;
    readonly username: string;
    readonly password: string;
    readonly ca?: string;
    readonly room: string;
  };
}

export class ClusterNode {
  readonly api: KubeApi;
  readonly dir: string;
  /** Its prefixes for pods, one of each family. */
  readonly pieces: readonly string[];
  readonly binDir: string;
  readonly confDir: string;
  readonly #lab: Lab;
  readonly #file: NodeFile;
  readonly #lead: ChildProcess;
  readonly #processes: ChildProcess[] = [];

  /** A node with keys of its own, that nobody has enrolled in the cluster yet. */
  static async make(lab: Lab): Promise<ClusterNode> {
    const { api, path } = await doorOf(lab);
    const pieces = [`10.244.${++made}.0/29`, `fd00:244:${made}::/125`];
    const joined = await lab.node(
      AT,
      pieces.flatMap((piece) => ['--route', piece]),
    );
    const lead = start(AT, '/dev/null', process.execPath, LEAD, new URL(api.url).port, path);
    const node = new ClusterNode(lab, api, joined, lead, pieces);
    await node.#prepare();
    return node;
  }

  private constructor(lab: Lab, api: KubeApi, joined: Joined, lead: ChildProcess, pieces: readonly string[]) {
    this.pieces = pieces;
    this.#lab = lab;
    this.api = api;
    this.#lead = lead;
    this.#file = JSON.parse(readFileSync(joined.config, 'utf8')) as NodeFile;
    this.dir = join(joined.runDir, '..', 'cluster');
    this.binDir = join(this.dir, 'cni', 'bin');
    this.confDir = join(this.dir, 'cni', 'net.d');
  }

  /** Where a file stands for each address. */
  get store(): string {
    return join(this.dir, 'cni', 'data', 'evio');
  }

  get #runDir(): string {
    return join(this.dir, 'run', NETWORK);
  }

  async #prepare(): Promise<void> {
    for (const part of ['account', 'cni/bin', 'cni/net.d', 'state/kubernetes', 'run'])
      mkdirSync(join(this.dir, part), { recursive: true, mode: 0o700 });
    for (const dir of [this.binDir, this.confDir])
      await run(undefined, 'mount', '-t', 'tmpfs', '-o', 'size=16m,mode=755', 'evio-diag', dir);
    for (const name of ['portmap', 'bandwidth']) copyFileSync(join(PLUGINS, name), join(this.binDir, name));
    writeFileSync(join(this.dir, 'account', 'token'), this.api.tokens.admin ?? '', { mode: 0o600 });
    writeFileSync(join(this.dir, 'account', 'ca.crt'), this.api.ca);
    const { key, sessionKey } = this.#file.identity;
    const keys = JSON.stringify({ identity: key, session: sessionKey });
    writeFileSync(join(this.dir, 'state', 'kubernetes', 'keys.json'), keys, { mode: 0o600 });
  }

  /** What the operator does: the EvioNode with the enrolment. `podCIDRs`: those of the certificate. */
  async enrol({ podCIDRs = this.pieces }: { readonly podCIDRs?: readonly string[] } = {}): Promise<void> {
    const { name, overlay, identity, signalling } = this.#file;
    const own = {
      identity: Buffer.from(identity.key, 'base64'),
      session: Buffer.from(identity.sessionKey, 'base64'),
    };
    const keys = publicKeys(own);
    const { overlayId } = verifyParameters(Buffer.from(overlay.parameters, 'base64'));
    const certificate = parseCertificate(Buffer.from(identity.certificate, 'base64'));
    const nodeId = nodeIdOf(Buffer.from(keys.identityKey, 'base64'));
    const { service, domain, username, password, ca, room } = signalling;
    const credentials = sealCredentials(
      { service, domain, username, password, ca, room, stun: [] },
      { overlayId, nodeId },
      Buffer.from(keys.sessionKey, 'base64'),
    );
    const answer = await this.api.request(
      'PATCH',
      `${pathOf('EvioNode')}/${name}?fieldManager=evio-operator&force=true`,
      {
        apiVersion: 'evio.io/v1alpha1',
        kind: 'EvioNode',
        metadata: { name },
        spec: {
          network: NETWORK,
          memberName: name,
          addresses: certificate.addresses.map(({ address, length }) => `${address}/${length}`),
          podCIDRs: [...podCIDRs],
          enrolment: {
            overlayParameters: overlay.parameters,
            certificate: identity.certificate,
            serial: certificate.serial.toString(),
            notAfter: new Date(certificate.notAfter * 1000).toISOString(),
            credentials: credentials.toString('base64'),
            keysHash: keysHash(keys),
          },
        },
      },
      { type: 'application/apply-patch+yaml' },
    );
    if (answer.status >= 300) throw new Error(`EvioNode ${name}: ${answer.status} ${answer.body?.message}`);
  }

  /** tincan and agent, as their DaemonSets start them. */
  async start(): Promise<void> {
    const log = (name: string): string => join(this.dir, `${name}.log`);
    mkdirSync(this.#runDir, { recursive: true, mode: 0o700 });
    this.#processes.push(start(AT, log('tincan'), resolve('dist/tincan'), '--run-dir', this.#runDir));
    const options = {
      'node-name': this.#file.name,
      'api-server': this.api.url,
      namespace: 'default',
      'service-account-dir': join(this.dir, 'account'),
      'state-root': join(this.dir, 'state'),
      'run-root': join(this.dir, 'run'),
      'cni-conf-dir': this.confDir,
      'cni-bin-dir': this.binDir,
      'cni-data-dir': join(this.dir, 'cni', 'data'),
      'cni-plugin': resolve('dist/evio-cni'),
      'health-port': '0',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    this.#processes.push(start(AT, log('agent'), EVIO, 'agent', 'run', '--kubernetes', ...args));
  }

  /** Pods could start, and nothing is wrong. */
  async ready(): Promise<void> {
    await until(`the node of a cluster is ready (${join(this.dir, 'agent.log')})`, 40_000, async () => {
      const { value } = await this.#lab.statusAt(AT, this.#runDir);
      return value?.running && value.findings.length === 0 && existsSync(join(this.confDir, '10-evio.conflist'));
    });
  }

  /** Its status once it has one of these codes, or the last one after 30 s. */
  async named(codes: readonly string[]): Promise<Named> {
    const end = performance.now() + 30_000;
    for (;;) {
      const asked = await this.#lab.statusAt(AT, this.#runDir);
      if (codesOf(asked.value).some((code) => codes.includes(code)) || performance.now() > end)
        return fromStatus(asked);
      await sleep(300);
    }
  }

  /** The disk of a directory is read-only from here on, and as `change` leaves it; the agent sees both at once. */
  async frozen(dir: string, change: () => void): Promise<void> {
    const agent = this.#processes.at(-1);
    agent?.kill('SIGSTOP');
    change();
    await run(undefined, 'mount', '-o', 'remount,ro', dir);
    agent?.kill('SIGCONT');
  }

  /** Nothing listens any more where the API server was. */
  closeDoor(): void {
    this.#lead.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.#lead.kill('SIGKILL');
    for (const child of this.#processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(late);
    }
    for (const link of ['evio0', 'evio0-tap']) await attempt(AT, ['ip', 'link', 'del', link]);
    for (const dir of [this.binDir, this.confDir]) await attempt(undefined, ['umount', '-l', dir]);
  }
}
