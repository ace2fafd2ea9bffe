import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { expect } from 'chai';
import { FaultProxy } from '../../../test/servers/fault-proxy.ts';
import type { Answer } from '../kube/failure.ts';
import { Connection, NoAnswer } from './connection.ts';

/** client-node takes http only together with skipTLSVerify. */
function connect(server: string): Connection {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server, skipTLSVerify: true }, { name: 'u', token: 'hunter2' });
  return Connection.of(config);
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
  it('says in one line what is wrong with a kubeconfig', () => {
    expect(() => Connection.load({ kubeconfig: '/nowhere/config' })).to.throw(
      /^cannot read the kubeconfig \/nowhere\/config: ENOENT/,
    );
    const config = new KubeConfig();
    config.loadFromOptions({ clusters: [], users: [], contexts: [], currentContext: 'none' });
    expect(() => Connection.of(config)).to.throw('no cluster with a server for its context "none"');
  });

  it('says in one line that there is neither a kubeconfig nor a service account', () => {
    const { KUBECONFIG, KUBERNETES_SERVICE_HOST } = process.env;
    delete process.env.KUBECONFIG;
    delete process.env.KUBERNETES_SERVICE_HOST;
    try {
      expect(() => Connection.load()).to.throw(/^no API server: .*--kubeconfig/);
    } finally {
      if (KUBECONFIG !== undefined) process.env.KUBECONFIG = KUBECONFIG;
      if (KUBERNETES_SERVICE_HOST !== undefined) process.env.KUBERNETES_SERVICE_HOST = KUBERNETES_SERVICE_HOST;
    }
  });
});
