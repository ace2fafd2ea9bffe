/** The operator's list and watch with a real API server, over a line where everything goes wrong. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Connection } from '../../../agent/src/io/kube-connection.ts';
import { Informer } from '../../../agent/src/io/kube-informer.ts';
import type { Client } from '../../../agent/src/kube-api/client.ts';
import { ApiFailure } from '../../../agent/src/kube-api/client.ts';
import { CONFIG_MAP, type ConfigMap, NAMESPACE } from '../../../agent/src/kube-api/kinds.ts';
import { keyOf } from '../../../agent/src/kube-api/object.ts';
import { type Asked, type Fault, FaultProxy } from '../../servers/fault-proxy.ts';
import { type KubeApi, startKubeApi } from '../../servers/kube-api.ts';
import { pick, seeded } from '../../sim/random.ts';
import { clientOf, connect, keptLog, stateOf, until } from './kit.ts';

const NS = 'churn';
/** The same machine with less patience: two minutes of silence are long for a test. */
const PATIENCE = { pageMs: 4_000, openMs: 3_000, watchMinSeconds: 10, idleMs: 4_000, backoffMaxMs: 1_000 };
const SETTLE_MS = 40_000;
const OPERATIONS = Number(process.env.EVIO_CHURN ?? 1_000);
const WRITERS = 16;

/** What a cache knows, and what somebody who only hears of its changes knows. */
function follow(connection: Connection) {
  const log = keptLog();
  const informer = new Informer<ConfigMap>({ kind: CONFIG_MAP, namespace: NS, connection, log, patience: PATIENCE });
  const heard = new Map<string, ConfigMap>();
  informer.subscribe((after, before) => {
    if (after !== undefined) heard.set(keyOf(after), after);
    else if (before !== undefined) heard.delete(keyOf(before));
  });
  // A subscriber that fails is nobody else's trouble.
  informer.subscribe(() => {
    throw new Error('a fault of the test');
  });
  informer.start();
  return { informer, heard, log };
}

