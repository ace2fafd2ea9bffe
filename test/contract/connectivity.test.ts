/**
 * `evio connectivity` against a real API server with its controllers. What kubelets would do is played here: pods get addresses, and those
 * that ask end with what they found. Nothing answers for logs, so all that is known came by termination messages.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ASKED_STEPS, type AskedStep, type Found, type Stand, standOf } from '../../cli/src/connectivity/order.ts';
import { messageOf } from '../../cli/src/connectivity/report.ts';
import { type Done, MAIN } from '../e2e/evio.ts';
import { put, startEvioApi } from '../servers/evio-api.ts';
import type { KubeApi } from '../servers/kube-api.ts';

const NODES = ['cloud1', 'edge1', 'edge2'];
const NAMESPACE = 'evio-connectivity';
const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
const MERGE = { type: 'application/strategic-merge-patch+json' };
/** An API server on a loopback address has no endpoints for its Service. */
const OUTSIDE = ['--outside', '203.0.113.6:6443'] as const;
const LATE = 'no answer within 3 s';

/** What the pod of a node finds; nothing: it never ends. */
type Finds = (node: string, stand: Stand) => readonly Found[] | undefined;

const all = (
  node: string,
  stand: Stand,
  misses: (step: AskedStep, node: string) => readonly string[],
): readonly Found[] =>
  ASKED_STEPS.filter((step) => standOf(step) === stand).map((step) => ({
    step,
    asked: 2,
    failed: misses(step, node).map((to) => ({ to, why: LATE })),
    retried: 0,
    ms: 10,
  }));
const well: Finds = (node, stand) => all(node, stand, () => []);

