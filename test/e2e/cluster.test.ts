/** hack/cluster, with the plain bridge plugin in Evio's place: what `make cluster` promises before Evio is in it. */
import { type ExecFileException, execFile, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';

const PREFIX = 'evk-test-';
const STATE = `/tmp/${PREFIX}cluster`;
const NODES = ['cp', 'cloud1', 'edge1', 'edge2'] as const;
const ENV = { ...process.env, PREFIX, CNI: 'bridge' };

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A program of hack/cluster; `input` goes to its standard input. */
function cluster(program: string, args: readonly string[] = [], input = ''): Promise<Said> {
  return new Promise((done) => {
    const child = execFile(
      `hack/cluster/${program}`,
      args,
      { env: ENV, maxBuffer: 16 << 20 },
      (error: ExecFileException | null, out, err) =>
        done({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err }),
    );
    child.stdin?.end(input);
  });
}
async function must(program: string, args: readonly string[] = [], input = ''): Promise<string> {
  const said = await cluster(program, args, input);
  expect(said.code, `${program} ${args.join(' ')}: ${said.err}${said.out}`).to.equal(0);
  return said.out;
}
const kubectl = (...args: readonly string[]): Promise<string> => must('k', args);
const inNode = async (...args: readonly string[]): Promise<string> => (await must('nx', args)).trim();

async function until(what: string, withinMs: number, probe: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + withinMs; !(await probe()); await sleep(300))
    if (Date.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
}

const othersAreUp = (): boolean =>
  readdirSync('/tmp').some((name) => existsSync(`/tmp/${name}/sysctl.saved`) && `/tmp/${name}` !== STATE);

/** What of the machine bears the cluster's name, and the settings of the machine that kubelets change. */
function traces(): Readonly<Record<string, readonly string[]>> {
  const names = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);
  const ours = (name: string): boolean => name.startsWith(PREFIX) || name === PREFIX.slice(0, -1);
  const commands = names('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(STATE);
    } catch {
      return false;
    }
  });
  const settings = [
    'kernel/panic',
    'kernel/panic_on_oops',
    'vm/overcommit_memory',
    'vm/panic_on_oom',
    'kernel/keys/root_maxkeys',
    'kernel/keys/root_maxbytes',
    'fs/inotify/max_user_instances',
  ];
  return {
    namespaces: names('/run/netns').filter(ours),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(PREFIX)),
    cgroups: ['', ...names('/sys/fs/cgroup')].flatMap((one) => {
      const folder = `/sys/fs/cgroup/${one}`;
      try {
        return readdirSync(folder)
          .filter(ours)
          .map((name) => `${folder}/${name}`);
      } catch {
        return [];
      }
    }),
    processes: commands,
    folders: [...names('/tmp'), ...names('/dev/shm')].filter(ours),
    // The last of several clusters puts them back.
    settings: othersAreUp() ? [] : settings.map((one) => `${one}=${readFileSync(`/proc/sys/${one}`, 'utf8').trim()}`),
  };
}

const CTR = ['ctr', '-n', 'k8s.io'] as const;

const WEB = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            terminationGracePeriodSeconds: 0,
            containers: [
              {
                name: 'web',
                image: 'localhost/tools:1',
                command: ['sh', '-c', 'mkdir /www && hostname >/www/index.html && exec httpd -f -p 8080 -h /www'],
                readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      // Without an overlay, pods behind NATs are reached by no other node.
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }], internalTrafficPolicy: 'Local' },
    },
  ],
});