/** Makes, changes and deletes; what fails because the server is away is left. */
async function churn(client: Client, seed: number, operations: number): Promise<void> {
  const random = seeded(seed);
  let left = operations;
  const writer = async () => {
    while (left-- > 0) {
      const name = `map-${Math.floor(random() * 700)}`;
      const key = `${NS}/${name}`;
      const write =
        random() < 0.25
          ? client.delete(CONFIG_MAP, key)
          : client.apply(CONFIG_MAP, { metadata: { name, namespace: NS }, data: { value: String(random()) } });
      await write.catch((error: unknown) => {
        if (!(error instanceof ApiFailure)) throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

describe("the operator's caches, with a real API server", () => {
  let api: KubeApi;
  let proxy: FaultProxy;
  let client: Client;
  let open: Connection[];

  const settled = async ({ informer, heard }: ReturnType<typeof follow>) => {
    await until('the cache is as the server', SETTLE_MS, async () => {
      const there = stateOf(await client.list(CONFIG_MAP, { namespace: NS }));
      return informer.synced && JSON.stringify(stateOf(informer.list())) === JSON.stringify(there);
    });
    expect(stateOf([...heard.values()])).to.deep.equal(stateOf(informer.list()));
  };
  const start = async () => {
    await api.start();
    await client.apply(NAMESPACE, { metadata: { name: NS } });
  };

  before(async function () {
    this.timeout(120_000);
    api = await startKubeApi();
    open = [connect(api)];
    client = clientOf(open[0] as Connection);
    await start();
    proxy = await FaultProxy.start(api.url, api.ca);
  });
  after(async () => {
    for (const connection of open ?? []) connection.close();
    await proxy?.stop();
    await api?.stop();
  });
  beforeEach(() => {
    proxy.fault = () => undefined;
    proxy.counts.clear();
  });
  const followed = () => {
    const connection = connect(api, { server: proxy.url });
    open.push(connection);
    return follow(connection);
  };

  const where = (random: () => number) => Math.floor(random() ** 3 * 60_000);
  const FAULTS: Readonly<Record<string, (random: () => number, asked: Asked) => Fault | undefined>> = {
    'connections that are cut': (random, { watch }) =>
      random() < 0.3
        ? { kind: 'refuse' }
        : watch || random() < 0.5
          ? { kind: 'reset', after: where(random) }
          : undefined,
    'connections that fall silent': (random, { watch }) =>
      random() < 0.1 ? { kind: 'silent' } : watch ? { kind: 'half-open', after: where(random) } : undefined,
    'answers that end anywhere': (random, { watch }) =>
      watch || random() < 0.5 ? { kind: 'truncate', after: where(random) } : undefined,
    'bytes of nobody': (random, { watch }) =>
      random() < 0.2
        ? { kind: 'html' }
        : watch || random() < 0.3
          ? { kind: 'garbage', after: where(random) }
          : undefined,
    'a server with too much to do': (random, { watch }) =>
      random() < 0.6
        ? { kind: 'status', status: pick(random, [429, 500, 503]), ...(random() < 0.5 && { retryAfter: 1 }) }
        : watch
          ? { kind: 'reset', after: where(random) }
          : undefined,
    'versions and pages that expired': (random) =>
      random() < 0.6 ? { kind: 'status', status: 410 } : { kind: 'truncate', after: where(random) },
    'a slow line': () => ({ kind: 'slow', delayMs: 30 }),
  };
  const all = Object.values(FAULTS);
  const stories = {
    ...FAULTS,
    'everything at once': (random: () => number, asked: Asked) => pick(random, all)(random, asked),
  };

  for (const [name, fault] of Object.entries(stories))
    it(`end as the server over ${name}, while objects come, change and go by the thousand`, async function () {
      this.timeout(180_000);
      const random = seeded(name.length);
      const cache = followed();
      proxy.fault = (asked) => fault(random, asked);
      const befalling = setInterval(() => proxy.befall(random() < 0.5 ? 'reset' : 'half-open'), 1_500);
      await churn(client, name.length, OPERATIONS);
      clearInterval(befalling);
      const befell = [...proxy.counts].reduce((sum, [kind, count]) => (kind === 'none' ? sum : sum + count), 0);
      expect(befell).to.be.greaterThan(0);
      proxy.fault = () => undefined;
      proxy.befall('half-open');
      await settled(cache);
      // And goes on hearing.
      await client.apply(CONFIG_MAP, {
        metadata: { name: `last-${name.length}`, namespace: NS },
        data: { value: 'last' },
      });
      await settled(cache);
      cache.informer.stop();
    });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const)
    it(`end as the server after it was ended by ${signal} in the middle, and started again`, async function () {
      this.timeout(180_000);
      const cache = followed();
      const churning = churn(client, 1, OPERATIONS);
      await sleep(500);
      await api.kill(signal);
      await sleep(1_000);
      await start();
      await churning;
      await settled(cache);
      cache.informer.stop();
    });

  it('end as the server after its data was lost and its versions begin anew', async function () {
    this.timeout(180_000);
    const cache = followed();
    await settled(cache);
    expect(cache.informer.size).to.be.greaterThan(100);
    const [before] = cache.informer.list();
    await api.kill();
    await api.loseData();
    await start();
    await client.apply(CONFIG_MAP, { metadata: { name: 'new', namespace: NS }, data: { value: '1' } });
    await settled(cache);
    const known = cache.informer.get(`${NS}/new`);
    expect(Number(known?.metadata.resourceVersion)).to.be.lessThan(Number(before?.metadata.resourceVersion));
    expect([...cache.heard.keys()].sort()).to.deep.equal(
      cache.informer
        .list()
        .map((map) => keyOf(map))
        .sort(),
    );
    cache.informer.stop();
  });

  // A minute and a half of silence: a step of its own in `make test-full`.
  if (process.env.EVIO_WATCH === 'full')
    it('hear a bookmark about every minute on a quiet watch, and take it up again at its time', async function () {
      this.timeout(150_000);
      const connection = connect(api);
      open.push(connection);
      const log = keptLog();
      // Ends once or twice meanwhile.
      const patience = { watchMinSeconds: 40 };
      const informer = new Informer<ConfigMap>({ kind: CONFIG_MAP, namespace: NS, connection, log, patience });
      informer.start();
      await informer.whenSynced();
      let oldest = 0;
      for (let n = 0; n < 95; n++) {
        await sleep(1_000);
        oldest = Math.max(oldest, informer.lastEventAge ?? 0);
      }
      expect(oldest).to.be.within(10_000, 80_000);
      expect(informer.lists).to.equal(1);
      expect(log.lines).to.deep.equal([]);
      informer.stop();
    });
});
