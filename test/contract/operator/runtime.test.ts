/** Operators as processes, with a real API server: who acts, when one is stopped, paused, cut off; and what one costs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { ApiClient } from '../../../agent/src/io/kube-client.ts';
import type { Connection } from '../../../agent/src/io/kube-connection.ts';
import { CONFIG_MAP, EVENT, LEASE } from '../../../agent/src/kube-api/kinds.ts';
import { FaultProxy } from '../../servers/fault-proxy.ts';
import { type KubeApi, startKubeApi } from '../../servers/kube-api.ts';
import { clientOf, connect, serviceAccount, until } from './kit.ts';

const PROCESS = resolve(import.meta.dirname, 'process.ts');
/** The operator's promise. */
const RSS_MAX_KB = 160 * 1024;

class Operator {
  readonly identity: string;
  readonly child: ChildProcess;
  output = '';

  constructor(identity: string, folder: string, server: string) {
    this.identity = identity;
    this.child = spawn(process.execPath, [PROCESS, folder, server, identity], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (data: Buffer) => {
        this.output += data.toString();
      });
  }

  get leads(): boolean {
    return this.output.includes(`this process leads (${this.identity})`);
  }

  get over(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async ask(path: string): Promise<{ readonly status: number; readonly text: string }> {
    await until('probes', 20_000, () => /probes at (\d+)/.test(this.output));
    const response = await fetch(`http://127.0.0.1:${/probes at (\d+)/.exec(this.output)?.[1]}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Kilobytes. */
  rss(): number {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1]);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.over) {
      const exited = once(this.child, 'exit');
      this.child.kill('SIGCONT');
      this.child.kill(signal);
      await exited;
    }
    return this.child.exitCode;
  }
}

describe('operators, with a real API server', () => {
  let api: KubeApi;
  let connection: Connection;
  let client: ApiClient;
  let operators: Operator[] = [];
  let born = 0;

  const start = (server = api.url) => {
    const operator = new Operator(`operator-${born++}`, serviceAccount(api), server);
    operators.push(operator);
    return operator;
  };
  const leader = async (among: readonly Operator[], limitMs: number) => {
    await until('one leads', limitMs, () => among.some(({ leads, over }) => leads && !over));
    return among.find(({ leads, over }) => leads && !over) as Operator;
  };
  const source = (name: string, value: string) =>
    client.apply(CONFIG_MAP, { metadata: { name, namespace: 'default', labels: { test: 'source' } }, data: { value } });
  const copyOf = (name: string) => client.find(CONFIG_MAP, `default/copy-${name}`);
  const copied = (name: string, value: string, limitMs = 20_000) =>
    until(`copy-${name} is ${value}`, limitMs, async () => (await copyOf(name))?.data?.value === value);

  before(async function () {
    this.timeout(120_000);
    api = await startKubeApi();
    connection = connect(api);
    client = clientOf(connection);
  });
  after(async () => {
    connection?.close();
    await api?.stop();
  });
  afterEach(async function () {
    this.timeout(30_000);
    // What the processes said is the only trace of what went wrong.
    if (this.currentTest?.state === 'failed')
      for (const { identity, output } of operators) console.log(`${identity}: ${output.slice(-2_000)}`);
    await Promise.all(operators.map((operator) => operator.stop('SIGKILL')));
    operators = [];
    await client.delete(LEASE, 'default/evio-operator');
  });

  it('of three one acts; another one within seconds when it is stopped, and within the lease when it is killed', async function () {
    this.timeout(180_000);
    const three = [start(), start(), start()];
    const first = await leader(three, 30_000);
    await source('a', '1');
    await copied('a', '1');
    await until('all wait', 10_000, () => three.every(({ output }) => /leads/.test(output)));
    expect(three.filter(({ leads }) => leads)).to.deep.equal([first]);

    const stoppedAt = performance.now();
    expect(await first.stop()).to.equal(0);
    const rest = three.filter((operator) => operator !== first);
    const second = await leader(rest, 10_000);
    console.log(`      ${Math.round(performance.now() - stoppedAt)} ms after one was stopped another one led`);
    await source('a', '2');
    await copied('a', '2');
    expect((await copyOf('a'))?.data?.by).to.equal(second.identity);

    const killedAt = performance.now();
    await second.stop('SIGKILL');
    await leader(
      rest.filter((operator) => operator !== second),
      25_000,
    );
    const took = performance.now() - killedAt;
    console.log(`      ${Math.round(took)} ms after one was killed another one led`);
    expect(took).to.be.greaterThan(10_000);
  });

  it('one that was paused writes nothing any more when it goes on, and ends', async function () {
    this.timeout(180_000);
    const [one, other] = [start(), start()];
    const paused = await leader([one, other], 30_000);
    const next = paused === one ? other : one;
    await source('b', '1');
    await copied('b', '1');
    // Work it is in the middle of, and more that it will find.
    await Promise.all(Array.from({ length: 100 }, (_, n) => source(`late-${n}`, '1')));
    paused.child.kill('SIGSTOP');
    await leader([next], 40_000);
    await Promise.all(Array.from({ length: 100 }, (_, n) => source(`late-${n}`, '2')));
    for (let n = 0; n < 100; n++) await copied(`late-${n}`, '2', 60_000);
    const before = await client.list(CONFIG_MAP, { namespace: 'default', labelSelector: 'test=copy' });
    paused.child.kill('SIGCONT');
    await until('it ends', 10_000, () => paused.over);
    expect(paused.child.exitCode).to.equal(1);
    expect(paused.output).to.include('this process no longer leads: the lease could not be renewed for 10 s');
    const after = await client.list(CONFIG_MAP, { namespace: 'default', labelSelector: 'test=copy' });
    const versions = (maps: typeof before) => maps.map(({ metadata }) => metadata.resourceVersion).sort();
    expect(versions(after)).to.deep.equal(versions(before));
  });

  it('one that is cut off ends within 10 s, before another one acts', async function () {
    this.timeout(180_000);
    const proxy = await FaultProxy.start(api.url, api.ca);
    try {
      const cut = start(proxy.url);
      await leader([cut], 30_000);
      const other = start();
      await until('it waits', 20_000, () => other.output.includes('waits to take over'));
      const at = performance.now();
      proxy.fault = () => ({ kind: 'silent' });
      proxy.befall('half-open');
      await until('it ends', 15_000, () => cut.over);
      const ended = performance.now() - at;
      expect(other.leads).to.equal(false);
      await leader([other], 15_000);
      console.log(
        `      ended ${Math.round(ended)} ms after it was cut off; another one led after ${Math.round(performance.now() - at)} ms`,
      );
      expect(cut.child.exitCode).to.equal(1);
    } finally {
      await proxy.stop();
    }
  });

  it('one goes on after the API server was away for some seconds', async function () {
    this.timeout(120_000);
    const proxy = await FaultProxy.start(api.url, api.ca);
    try {
      const operator = start(proxy.url);
      await leader([operator], 30_000);
      proxy.fault = () => ({ kind: 'refuse' });
      proxy.befall('reset');
      await sleep(4_000);
      proxy.fault = () => undefined;
      await source('c', '1');
      await copied('c', '1', 30_000);
      expect(operator.over).to.equal(false);
    } finally {
      await proxy.stop();
    }
  });

  it('one acts, keeps within its memory with thousands of objects, answers probes, and gives the lease back', async function () {
    this.timeout(300_000);
    const operator = start();
    await leader([operator], 30_000);
    for (let n = 0; n < 1_000; n += 50)
      await Promise.all(Array.from({ length: 50 }, (_, m) => source(`many-${n + m}`, 'v'.repeat(1_000))));
    await copied('many-999', 'v'.repeat(1_000), 120_000);
    await until('all are copied', 120_000, async () => {
      const copies = await client.list(CONFIG_MAP, { namespace: 'default', labelSelector: 'test=copy' });
      return copies.filter(({ metadata }) => metadata.name.startsWith('copy-many-')).length === 1_000;
    });
    const rss = operator.rss();
    console.log(`      ${Math.round(rss / 1024)} MB resident with 2,000 objects of 1 kB in its caches`);
    expect(rss).to.be.lessThan(RSS_MAX_KB);
    expect((await operator.ask('/healthz')).status).to.equal(200);
    expect((await operator.ask('/readyz')).status).to.equal(200);
    const { text } = await operator.ask('/metrics');
    expect(text).to.match(/^evio_operator_leader 1$/m);
    expect(text).to.match(/^evio_operator_queue_depth\{controller="copy"\} 0$/m);
    expect(text).to.match(/^evio_operator_watch_objects\{kind="configmaps default test=copy"\} 1\d\d\d$/m);
    expect(
      Number(/^evio_operator_reconciles_total\{controller="copy",result="success"\} (\d+)/m.exec(text)?.[1]),
    ).to.be.at.least(1_000);
    expect(text).not.to.match(/result="error"/);
    // Each copy is an Event of another object, and all of them together are bounded.
    expect((await client.list(EVENT, { namespace: 'default' })).length).to.be.within(50, 600);

    await client.delete(CONFIG_MAP, 'default/many-7');
    await until('the copy goes too', 10_000, async () => (await copyOf('many-7')) === undefined);
    await client.delete(CONFIG_MAP, 'default/copy-many-8');
    await copied('many-8', 'v'.repeat(1_000));

    expect(await operator.stop()).to.equal(0);
    expect(operator.output).to.include('the end');
    expect((await client.get(LEASE, 'default/evio-operator')).spec?.holderIdentity ?? '').to.equal('');
  });
});
