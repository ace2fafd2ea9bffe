import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { seeded } from '../../../test/sim/random.ts';
import { modelOf } from '../evio-nodes.ts';
import type { Snapshot, Step } from '../feed.ts';
import type { MapModel, TraceShown } from '../model.ts';
import { changed, clusterOf, readiness } from '../testing/cluster.ts';
import type { Assets } from './assets.ts';
import { Live } from './live.ts';
import { MapServer } from './server.ts';

const cluster = clusterOf(8, seeded(2));
const first = cluster[0]?.spec.memberName ?? '';
const second = cluster[1]?.spec.memberName ?? '';
const ill = changed(cluster, first, (status) => ({ ...status, conditions: [readiness(false)] }));
const PAGE: Assets = {
  '/': { type: 'text/html; charset=utf-8', text: '<!doctype html>' },
  '/app.js': { type: 'text/javascript; charset=utf-8', text: '//'.padEnd(2_000, 'x') },
};

/** One request as bytes: fetch would tidy the path. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (data) => {
    text += data.toString();
  });
  socket.write(request);
  await once(socket, 'close');
  return text;
}

describe('the server of the map', () => {
  let model: MapModel;
  let live: Live;
  let server: MapServer;
  const at = (path: string): string => `http://127.0.0.1:${server.port}${path}`;
  const listen = async (headers: Record<string, string> = {}, since = '') => {
    const end = new AbortController();
    const response = await fetch(at(`/api/events?since=${since}`), { headers, signal: end.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const match = pattern.exec(text);
        if (match !== null) return match;
        const part = await reader?.read();
        if (part === undefined || part.done) throw new Error(`ended without ${pattern}: ${text}`);
        text += part.value;
      }
    };
    return { response, until, end: () => end.abort() };
  };

  beforeEach(async () => {
    model = modelOf('default', cluster);
    live = new Live({ read: () => model, busyMs: 20, idleMs: 20 });
    live.start();
    server = await MapServer.listen({
      host: '127.0.0.1',
      port: 0,
      assets: PAGE,
      live,
      names: ['map.example.org'],
      listenersMax: 2,
    });
  });
  afterEach(() => {
    server.close();
    live.stop();
  });

  it('gives the page with a policy that lets nothing from elsewhere in', async () => {
    const response = await fetch(at('/'));
    expect([response.status, response.headers.get('content-type'), await response.text()]).to.deep.equal([
      200,
      'text/html; charset=utf-8',
      '<!doctype html>',
    ]);
    const policy = response.headers.get('content-security-policy') ?? '';
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
    ])
      expect(policy).to.contain(part);
    expect(policy).not.to.match(/unsafe|https?:/);
    expect(response.headers.get('access-control-allow-origin')).to.equal(null);
    expect(response.headers.get('x-content-type-options')).to.equal('nosniff');
  });

  it('gives the whole with a tag, and nothing to who has it', async () => {
    const response = await fetch(at('/api/map'));
    const snapshot = (await response.json()) as Snapshot;
    expect(snapshot.model).to.deep.equal(JSON.parse(JSON.stringify(model)));
    const tag = response.headers.get('etag') ?? '';
    expect(tag).to.equal(`"${snapshot.version}"`);
    const known = await fetch(at('/api/map'), { headers: { 'if-none-match': `W/${tag}` } });
    expect([known.status, await known.text()]).to.deep.equal([304, '']);
    model = modelOf('default', ill);
    expect((await fetch(at('/api/map'), { headers: { 'if-none-match': tag } })).status).to.equal(200);
  });

  it('zips for who can unzip, and answers HEAD without a body', async () => {
    const zipped = await raw(
      server.port,
      'GET /app.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n',
    );
    expect(zipped).to.match(/content-encoding: gzip/i);
    const plain = await raw(server.port, 'HEAD /app.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    expect(plain)
      .to.match(/content-length: 2000/i)
      .and.not.contain('xxxx');
  });

  it('changes nothing: every other method is refused', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const response = await fetch(at('/api/map'), { method });
      expect([response.status, response.headers.get('allow')], method).to.deep.equal([405, 'GET, HEAD']);
    }
  });

  it('runs a trace for who shows the key, one at a time, and for nobody else', async () => {
    const shown: TraceShown = { arrived: true, text: 'at b: all were answered', fix: null, steps: [] };
    const ran: string[] = [];
    let go: (shown: TraceShown) => void = () => undefined;
    const traced = await MapServer.listen({
      ...{ host: '127.0.0.1', port: 0, assets: PAGE, live },
      traces: {
        key: 'the-key',
        run: (from, to) => {
          ran.push(`${from} ${to}`);
          if (to === 'nobody') return Promise.reject(new Error('no member has the name'));
          return new Promise((done) => {
            go = done;
          });
        },
      },
    });
    try {
      const ask = (body: string, authorization = 'Bearer the-key') =>
        fetch(`http://127.0.0.1:${traced.port}/api/trace`, { method: 'POST', body, headers: { authorization } });
      const ends = JSON.stringify({ from: 'a', to: 'b' });
      for (const wrong of ['', 'Bearer ', 'Bearer the-kex', 'Basic the-key'])
        expect((await ask(ends, wrong)).status, wrong).to.equal(401);
      for (const wrong of [
        '',
        '{',
        '{"from":"a"}',
        '{"from":"a","to":7}',
        JSON.stringify({ from: 'a'.repeat(2_000), to: 'b' }),
      ])
        expect((await ask(wrong)).status, wrong.slice(0, 20)).to.equal(400);
      expect(ran).to.deep.equal([]);
      const first = ask(ends);
      while (ran.length === 0) await sleep(5);
      expect((await ask(ends)).status).to.equal(429);
      go(shown);
      expect(await (await first).json()).to.deep.equal(shown);
      const none = await ask(JSON.stringify({ from: 'a', to: 'nobody' }));
      expect([none.status, await none.text()]).to.deep.equal([502, 'no member has the name\n']);
      expect(
        await raw(
          traced.port,
          'POST /api/trace HTTP/1.1\r\nHost: evil.example.net\r\nAuthorization: Bearer the-key\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
        ),
      ).to.match(/^HTTP\/1.1 421 /);
    } finally {
      traced.close();
    }
  });

  it('has its own paths only, whatever is put into one', async () => {
    for (const path of [
      '/../../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '//etc/passwd',
      '/app.js/../server.ts',
      '/api',
      '/API/MAP',
      '/\\..\\x',
    ])
      expect(
        await raw(server.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
        path,
      ).to.match(/^HTTP\/1.1 40[04] /);
    expect(await raw(server.port, 'GET http://[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')).to.match(
      /^HTTP\/1.1 400 /,
    );
  });

  it('answers to addresses, localhost and names that were given, so that no other page can have its own name lead here', async () => {
    for (const [host, status] of [
      ['127.0.0.1:1', 200],
      ['[::1]:1', 200],
      ['localhost', 200],
      ['MAP.example.org', 200],
      ['evil.example.net', 421],
      ['', 421],
    ] as const)
      expect(
        await raw(server.port, `GET /api/map HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        host,
      ).to.match(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('tells steps as they come, to who was there before and to who comes again', async () => {
    const { version } = (await (await fetch(at('/api/map'))).json()) as Snapshot;
    const page = await listen({}, version);
    expect(page.response.headers.get('content-type')).to.equal('text/event-stream; charset=utf-8');
    model = modelOf('default', ill);
    const [, id, data = ''] = await page.until(/id: (\S+)\nevent: step\ndata: (.*)\n/);
    const step = JSON.parse(data) as Step;
    expect([step.from, step.version]).to.deep.equal([version, id]);
    expect(step.events.map(({ text }) => text)).to.deep.equal([`${first} is not ready (SignallingLost)`]);
    const again = await listen({ 'last-event-id': version });
    await again.until(new RegExp(`id: ${id}`));
    page.end();
    again.end();
  });

  it('tells who comes with a version of another process to begin anew', async () => {
    const page = await listen({}, 'other-7');
    await page.until(/event: reset/);
    page.end();
  });

  it('has so many listeners at once, and room again when one has left', async () => {
    const pages = [await listen(), await listen()];
    const refused = await fetch(at('/api/events'));
    expect([refused.status, refused.headers.get('retry-after')]).to.deep.equal([503, '10']);
    pages[0]?.end();
    while (server.listeners > 1) await sleep(5);
    const third = await listen();
    expect(third.response.status).to.equal(200);
    for (const page of [...pages, third]) page.end();
  });

  it('tells the way between two members', async () => {
    await fetch(at('/api/map'));
    const route = await (await fetch(at(`/api/route?from=${first}&to=${second}`))).json();
    expect(route).to.include({ from: first, to: second, reach: 'whole' });
    expect((await fetch(at('/api/route?from=x'))).status).to.equal(404);
  });

  it('ends at once, with pages that listen', async () => {
    const page = await listen();
    const { port } = server;
    server.close();
    expect(await page.until(/never/).catch((error: Error) => error.message)).to.match(/ended without|terminated/);
    expect(await fetch(`http://127.0.0.1:${port}/`).catch(() => 'gone')).to.equal('gone');
  }).timeout(3_000);

  it('says in one line that the port is taken', async () => {
    const failure = await MapServer.listen({ host: '127.0.0.1', port: server.port, assets: PAGE, live }).catch(
      (error: Error) => error.message,
    );
    expect(failure).to.equal(
      `cannot listen on 127.0.0.1 port ${server.port} for the map: something else has this port`,
    );
  });

  it('keeps what it has while its source fails, and says why', async () => {
    const told: (string | undefined)[] = [];
    let failing = false;
    const other = new Live({
      read: () => {
        if (failing) throw new Error('the agent is away');
        return model;
      },
      failed: (problem) => told.push(problem),
    });
    const { version } = await other.snapshot();
    failing = true;
    expect((await other.snapshot()).version).to.equal(version);
    expect(other.problem).to.equal('the agent is away');
    failing = false;
    await other.snapshot();
    expect(told).to.deep.equal(['the agent is away', undefined]);
    other.stop();
  });
});
