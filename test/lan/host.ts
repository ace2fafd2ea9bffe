/** Two machines of one home, as far as a test can have them: each with a disk, a kubelet without an API server, and Evio as its package runs it. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { basename, join, resolve } from 'node:path';
import { addNamespace, byName, cable } from '../demo/internet.ts';
import { EVIO, enrolNode, type Joined } from '../demo/overlay.ts';
import { attempt, type Finished, PREFIX, run, until } from '../demo/shell.ts';

export const HOSTS = ['home1', 'desk1'] as const;
export type HostName = (typeof HOSTS)[number];
/** Where both hang on a switch, behind the home's NAT. */
export const ROUTER = 'nat-home1';

const SCRIPT = resolve('test/lan/host.sh');
const STATE = `/tmp/${PREFIX}cluster`;
const KUBELET = resolve('.cache/cluster/bin/kubelet');
const POD_CIDRS = ['10.244.0.0/16', 'fd00:10:244::/56'];
const PODS_STORE = '/var/lib/cni/evio/evio/attached';

process.env.HOSTS = HOSTS.map((name) => `${name}:public:${byName(name).address}`).join(' ');

const script = (...args: readonly string[]): Promise<string> => run(undefined, SCRIPT, ...args);

export const makeDisks = (): Promise<string> => script('up');
export const removeHosts = (): Promise<Finished> => attempt(undefined, [SCRIPT, 'down']);

/** What the CNI plugin has written of a pod (docs/cni.md, "The store"). */
interface Attachment {
  readonly netns: string;
  readonly bootID: string;
  readonly addresses: readonly string[];
}

export interface Pod {
  readonly netns: string;
  readonly ipv4: string;
}

export class Host {
  readonly name: HostName;
  readonly node: Joined;

  private constructor(name: HostName, node: Joined) {
    this.name = name;
    this.node = node;
  }

  /** Enrols it, starts it for the first time, and puts on its disk what a person would: the node file, CNI, a static pod. */
  static async make(name: HostName, overlay: string, place: string): Promise<Host> {
    const at = HOSTS.indexOf(name) + 1;
    const subnets = [`10.244.${at}.0/24`, `fd00:10:244:${at}::/64`];
    const node = await enrolNode(overlay, name, place, {
      options: subnets.flatMap((subnet) => ['--route', subnet]),
      // Sockets below /run, which a reboot empties, and what is remembered on the disk.
      keys: { runDir: undefined, stateDir: undefined, pods: { overlayCIDRs: POD_CIDRS } },
    });
    const host = new Host(name, node);
    await script('boot', name);
    await host.put('/etc/evio/node.json', readFileSync(node.config, 'utf8'), '600');
    await host.put('/etc/cni/net.d/10-evio.conflist', JSON.stringify(network(node, subnets)));
    await host.put('/etc/kubernetes/manifests/talker.json', JSON.stringify(talker()));
    await host.in('cp', resolve('dist/evio-cni'), '/opt/cni/bin/');
    return host;
  }

  get hostname(): string {
    return `talker-${this.name}`;
  }

  in(...command: readonly string[]): Promise<string> {
    return script('in', this.name, ...command);
  }

  try(...command: readonly string[]): Promise<Finished> {
    return attempt(undefined, [SCRIPT, 'in', this.name, ...command], 20_000);
  }

  async put(path: string, text: string, mode = '644'): Promise<void> {
    const write = 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1.new" && chmod "$3" "$1.new" && mv "$1.new" "$1"';
    await this.in('sh', '-c', write, 'sh', path, text, mode);
  }

  /** In the order of systemd: Evio and containerd wait for nobody, the kubelet waits for containerd. */
  async start(): Promise<void> {
    const evio = [EVIO, 'agent', 'run', '--config', '/etc/evio/node.json'];
    await script('start', this.name, 'evio', ...evio);
    await script('start', this.name, 'containerd', 'containerd', '--config', join(STATE, this.name, 'containerd.toml'));
    await until(`containerd runs on ${this.name}`, 30_000, async () => (await this.try('ctr', 'version')).code === 0);
    const kubelet = [KUBELET, '--config', join(STATE, this.name, 'kubelet.yaml'), '--hostname-override', this.name];
    await script('start', this.name, 'kubelet', ...kubelet);
  }