describe('evio connectivity, with a real API server,', function () {
  this.timeout(60_000);
  let api: KubeApi;
  let dir: string;
  let finds: Finds;
  let playing: AbortController;
  let played: Promise<void>;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evio-connectivity-'));
    api = await startEvioApi({ controllers: true });
    for (const [at, name] of NODES.entries()) {
      await api.request('POST', '/api/v1/nodes', { kind: 'Node', apiVersion: 'v1', metadata: { name } });
      await ready(name, 'True', [{ type: 'InternalIP', address: `10.45.0.${at + 1}` }]);
    }
    await api.request('POST', '/api/v1/namespaces', { metadata: { name: 'evio-system' } });
    await put(api, { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNetwork', metadata: { name: 'default' }, spec: {} });
    const labels = { app: 'agent' };
    const made = await api.request('POST', '/apis/apps/v1/namespaces/evio-system/daemonsets', {
      metadata: { name: 'evio-agent' },
      spec: {
        selector: { matchLabels: labels },
        // On no node: its pods are not what is looked at.
        template: {
          metadata: { labels },
          spec: { nodeSelector: { none: 'here' }, containers: [{ name: 'agent', image: 'example/agent:1' }] },
        },
      },
    });
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    playing = new AbortController();
    played = play(playing.signal);
  });
  after(async () => {
    playing?.abort();
    await played;
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  beforeEach(() => {
    finds = well;
  });

  const ready = (name: string, status: string, addresses?: readonly object[]) =>
    api.request(
      'PATCH',
      `/api/v1/nodes/${name}/status`,
      {
        status: {
          conditions: [{ type: 'Ready', status, reason: 'Test', message: 'as told' }],
          ...(addresses && { addresses }),
        },
      },
      MERGE,
    );

  async function play(signal: AbortSignal): Promise<void> {
    for (; !signal.aborted; await sleep(100)) {
      const { items = [] } = (await api.request('GET', PODS)).body as {
        items?: readonly {
          metadata: { name: string; deletionTimestamp?: string };
          spec: { nodeName: string };
          status: { phase?: string };
        }[];
      };
      for (const { metadata, spec, status } of items) {
        const path = `${PODS}/${metadata.name}`;
        const at = NODES.indexOf(spec.nodeName) + 1;
        if (metadata.deletionTimestamp !== undefined) await api.request('DELETE', `${path}?gracePeriodSeconds=0`);
        else if (status.phase !== 'Pending') continue;
        else if (metadata.name.startsWith('answers-'))
          await api.request(
            'PATCH',
            `${path}/status`,
            {
              status: {
                phase: 'Running',
                podIP: `10.244.${at}.2`,
                podIPs: [{ ip: `10.244.${at}.2` }],
                conditions: [{ type: 'Ready', status: 'True' }],
              },
            },
            MERGE,
          );
        else await end(path, finds(spec.nodeName, metadata.name.startsWith('asks-host') ? 'host' : 'pod'));
      }
    }
  }

  async function end(path: string, found: readonly Found[] | undefined): Promise<void> {
    if (found === undefined) return;
    const terminated = { exitCode: 0, message: messageOf(found) };
    const container = { name: 'probe', image: 'i', imageID: 'i', ready: false, restartCount: 0, state: { terminated } };
    await api.request(
      'PATCH',
      `${path}/status`,
      { status: { phase: 'Succeeded', containerStatuses: [container] } },
      MERGE,
    );
  }

  function start(...args: readonly string[]): {
    readonly child: ReturnType<typeof spawn>;
    readonly done: Promise<Done>;
  } {
    const child = spawn(process.execPath, [MAIN, 'connectivity', ...args, '--kubeconfig', api.kubeconfig()], {
      cwd: dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const words = { stdout: '', stderr: '' };
    child.stdout.on('data', (data: Buffer) => {
      words.stdout += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      words.stderr += data.toString();
    });
    return { child, done: new Promise((done) => child.on('close', (code) => done({ code, ...words }))) };
  }
  const evio = (...args: readonly string[]): Promise<Done> => start(...args).done;
  const namespaceThere = async (): Promise<boolean> =>
    (await api.request('GET', `/api/v1/namespaces/${NAMESPACE}`)).status === 200;
  const stepLine = (text: string, number: number): string =>
    text.split('\n').find((line) => line.startsWith(`${String(number).padStart(2)}  `)) ??
    `no step ${number} in ${text}`;

  it('passes what pods found to be well, by their termination messages, and removes its namespace', async () => {
    const done = await evio('test', ...OUTSIDE);
    expect(stepLine(done.stdout, 1), done.stderr).to.match(/a pod on every node +ok +3 nodes/);
    expect(stepLine(done.stdout, 2)).to.match(/pod to pod, IPv4 +ok +6 pairs/);
    expect(stepLine(done.stdout, 5)).to.match(/host to pod +ok +6 pairs/);
    // There are no kubelets to read logs from.
    expect(stepLine(done.stdout, 10)).to.match(/kubectl logs from every node +FAILED +3 of 3 nodes/);
    expect(done.stdout).to.include('9 passed, 1 failed, 0 skipped');
    expect(done.code, done.stderr).to.equal(1);
    expect(await namespaceThere()).to.equal(false);
  });

  it('names the pair that fails, the node that all have in common; writes JUnit and a bundle', async () => {
    finds = (node, stand) =>
      all(node, stand, (step) => (step === 'pod4' ? (node === 'edge2' ? ['cloud1', 'edge1'] : ['edge2']) : []));
    const junit = join(dir, 'junit.xml');
    const done = await evio('test', '--junit', junit, ...OUTSIDE);
    expect(done.stdout, done.stderr)
      .to.include(`cloud1 to edge2: ${LATE}`)
      .and.include(`edge2 to cloud1, edge1: ${LATE}`);
    expect(done.stdout).to.include('all of these have edge2 in common');
    expect(readFileSync(junit, 'utf8')).to.include('name="2 pod to pod, IPv4"').and.include(`cloud1 to edge2: ${LATE}`);
    expect(readdirSync(dir).filter((name) => /^evio-connectivity-.*\.tar\.gz$/.test(name))).not.to.deep.equal([]);
    expect(done.code).to.equal(1);
  });

  it('ends by Ctrl-C with 130, and removes its namespace', async () => {
    finds = () => undefined;
    const { child, done } = start('test', ...OUTSIDE);
    for (let tries = 0; tries < 200 && !(await namespaceThere()); tries++) await sleep(50);
    child.kill('SIGINT');
    const { code, stderr } = await done;
    expect(stderr).to.include('interrupted');
    expect(code).to.equal(130);
    expect(await namespaceThere()).to.equal(false);
  });

  it('says in one line, and another exit code, what keeps it from being run', async () => {
    for (const [args, code, words] of [
      [['--nodes', 'nowhere'], 2, 'the cluster has no node nowhere; it has: cloud1, edge1, edge2'],
      [['--namespace', 'default'], 3, 'namespace default has no DaemonSet evio-agent'],
      [['--test-namespace', 'kube-system'], 3, 'namespace kube-system is there already: it is not of a test'],
      [['--test-namespace', 'evio-system'], 2, "evio-system is Evio's own"],
      [['--context', 'nowhere'], 3, 'nowhere'],
    ] as const) {
      const done = await evio('test', ...OUTSIDE, ...args);
      expect(done.stderr, args.join(' ')).to.include(words);
      expect(done.stderr.trim().split('\n'), done.stderr).to.have.length(1);
      expect(done.code, args.join(' ')).to.equal(code);
    }
    expect((await api.request('GET', '/api/v1/namespaces/kube-system')).status).to.equal(200);
  });
});
