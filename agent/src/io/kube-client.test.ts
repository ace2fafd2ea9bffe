/** How requests and watches are framed, and what befalls a connection; the answers themselves are the real API server's elsewhere. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TestAuthority } from '../../../test/servers/certificates.ts';
import type { KubeError } from '../kube/api-error.ts';
import { Endpoints } from '../kube-api/endpoints.ts';
import { KubeClient, PATCH } from './kube-client.ts';
import { KubeWatch } from './kube-watch.ts';
import { ServiceAccount } from './service-account.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const THINGS = '/apis/example.org/v1/things';
const thing = (version: string) => ({ metadata: { name: 'a', uid: 'u', resourceVersion: version } });

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) expect.fail(`it did not happen: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

describe("the agent's client of the API server", () => {
  const dir = mkdtempSync(join(tmpdir(), 'evio-kube-'));
  const servers: Server[] = [];
  const clients: KubeClient[] = [];
  const account = join(dir, 'account');
  let authority: TestAuthority;

  /** The server's URL: an address that its certificate does not name. */
  async function serve(handler: Handler, names: readonly string[] = ['kubernetes.default.svc']): Promise<string> {
    const { key, crt } = authority.issue(`server${servers.length}`, names);
    const server = createServer({ key: readFileSync(key), cert: readFileSync(crt) }, (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => handler(request, response, Buffer.concat(parts).toString()));
    });
    servers.push(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  function client(urls: readonly string[], remember: (good: readonly string[]) => void = () => undefined): KubeClient {
    const made = new KubeClient({
      endpoints: new Endpoints(urls, []),
      account: new ServiceAccount(account),
      remember,
      userAgent: 'evio-agent/test',
    });
    clients.push(made);
    return made;
  }
  const ok = (response: ServerResponse, value: object): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const refused = (promise: Promise<unknown>): Promise<KubeError> =>
    promise.then(
      () => expect.fail('it was answered'),
      (error: KubeError) => error,
    );

  before(() => {
    authority = new TestAuthority(dir);
    mkdirSync(account);
    writeFileSync(join(account, 'token'), 'first-token\n');
    writeFileSync(join(account, 'ca.crt'), authority.certificate);
  });
  afterEach(() => {
    for (const one of clients.splice(0)) one.close();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  after(() => rmSync(dir, { recursive: true }));

  it('sends the token as it is now, and a patch with its type', async () => {
    const seen: string[] = [];
    const url = await serve((request, response, body) => {
      seen.push(`${request.headers.authorization} ${request.headers['content-type']} ${request.url} ${body}`);
      ok(response, thing('1'));
    });
    const api = client([url]);
    await api.request({ method: 'PATCH', path: `${THINGS}/a?force=true`, contentType: PATCH.apply, body: { a: 1 } });
    writeFileSync(join(account, 'next'), 'second-token\n');
    renameSync(join(account, 'next'), join(account, 'token'));
    await api.request({ method: 'GET', path: `${THINGS}/a` });
    expect(seen).to.deep.equal([
      `Bearer first-token ${PATCH.apply} ${THINGS}/a?force=true {"a":1}`,
      `Bearer second-token undefined ${THINGS}/a `,
    ]);
  });

  it('asks the next address when one does not answer, and tells which one did', async () => {
    const dead = await serve((_, response) => void response.socket?.destroy());
    const url = await serve((_, response) => ok(response, thing('1')));
    let good: readonly string[] = [];
    const api = client([dead, url], (list) => {
      good = list;
    });
    expect(await api.request({ method: 'GET', path: THINGS })).to.deep.equal(thing('1'));
    expect(good).to.deep.equal([url]);
  });

  it('tells one line of what was asked, where, and what came of it, without the token', async () => {
    const url = await serve((_, response) => {
      response.writeHead(403).end(JSON.stringify({ kind: 'Status', message: 'things "a" is forbidden:\nno' }));
    });
    const forbidden = await refused(client([url]).request({ method: 'GET', path: `${THINGS}/a?x=y` }));
    expect(forbidden.status).to.equal(403);
    expect(forbidden.message).to.equal(`API server: GET ${THINGS}/a: 403: things "a" is forbidden: no`);
    const nobody = await refused(client(['https://127.0.0.1:1']).request({ method: 'GET', path: THINGS }));
    expect(nobody.message).to.equal('API server https://127.0.0.1:1: connection refused');
    const { message } = await refused(client([url]).request({ method: 'GET', path: THINGS }));
    expect(message).to.not.match(/token/);
  });

  it('sends nothing to a server that another authority vouches for, nor to one with another name', async () => {
    let asked = 0;
    const count: Handler = (_, response) => {
      asked++;
      ok(response, {});
    };
    const named = await serve(count, ['other.example.org']);
    expect((await refused(client([named]).request({ method: 'GET', path: THINGS }))).message).to.match(/127\.0\.0\.1/);
    const known = authority;
    authority = new TestAuthority(dir, 'other');
    const foreign = await serve(count);
    authority = known;
    expect((await refused(client([foreign]).request({ method: 'GET', path: THINGS }))).message).to.match(/certificate/);
    expect(asked).to.equal(0);
  });

  it('waits as long as it is asked to', async () => {
    const url = await serve((_, response) => response.writeHead(429, { 'retry-after': '7' }).end('{}'));
    expect((await refused(client([url]).request({ method: 'GET', path: THINGS }))).retryAfterMs).to.equal(7_000);
  });

  it('takes an answer that is no JSON for none', async () => {
    const url = await serve((_, response) => response.writeHead(200).end('<html>'));
    expect((await refused(client([url]).request({ method: 'GET', path: THINGS }))).message).to.match(/no JSON object/);
  });

  it('says so when the token cannot be read', async () => {
    const api = new KubeClient({
      endpoints: new Endpoints(['https://127.0.0.1:1'], []),
      account: new ServiceAccount(join(dir, 'none')),
      remember: () => undefined,
      userAgent: '',
    });
    expect((await refused(api.request({ method: 'GET', path: THINGS }))).message).to.match(
      /cannot read .*none\/token: there is no such file; the pod needs its service account's token/,
    );
  });

  it('follows one object through a watch that is cut within a line, ends, and is told 410', async () => {
    const asked: string[] = [];
    let watches = 0;
    const url = await serve((request, response) => {
      const query = new URL(request.url ?? '', 'https://x').searchParams;
      asked.push(`${query.get('watch') ?? 'list'} ${query.get('resourceVersion') ?? ''} ${query.get('fieldSelector')}`);
      if (query.get('watch') === null) {
        ok(response, {
          metadata: { resourceVersion: watches === 0 ? '5' : '30' },
          items: [thing(watches === 0 ? '4' : '20')],
        });
        return;
      }
      const event = (type: string, version: string) => `${JSON.stringify({ type, object: thing(version) })}\n`;
      response.writeHead(200);
      switch (watches++) {
        case 0:
          // Two events in two pieces, and an orderly end.
          response.write(event('MODIFIED', '6').slice(0, 20));
          setTimeout(() => response.end(event('MODIFIED', '6').slice(20) + event('BOOKMARK', '9')), 50);
          return;
        case 1:
          // The line is cut with the connection.
          response.write(event('MODIFIED', '10').slice(0, 9));
          setTimeout(() => response.socket?.destroy(), 50);
          return;
        case 2:
          response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`);
          return;
        case 3:
          response.write(event('DELETED', '31'));
          return;
      }
    });
    const told: string[] = [];
    const problems: string[] = [];
    const watch = new KubeWatch<ReturnType<typeof thing>>(client([url]), THINGS, 'a', {
      object: (object) => told.push(object?.metadata.resourceVersion ?? 'gone'),
      problem: (error) => problems.push(error.message),
      well: () => undefined,
    });
    watch.start();
    await until('the deletion is told', () => told.includes('gone'));
    watch.stop();
    expect(told).to.deep.equal(['4', '6', '20', 'gone']);
    expect(asked).to.deep.equal([
      'list  metadata.name=a',
      '1 5 metadata.name=a',
      '1 9 metadata.name=a',
      'list  metadata.name=a',
      '1 30 metadata.name=a',
      'list  metadata.name=a',
      '1 30 metadata.name=a',
    ]);
    expect(problems).to.have.length(1);
    expect(problems[0]).to.match(/^API server: GET .*things: the connection was lost$/);
  });
});
