import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { expect } from 'chai';
import { FaultProxy } from '../../../test/servers/fault-proxy.ts';
import type { Answer } from '../kube/failure.ts';
import { findAccess, fromKubeConfig } from './access.ts';
import { Connection, NoAnswer } from './connection.ts';

/** client-node takes http only together with skipTLSVerify. */
function connect(server: string): Connection {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server, skipTLSVerify: true }, { name: 'u', token: 'hunter2' });
  return new Connection(fromKubeConfig(config));
}

async function failureOf(promise: Promise<unknown>): Promise<NoAnswer> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(NoAnswer);
  return error as NoAnswer;
}

describe('a connection to an API server', () => {
  let server: Server;
  let proxy: FaultProxy;
  let connection: Connection;
  let answer: RequestListener;
  const get = (timeoutMs = 2_000, signal?: AbortSignal) =>
    connection.request({ method: 'GET', path: '/api/v1/nodes', timeoutMs, signal });

  beforeEach(async () => {
    answer = (request, response) => {
      response.setHeader('retry-after', '3');
      response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
    };
    server = createServer((request, response) => answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    proxy = await FaultProxy.start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    connection = connect(proxy.url);
  });
  afterEach(async () => {
    connection.close();
    await proxy.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('asks with credentials and gives the answer as it is', async () => {
    const { status, text, retryAfter } = await get();
    expect([status, retryAfter]).to.deep.equal([200, '3']);
    expect(JSON.parse(text)).to.deep.include({ method: 'GET', url: '/api/v1/nodes' });
    expect(JSON.parse(text).headers).to.include({ authorization: 'Bearer hunter2', 'user-agent': 'evio-operator' });
  });

  for (const [name, fault, reason] of [
    ['is cut before an answer', { kind: 'refuse' }, 'Unreachable'],
    ['is cut in the middle of an answer', { kind: 'reset', after: 10 }, 'Unreachable'],
    ['falls silent before an answer', { kind: 'silent' }, 'NoAnswer'],
    ['falls silent in the middle of an answer', { kind: 'half-open', after: 10 }, 'NoAnswer'],
  ] as const)
    it(`that ${name} is a failure in time, in one line without a credential`, async () => {
      proxy.fault = () => fault;
      const failure = await failureOf(get(300));
      expect(failure.reason).to.equal(reason);
      expect(failure.message)
        .to.include(proxy.url)
        .and.not.match(/hunter2|\n/);
    });

  it('asks again when the server had closed a connection that was kept', async () => {
    await get();
    let asked = 0;
    proxy.fault = () => (asked++ === 0 ? { kind: 'refuse' } : undefined);
    expect((await get()).status).to.equal(200);
    expect(asked).to.equal(2);
  });

  it('does not ask twice for what must not happen twice', async () => {
    await get();
    proxy.fault = () => ({ kind: 'refuse' });
    await failureOf(connection.request({ method: 'POST', path: '/x', body: '{}', timeoutMs: 1_000 }));
    expect(proxy.counts.get('refuse')).to.equal(1);
  });

  it('that is closed ends what is on its way, and refuses what comes after', async () => {
    proxy.fault = () => ({ kind: 'silent' });
    const waiting = failureOf(get(60_000));
    setTimeout(() => connection.close(), 50);
    expect((await waiting).reason).to.equal('Closed');
    expect((await failureOf(get())).reason).to.equal('Closed');
  });

  it('writes nothing when it may no more once it is connected', async () => {
    let connected = 0;
    server.on('connection', () => connected++);
    const direct = new Connection({
      servers: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
      options: async () => ({}),
    });
    let asked = 0;
    answer = (_, response) => {
      asked++;
      response.end('{}');
    };
    const ask = { method: 'PATCH', path: '/x', body: '{}', timeoutMs: 1_000, may: () => connected === 0 } as const;
    expect((await direct.request({ ...ask, may: () => true })).status).to.equal(200);
    expect((await failureOf(direct.request(ask))).reason).to.equal('NotLeading');
    direct.close();
    const anew = new Connection({
      servers: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
      options: async () => ({}),
    });
    const refused = failureOf(anew.request({ ...ask, may: () => false }));
    expect((await refused).reason).to.equal('NotLeading');
    anew.close();
    expect([asked, connected]).to.deep.equal([1, 2]);
  });

  it('ends a request when it is told to', async () => {
    proxy.fault = () => ({ kind: 'silent' });
    const abort = new AbortController();
    const waiting = failureOf(get(60_000, abort.signal));
    setTimeout(() => abort.abort(), 20);
    expect((await waiting).reason).to.equal('Closed');
  });

  it('says where nothing listens', async () => {
    await proxy.stop();
    expect((await failureOf(get())).message).to.match(/nothing answers there: see whether the API server is up/);
    proxy = await FaultProxy.start('http://127.0.0.1:1');
  });

  describe('as a stream', () => {
    /** Lines until the end; `chunks` are what the server writes, one after the other. */
    const stream = (chunks: readonly string[], end: 'end' | 'cut' = 'end') => {
      answer = async (_, response) => {
        response.flushHeaders();
        for (const chunk of chunks) {
          response.write(chunk);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        if (end === 'cut') response.destroy();
        else response.end();
      };
      const lines: string[] = [];
      let opened = 0;
      return new Promise<{ lines: string[]; opened: number; problem: NoAnswer | Answer | undefined }>((resolve) => {
        connection.stream('/api/v1/nodes?watch=true', 300, {
          opened: () => opened++,
          line: (line) => lines.push(line),
          ended: (problem) => resolve({ lines, opened, problem }),
        });
      });
    };

    it('gives lines however they were cut into parts', async () => {
      const { lines, opened, problem } = await stream(['{"a":', '"ü', '"}\n{"b":1}\n{"c"', ':2}\n']);
      expect(lines).to.deep.equal(['{"a":"ü"}', '{"b":1}', '{"c":2}']);
      expect([opened, problem]).to.deep.equal([1, undefined]);
    });

    it('that ends in the middle of a line says so', async () => {
      const { lines, problem } = await stream(['{"a":1}\n{"b"']);
      expect(lines).to.deep.equal(['{"a":1}']);
      expect((problem as NoAnswer).reason).to.equal('Garbage');
    });

    it('that is cut says so', async () => {
      expect(((await stream(['{"a":1}\n'], 'cut')).problem as NoAnswer).reason).to.equal('Unreachable');
    });

    it('that is refused gives the answer', async () => {
      proxy.fault = () => ({ kind: 'status', status: 429, retryAfter: 7 });
      const { opened, problem } = await stream([]);
      expect(opened).to.equal(0);
      expect(problem).to.deep.include({ status: 429, retryAfter: '7' });
    });

    it('that does not begin in time is a failure', async () => {
      proxy.fault = () => ({ kind: 'silent' });
      expect(((await stream([])).problem as NoAnswer).reason).to.equal('NoAnswer');
    });

    it('tells nothing more after it was ended', async () => {
      const told: string[] = [];
      answer = (_, response) => void response.write('{"a":1}\n'.repeat(1_000));
      await new Promise<void>((resolve) => {
        const end = connection.stream('/x?watch=true', 1_000, {
          opened: () => {},
          line: (line) => {
            told.push(line);
            end();
            setTimeout(resolve, 50);
          },
          ended: () => told.push('ended'),
        });
      });
      expect(told).to.deep.equal(['{"a":1}']);
    });
  });
});

describe('finding an API server', () => {
  let folder: string;
  const kept = { ...process.env };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evio-access-'));
    for (const name of ['KUBECONFIG', 'KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) delete process.env[name];
  });
  afterEach(() => {
    process.env = { ...kept };
    rmSync(folder, { recursive: true });
  });
  const failure = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'none',
      (error: Error) => error.message,
    );

  it('says in one line what is wrong with a kubeconfig', async () => {
    expect(await failure(findAccess({ kubeconfig: `${folder}/none` }))).to.equal(
      `cannot read the kubeconfig ${folder}/none: there is no such file`,
    );
    writeFileSync(`${folder}/bad`, 'password: "hunter2');
    expect(await failure(findAccess({ kubeconfig: `${folder}/bad` }))).to.equal(
      `cannot read the kubeconfig ${folder}/bad: it is no kubeconfig`,
    );
    writeFileSync(
      `${folder}/empty`,
      JSON.stringify({ clusters: [], users: [], contexts: [], 'current-context': 'none' }),
    );
    expect(await failure(findAccess({ kubeconfig: `${folder}/empty` }))).to.equal(
      `the kubeconfig ${folder}/empty has no cluster with a server for its context "none"`,
    );
    expect(await failure(findAccess({ kubeconfig: `${folder}/empty`, servers: ['nonsense'] }))).to.include('is no URL');
  });

  it('says in one line that there is neither a kubeconfig nor a service account', async () => {
    expect(await failure(findAccess({ serviceAccount: folder }))).to.match(/^no API server: .*--kubeconfig/);
  });

  it('takes the service account of the pod, with its token as it is now', async () => {
    Object.assign(process.env, { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' });
    writeFileSync(`${folder}/ca.crt`, 'authority');
    writeFileSync(`${folder}/token`, 'first\n');
    const access = await findAccess({ serviceAccount: folder });
    expect(access.servers).to.deep.equal(['https://[fd00::1]:6443']);
    expect(await access.options()).to.deep.equal({
      ca: Buffer.from('authority'),
      headers: { authorization: 'Bearer first' },
    });
    writeFileSync(`${folder}/token`, 'second');
    expect((await access.options()).headers).to.deep.equal({ authorization: 'Bearer second' });
  });

  it('asks the next of several servers when one does not answer', async () => {
    const server = createServer((_, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const connection = new Connection({ servers: ['http://127.0.0.1:1', url], options: async () => ({}) });
    const get = () => connection.request({ method: 'GET', path: '/', timeoutMs: 1_000 });
    expect((await failureOf(get())).reason).to.equal('Unreachable');
    expect((await get()).status).to.equal(200);
    expect((await get()).status).to.equal(200);
    connection.close();
    // Several that fail together are one failure: with two servers two would lead back to the first.
    const crowd = new Connection({ servers: ['http://127.0.0.1:1', url], options: async () => ({}) });
    const ask = () => crowd.request({ method: 'GET', path: '/', timeoutMs: 1_000 });
    await Promise.all([failureOf(ask()), failureOf(ask())]);
    expect((await ask()).status).to.equal(200);
    crowd.close();
    server.close();
  });

  it('asks where the API server was seen before it asks the Service, unless somebody has said where it is', async () => {
    Object.assign(process.env, { KUBERNETES_SERVICE_HOST: '10.96.0.1' });
    writeFileSync(`${folder}/token`, 'any');
    const first = ['https://203.0.113.6:6443'];
    const service = 'https://10.96.0.1:443';
    const serversOf = async (options: object) => (await findAccess({ serviceAccount: folder, ...options })).servers;
    expect(await serversOf({ first })).to.deep.equal([...first, service]);
    expect(await serversOf({ first: [] })).to.deep.equal([service]);
    expect(await serversOf({ first, servers: ['https://named:6443'] })).to.deep.equal(['https://named:6443']);
  });
});