  /** Without power: nothing says goodbye, and all that was not on the disk is gone, its interfaces too. */
  async off(): Promise<void> {
    await script('halt', this.name);
    await run(undefined, 'ip', 'netns', 'delete', PREFIX + this.name);
    await attempt(ROUTER, ['ip', 'link', 'delete', `to-${this.name}`]);
  }

  /** Its cable and its first process; what runs on it is for `start`. */
  async on(): Promise<void> {
    const { address, gateway } = byName(this.name);
    const end = `to-${this.name}`;
    await addNamespace(this.name);
    await cable({ ns: ROUTER, link: end }, { ns: this.name, link: 'eth0', address: `${address}/24` });
    await run(ROUTER, 'ip', 'link', 'set', end, 'master', 'lan');
    await run(this.name, 'ip', 'route', 'add', 'default', 'via', gateway);
    await script('boot', this.name);
  }

  /** Process ids as they are within. */
  async pidsOf(what: 'agent' | 'tincan'): Promise<readonly number[]> {
    // The one that keep.sh has started, and no process that has its command line as words.
    const ask = what === 'agent' ? ['cat', '/run/parts/evio.pid'] : ['pgrep', '-f', '^[^ ]*/tincan '];
    const said = await this.try(...ask);
    return said.stdout.split('\n').filter(Boolean).map(Number);
  }

  /** The static pod's container runs, beside its sandbox. */
  async podRuns(): Promise<boolean> {
    const said = await this.try('ctr', '-n', 'k8s.io', 'tasks', 'list');
    return (said.stdout.match(/RUNNING/g) ?? []).length >= 2;
  }

  /** Of this boot; undefined as long as it has no network. */
  async pod(): Promise<Pod | undefined> {
    const said = await this.try('sh', '-c', `cat /proc/sys/kernel/random/boot_id; cat ${PODS_STORE}/*`);
    const [boot = '', ...records] = said.stdout.split(/\n|(?<=\})(?=\{)/).filter((line) => line !== '');
    for (const record of records) {
      const { bootID, netns, addresses } = JSON.parse(record) as Attachment;
      const ipv4 = addresses.map((one) => one.split('/')[0] ?? '').find((one) => isIP(one) === 4);
      if (bootID === boot && ipv4 !== undefined) return { netns, ipv4 };
    }
    return undefined;
  }

  /** A command in a pod's network, as what runs it outside of the host's namespaces has to say it. */
  inPod(pod: Pod, ...command: readonly string[]): readonly string[] {
    const pid = readFileSync(join(STATE, this.name, 'pid'), 'utf8').trim();
    // Not by the path as it is: /var/run is a link, which would lead out of the host's root.
    return ['nsenter', `--net=/proc/${pid}/root/run/netns/${basename(pod.netns)}`, ...command];
  }

  /** While it is off: what Evio remembers of its neighbours. */
  forget(): void {
    const kept = join(STATE, this.name, 'fs/var/lib/evio');
    if (!existsSync(kept)) throw new Error(`${this.name} has kept nothing in ${kept}`);
    rmSync(kept, { recursive: true });
  }

  /** The last lines of a daemon's output. */
  log(part: string): string {
    return readFileSync(join(STATE, this.name, `${part}.log`), 'utf8')
      .trim()
      .split('\n')
      .slice(-8)
      .join(' | ');
  }
}

function network(node: Joined, subnets: readonly string[]): object {
  const plugin = { type: 'evio-cni', subnets, gateways: [node.ipv4, node.ipv6], mtu: 1400 };
  return { cniVersion: '1.0.0', name: 'evio', plugins: [plugin] };
}

/** The kubelet adds the name of its node: what it answers by HTTP is that whole name. */
function talker(): object {
  const command = ['sh', '-c', 'hostname >/tmp/index.html; exec busybox httpd -f -p 80 -h /tmp'];
  const container = { name: 'web', image: 'localhost/tools:1', imagePullPolicy: 'Never', command };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'talker', namespace: 'default' },
    spec: { dnsPolicy: 'Default', terminationGracePeriodSeconds: 1, containers: [container] },
  };
}
