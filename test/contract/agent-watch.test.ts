/** The agent's watch of its one object, with a real API server and a network that does to it what networks do. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Server } from 'node:tls';
import { expect } from 'chai';
import { apiServerAccess } from '../../agent/src/io/kube-access.ts';
import { ApiClient } from '../../agent/src/io/kube-client.ts';
import { Connection } from '../../agent/src/io/kube-connection.ts';
import { watchObject } from '../../agent/src/io/kube-informer.ts';
import { ServiceAccount } from '../../agent/src/io/service-account.ts';
import type { ApiFailure } from '../../agent/src/kube-api/client.ts';
import { CONFIG_MAP } from '../../agent/src/kube-api/kinds.ts';
import { TestAuthority } from '../servers/certificates.ts';
import { type Asked, type Fault, FaultProxy } from '../servers/fault-proxy.ts';
import { type KubeApi, startKubeApi } from '../servers/kube-api.ts';
import { relay } from '../servers/relay.ts';

const PATH = '/api/v1/namespaces/default/configmaps';
const NAME = 'watched';
const STORM_MS = 12_000;
/** Back-off and idle time are shorter. */
const SETTLE_MS = 60_000;
const PATIENCE = { idleMs: 2_000, backoffMaxMs: 2_000, pageMs: 10_000, openMs: 10_000 };

describe("the agent's watch, with a real API server", function () {
  this.timeout(120_000);
  const dir = mkdtempSync(join(tmpdir(), 'evio-agent-watch-'));
  let api: KubeApi;
  let proxy: FaultProxy;
  let door: Server;
  const connections: Connection[] = [];

  /** Reaches the server through the proxy: TLS ends at a door of ours before it. */
  function throughProxy(): Connection {
    const url = `https://127.0.0.1:${(door.address() as AddressInfo).port}`;
    const made = new Connection(apiServerAccess([url], new ServiceAccount(join(dir, 'account'))));
    connections.push(made);
    return made;
  }
  const present = async (): Promise<string> => {
    const { status, body } = await api.request('GET', `${PATH}/${NAME}`);
    return status === 404 ? 'none' : `${body.metadata.uid} ${body.data?.value}`;
  };
  const change = async (value: string): Promise<void> => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: NAME }, data: { value } };
    await api.request('PATCH', `${PATH}/${NAME}?fieldManager=test&force=true`, body, {
      type: 'application/apply-patch+yaml',
    });
  };

  before(async () => {
    api = await startKubeApi();
    proxy = await FaultProxy.start(api.url, api.ca);
    const authority = new TestAuthority(dir);
    const { key, crt } = authority.issue('door', ['kubernetes.default.svc']);
    door = createServer({ key: readFileSync(key), cert: readFileSync(crt) }, (socket) =>
      relay(socket, connect(Number(new URL(proxy.url).port), '127.0.0.1')),
    );
    await new Promise<void>((done) => door.listen(0, '127.0.0.1', done));
    mkdirSync(join(dir, 'account'));
    writeFileSync(join(dir, 'account', 'token'), api.tokens.admin ?? '');
    writeFileSync(join(dir, 'account', 'ca.crt'), authority.certificate);
  });
  after(async () => {
    for (const one of connections) one.close();
    door?.close();
    await proxy?.stop();
    await api?.stop();
    rmSync(dir, { recursive: true });
  });

  const where = (): number => Math.floor(Math.random() ** 2 * 4_000);
  const stories: Readonly<Record<string, (asked: Asked) => Fault | undefined>> = {
    'connections that are cut': ({ watch }) =>
      Math.random() < 0.3 ? { kind: 'refuse' } : watch ? { kind: 'reset', after: where() } : undefined,
    'connections that fall silent': ({ watch }) => (watch ? { kind: 'half-open', after: where() } : undefined),
    'answers that end anywhere': ({ watch }) =>
      watch || Math.random() < 0.5 ? { kind: 'truncate', after: where() } : undefined,
    'bytes of nobody': ({ watch }) =>
      Math.random() < 0.2 ? { kind: 'html' } : watch ? { kind: 'garbage', after: where() } : undefined,
    'versions that expired': ({ watch }) =>
      watch && Math.random() < 0.6 ? { kind: 'status', status: 410 } : { kind: 'truncate', after: where() },
    'a server with too much to do': ({ watch }) =>
      Math.random() < 0.5
        ? { kind: 'status', status: 429, retryAfter: 1 }
        : watch
          ? { kind: 'reset', after: where() }
          : undefined,
  };
  for (const [name, fault] of Object.entries(stories))
    it(`ends with what is there over ${name}, while the object comes, changes and goes`, async () => {
      let told = 'nothing';
      let tellings = 0;
      const log = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };
      const watch = watchObject(
        `default/${NAME}`,
        { kind: CONFIG_MAP, connection: throughProxy(), log, patience: PATIENCE },
        (object) => {
          tellings++;
          told = object === undefined ? 'none' : `${object.metadata.uid} ${object.data?.value}`;
        },
      );
      proxy.fault = fault;
      watch.start();
      const end = performance.now() + STORM_MS;
      for (let n = 0; performance.now() < end; n++) {
        if (n % 7 === 6) await api.request('DELETE', `${PATH}/${NAME}`);
        else await change(`${name} ${n}`);
        await sleep(50);
      }
      // The network is mended, and the last change was in the storm.
      proxy.fault = () => undefined;
      const wanted = await present();
      const late = performance.now() + SETTLE_MS;
      while (told !== wanted && performance.now() < late) await sleep(50);
      watch.stop();
      expect(told).to.equal(wanted);
      expect(tellings).to.be.greaterThan(1);
    });

  it('applies, patches with a test, and is told in words what is refused', async () => {
    proxy.fault = () => undefined;
    const client = new ApiClient(throughProxy(), { fieldManager: 'evio-agent' });
    const key = 'default/applied';
    const wanted = { metadata: { name: 'applied', namespace: 'default' }, data: { value: 'a' } };
    expect((await client.apply(CONFIG_MAP, wanted)).data).to.deep.equal({ value: 'a' });
    const patch = (value: string) =>
      [
        { op: 'test', path: '/data/value', value },
        { op: 'remove', path: '/data/value' },
      ] as const;
    const refused = await client.patch(CONFIG_MAP, key, patch('b')).then(
      () => expect.fail('it was taken'),
      (error: ApiFailure) => error,
    );
    expect(refused.status).to.equal(422);
    expect(refused.message).to.match(/^cannot patch configmaps default\/applied: it is refused: ./);
    expect((await client.patch(CONFIG_MAP, key, patch('a'))).data).to.equal(undefined);
    const missing = await client.get(CONFIG_MAP, 'default/none').catch((error: ApiFailure) => error);
    expect(missing).to.have.property('message', 'cannot get configmaps default/none: configmaps "none" not found');
  });
});
