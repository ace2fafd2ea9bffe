import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { FaultProxy } from '../../../test/servers/fault-proxy.ts';
import type { Answer } from '../kube-api/failure.ts';
import { Connection, type ConnectionOptions, NoAnswer } from './kube-connection.ts';

const connect = (servers: readonly string[], options: ConnectionOptions = {}): Connection =>
  new Connection({ servers, options: async () => ({ headers: { authorization: 'Bearer hunter2' } }) }, options);

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > end) expect.fail('it did not happen');
    await new Promise((done) => setTimeout(done, 5));
  }
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
    connection = connect([proxy.url], { userAgent: 'evio/test' });
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
    expect(JSON.parse(text).headers).to.include({ authorization: 'Bearer hunter2', 'user-agent': 'evio/test' });
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

  describe('to several addresses', () => {
    let straight: string;
    const NOBODY = 'http://127.0.0.1:1';
    const several = (urls: readonly string[], options: ConnectionOptions = {}): Connection => {
      connection.close();
      connection = connect(urls, options);
      return connection;
    };

    beforeEach(() => {
      straight = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });

    it('asks the next one when one cannot be reached, and goes on with it', async () => {
      several([NOBODY, straight]);
      expect((await get()).status).to.equal(200);
      expect(connection.server).to.equal(straight);
    });

    it('says what came of the last one when none can be reached', async () => {
      several([NOBODY, 'http://127.0.0.1:2']);
      expect((await failureOf(get())).message).to.match(/^http:\/\/127\.0\.0\.1:2: nothing answers there/);
    });

    it('does not skip one because two requests at once found the one before it dead', async () => {
      several([NOBODY, straight, 'http://127.0.0.1:2']);
      await Promise.all([get(), get(), get()]);
      expect(connection.server).to.equal(straight);
    });

    it('asks only once for what must not happen twice, and the next time elsewhere', async () => {
      several([NOBODY, straight]);
      const create = { method: 'POST', path: '/x', body: '{}', timeoutMs: 1_000 } as const;
      expect((await failureOf(connection.request(create))).reason).to.equal('Unreachable');
      expect((await connection.request(create)).status).to.equal(200);
    });

    it('asks the next one after an answer of a server that is not well', async () => {
      proxy.fault = () => ({ kind: 'status', status: 503 });
      several([proxy.url, straight]);
      expect((await get()).status).to.equal(503);
      expect((await get()).status).to.equal(200);
    });

    for (const [what, ask] of [
      [
        'a request',
        async () => {
          const abort = new AbortController();
          setTimeout(() => abort.abort(), 30);
          await failureOf(get(60_000, abort.signal));
        },
      ],
      [
        'a stream',
        async () => {
          const handlers = { opened: () => undefined, line: () => undefined, ended: () => undefined };
          const end = connection.stream('/x?watch=true', 60_000, handlers);
          await until(() => (proxy.counts.get('silent') ?? 0) > 0);
          end();
        },
      ],
    ] as const)
      it(`asks the next one when ${what} was given up that had no answer`, async () => {
        proxy.fault = () => ({ kind: 'silent' });
        several([proxy.url, straight]);
        await ask();
        expect(connection.server).to.equal(straight);
      });

    it('takes none for dead because it had closed a connection that was kept', async () => {
      several([proxy.url, straight]);
      await get();
      proxy.fault = () => ({ kind: 'refuse' });
      const problem = await new Promise((ended) => {
        connection.stream('/x?watch=true', 1_000, { opened: () => undefined, line: () => undefined, ended });
      });
      expect(problem).to.include({ reason: 'Unreachable' });
      expect(connection.server).to.equal(proxy.url);
    });

    it('asks the one that answered in an earlier life first, and tells when it is another', async () => {
      const told: (readonly string[])[] = [];
      several([NOBODY, straight], { remembered: [straight], remember: (good) => told.push(good) });
      expect((await get()).status).to.equal(200);
      expect(told).to.deep.equal([]);
      several([straight], { remembered: [NOBODY], remember: (good) => told.push(good) });
      await get();
      expect(told).to.deep.equal([[straight, NOBODY]]);
    });
  });

  it('says that there are no credentials, asks nobody, and takes no address for dead', async () => {
    let asked = 0;
    answer = () => asked++;
    const options = () => Promise.reject(new Error('the plugin said no'));
    const without = new Connection({ servers: [proxy.url, 'http://127.0.0.1:1'], options });
    const failure = await failureOf(without.request({ method: 'GET', path: '/', timeoutMs: 1_000 }));
    expect(failure).to.include({ reason: 'NoCredentials', message: 'no credentials: the plugin said no' });
    expect([asked, without.server]).to.deep.equal([0, proxy.url]);
  });

  it('reads no more of an answer than it may', async () => {
    answer = (_, response) => void response.end('x'.repeat(100_000));
    const small = connect([proxy.url], { maxAnswerBytes: 10_000 });
    const failure = await failureOf(small.request({ method: 'GET', path: '/', timeoutMs: 2_000 }));
    expect(failure).to.include({ reason: 'Garbage', message: `${proxy.url}: an answer too large for an API server` });
    small.close();
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