describe('make cluster', function () {
  this.timeout(300_000);
  let untouched: ReturnType<typeof traces>;
  before(async () => {
    await must('down.sh');
    untouched = traces();
    await must('up.sh');
  });
  after(() => cluster('down.sh'));
  const expectUntouched = (): void => {
    const now = traces();
    const comparable = now.settings?.length === untouched.settings?.length;
    expect(comparable ? now : { ...now, settings: untouched.settings }).to.deep.equal(untouched);
  };

  it('brings up four Ready nodes, and says so when it is asked again', async () => {
    expect((await kubectl('get', 'nodes', '-o', 'name')).trim().split('\n')).to.have.members(
      NODES.map((name) => `node/${name}`),
    );
    const again = await must('up.sh');
    expect(again).to.contain('a cluster is up: 4 nodes');
    expect(again).to.contain('edge1  192.168.1.10 behind 203.0.113.14');
  });

  it('runs pods on every node, with addresses of both families, that resolve names and reach a Service', async () => {
    await must('k', ['apply', '-f', '-'], WEB);
    await kubectl('rollout', 'status', 'daemonset/web', '--timeout=90s');
    await kubectl('-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=90s');
    const pods = JSON.parse(await kubectl('get', 'pods', '-l', 'app=web', '-o', 'json')).items;
    expect(pods).to.have.length(NODES.length);
    for (const pod of pods) {
      const addresses = pod.status.podIPs.map(({ ip }: { ip: string }) => ip).join(' ');
      expect(addresses).to.match(/^10\.244\.\d+\.\d+ fd00:10:244:\d+::/);
    }
    // kubectl exec does not get to nodes behind NATs; the runtime of the node itself does.
    for (const node of NODES) {
      const id = await inNode(node, ...CTR, 'containers', 'ls', 'labels.io.kubernetes.container.name==web', '-q');
      const said = await inNode(
        node,
        ...CTR,
        'tasks',
        'exec',
        '--exec-id',
        'ask',
        id,
        'curl',
        '-sSf',
        '-m',
        '20',
        'http://web.default.svc.cluster.local/',
      );
      expect(said).to.match(/^web-/);
    }
  });

  it('lets nothing into an edge network', async () => {
    // By the address of the kubelet and by that of the NAT.
    for (const address of ['192.168.1.10', '203.0.113.14']) {
      const said = await cluster('nx', ['cloud1', 'curl', '-sk', '-m', '2', `https://${address}:10250/healthz`]);
      expect(said.code, `${address} answers`).to.be.oneOf([7, 28]);
    }
    const kubelet = 'https://203.0.113.10:10250/healthz';
    const out = await inNode('edge1', 'curl', '-sk', '-m', '5', '-w', '%{http_code}', '-o', '/dev/null', kubelet);
    expect(out).to.equal('401');
  });

  it('brings a part back by itself, unless it was told to keep it off', async () => {
    const ask = ['edge2', 'curl', '-s', 'http://127.0.0.1:10248/healthz'];
    const lives = async (): Promise<boolean> => (await cluster('nx', ask)).code === 0;
    await must('part', ['edge2', 'kubelet', 'off']);
    await sleep(1_500);
    expect(await lives()).to.equal(false);
    await must('part', ['edge2', 'kubelet', 'on']);
    await until('the kubelet again', 30_000, lives);
  });

  it('starts a node again after a power cut, with its disk and a new boot id', async () => {
    const boot = (): Promise<string> => inNode('cloud1', 'cat', '/proc/sys/kernel/random/boot_id');
    const first = await boot();
    await inNode('cloud1', 'touch', '/var/lib/kept', '/run/lost');
    await must('power', ['cloud1', 'cycle']);
    expect(await boot()).not.to.equal(first);
    expect((await cluster('nx', ['cloud1', 'ls', '/var/lib/kept'])).code).to.equal(0);
    expect((await cluster('nx', ['cloud1', 'ls', '/run/lost'])).code).not.to.equal(0);
    await until('the node with its new boot id', 60_000, async () => {
      const node = JSON.parse(await kubectl('get', 'node', 'cloud1', '-o', 'json'));
      return node.status.nodeInfo.bootID === (await boot());
    });
    await kubectl('wait', '--for=condition=Ready', 'node/cloud1', '--timeout=60s');
    await kubectl('rollout', 'status', 'daemonset/web', '--timeout=90s');
  });

  it('is gone without a trace after make cluster-down', async () => {
    await must('down.sh');
    expectUntouched();
    expect((await cluster('k', ['get', 'nodes'])).err).to.contain('no cluster is up');
  });

  it('is gone without a trace when it was killed half way up', async () => {
    const half = spawn('hack/cluster/up.sh', { env: ENV, stdio: 'ignore', detached: true });
    await until('the first node', 60_000, async () => existsSync(`${STATE}/cp/pid`));
    // As Ctrl-C: to everything in its process group.
    process.kill(-(half.pid ?? 0), 'SIGINT');
    await new Promise((resolve) => half.once('exit', resolve));
    expect((await cluster('up.sh')).err).to.contain('make cluster-down');
    await must('down.sh');
    expectUntouched();
  });
});
