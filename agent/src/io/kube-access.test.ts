/** An agent's requests and its watch as they are on the wire; the answers themselves are the real API server's elsewhere. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TestAuthority } from '../../../test/servers/certificates.ts';
import type { ApiFailure } from '../kube-api/client.ts';
import type { Kind, KubeObject } from '../kube-api/object.ts';
import { apiServerAccess } from './kube-access.ts';
import { ApiClient } from './kube-client.ts';
import { Connection } from './kube-connection.ts';
import { watchObject } from './kube-informer.ts';
import { ServiceAccount } from './service-account.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

type Thing = KubeObject & { readonly spec?: { readonly value: number } };
const THING: Kind<Thing> = { group: 'example.org', version: 'v1', kind: 'Thing', plural: 'things', namespaced: false };
const THINGS = '/apis/example.org/v1/things';
const thing = (version: string, uid = 'u') => ({ metadata: { name: 'a', uid, resourceVersion: version } });
const list = (version: string, ...items: readonly object[]) => ({ metadata: { resourceVersion: version }, items });
const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const QUIET = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) expect.fail(`it did not happen: ${what}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

describe("an agent's way to the API server", () => {
  const dir = mkdtempSync(join(tmpdir(), 'evio-kube-'));
  const servers: Server[] = [];
  const connections: Connection[] = [];
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
  function connect(urls: readonly string[], remember: (good: readonly string[]) => void = () => undefined): Connection {
    const access = apiServerAccess(urls, new ServiceAccount(account));
    const made = new Connection(access, { userAgent: 'evio-agent/test', remember });
    connections.push(made);
    return made;
  }
  const client = (...parameters: Parameters<typeof connect>): ApiClient =>
    new ApiClient(connect(...parameters), { fieldManager: 'evio-agent' });
  const ok = (response: ServerResponse, value: object): void => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const refused = (promise: Promise<unknown>): Promise<ApiFailure> =>
    promise.then(
      () => expect.fail('it was answered'),
      (error: ApiFailure) => error,
    );

  before(() => {
    authority = new TestAuthority(dir);
    mkdirSync(account);
    writeFileSync(join(account, 'token'), 'first-token\n');
    writeFileSync(join(account, 'ca.crt'), authority.certificate);
  });
  afterEach(() => {
    for (const one of connections.splice(0)) one.close();
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
    await api.apply(THING, { metadata: { name: 'a' }, spec: { value: 1 } });
    writeFileSync(join(account, 'next'), 'second-token\n');
    renameSync(join(account, 'next'), join(account, 'token'));
    await api.get(THING, 'a');
    const applied = { apiVersion: 'example.org/v1', kind: 'Thing', metadata: { name: 'a' }, spec: { value: 1 } };
    expect(seen).to.deep.equal([
      `Bearer first-token application/apply-patch+yaml ${THINGS}/a?fieldManager=evio-agent&force=true ${JSON.stringify(applied)}`,
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
    expect((await api.get(THING, 'a')).metadata.resourceVersion).to.equal('1');
    expect(good).to.deep.equal([url]);
  });

  it('tells one line of what was asked, where, and what came of it, without the token', async () => {
    const url = await serve((_, response) => {
      response.writeHead(403).end(JSON.stringify({ kind: 'Status', message: 'things "a" is forbidden:\nno' }));
    });
    const forbidden = await refused(client([url]).get(THING, 'a'));
    expect(forbidden.status).to.equal(403);
    expect(forbidden.message).to.equal('cannot get things.example.org a: it is forbidden: things "a" is forbidden: no');
    const nobody = await refused(client(['https://127.0.0.1:1']).get(THING, 'a'));
    const why = 'https://127.0.0.1:1: nothing answers there: see whether the API server is up (ECONNREFUSED)';
    expect(nobody).to.include({ status: 0, message: `cannot get things.example.org a: ${why}`, why });
    for (const { message } of [forbidden, nobody]) expect(message).to.not.match(/token/);
  });

  it('sends nothing to a server that another authority vouches for, nor to one with another name', async () => {
    let asked = 0;
    const count: Handler = (_, response) => {
      asked++;
      ok(response, {});
    };
    const named = await serve(count, ['other.example.org']);
    expect((await refused(client([named]).get(THING, 'a'))).message).to.match(/127\.0\.0\.1/);
    const known = authority;
    authority = new TestAuthority(dir, 'other');
    const foreign = await serve(count);
    authority = known;
    expect((await refused(client([foreign]).get(THING, 'a'))).message).to.match(/certificate/);
    expect(asked).to.equal(0);
  });

  it('takes the name that every API server has, or the one that was asked', async () => {
    for (const names of [['kubernetes.default.svc'], ['127.0.0.1']] as const) {
      const url = await serve((_, response) => ok(response, thing('1')), names);
      expect((await client([url]).get(THING, 'a')).metadata.uid).to.equal('u');
    }
  });

  it('is told how long it is asked to wait', async () => {
    const url = await serve((_, response) => response.writeHead(429, { 'retry-after': '7' }).end('{}'));
    expect((await refused(client([url]).get(THING, 'a'))).retryAfterMs).to.equal(7_000);
  });

  it('takes an answer that is no JSON for none', async () => {
    const url = await serve((_, response) => response.writeHead(200).end('<html>'));
    expect(await refused(client([url]).get(THING, 'a'))).to.include({ status: 0, reason: 'Garbage' });
  });

  it('says so when the token cannot be read', async () => {
    const access = apiServerAccess(['https://127.0.0.1:1'], new ServiceAccount(join(dir, 'none')));
    const api = new ApiClient(new Connection(access), { fieldManager: 'evio-agent' });
    const failure = await refused(api.get(THING, 'a'));
    expect(failure).to.include({ status: 0, reason: 'NoCredentials' });
    expect(failure.why).to.match(
      /cannot read .*none\/(token|ca.crt): there is no such file; the pod needs its service account's token/,
    );
  });

  describe('to one object', () => {
    const PATIENCE = { watchMinSeconds: 2, backoffMaxMs: 50 };
    const told: string[] = [];
    const problems: string[] = [];

    function follow(url: string, fails = false) {
      told.length = problems.length = 0;
      const log = { ...QUIET, error: (line: string) => void problems.push(line) };
      const options = {
        kind: THING,
        connection: connect([url]),
        log,
        patience: PATIENCE,
        trouble: (failure?: { readonly message: string }) => void problems.push(failure?.message ?? 'over'),
      };
      const watch = watchObject('a', options, (object) => {
        told.push(object === undefined ? 'none' : `${object.metadata.uid}${object.metadata.resourceVersion}`);
        if (fails) throw new Error('a fault of the test');
      });
      watch.start();
      return watch;
    }
    /** Lists, and what each watch says; the last one stays open. */
    function story(lists: readonly object[], watches: readonly ((response: ServerResponse) => void)[]) {
      const asked: string[] = [];
      let [listed, watched] = [0, 0];
      const served = serve((request, response) => {
        const query = new URL(request.url ?? '', 'https://x').searchParams;
        const [watch, from] = [query.get('watch'), query.get('resourceVersion')];
        asked.push(`${watch === null ? 'list' : `watch ${from}`} ${query.get('fieldSelector')}`);
        if (watch === null) ok(response, lists[listed++] ?? {});
        else watches[watched++]?.(response.writeHead(200));
      });
      return { asked, served };
    }

    it('follows it through a watch that is cut within a line, ends, and is told 410', async () => {
      const { asked, served } = story(
        [list('5', thing('4')), list('30', thing('20')), list('30', thing('20'))],
        [
          (response) => {
            // Two events in two pieces, and an orderly end.
            const text = event('MODIFIED', thing('6')) + event('BOOKMARK', thing('9'));
            response.write(text.slice(0, 20));
            setTimeout(() => response.end(text.slice(20)), 50);
          },
          (response) => {
            // The line is cut with the connection.
            response.write(event('MODIFIED', thing('10')).slice(0, 9));
            setTimeout(() => response.socket?.destroy(), 50);
          },
          (response) => response.end(event('ERROR', { kind: 'Status', code: 410, reason: 'Expired' })),
          (response) => response.write(event('DELETED', thing('31'))),
        ],
      );
      const watch = follow(await served);
      await until('the deletion is told', () => told.includes('none'));
      watch.stop();
      expect(told).to.deep.equal(['u4', 'u6', 'u20', 'none']);
      expect(asked).to.deep.equal(
        ['list', 'watch 5', 'watch 9', 'list', 'watch 30', 'list', 'watch 30'].map((what) => `${what} metadata.name=a`),
      );
      // A watch that ended once is no trouble, a second one in a row is.
      expect(problems).to.deep.equal(['the API server ended a watch: Expired ()']);
    });

    it('tells that there is none, and when it comes', async () => {
      const { served } = story([list('5')], [(response) => response.write(event('ADDED', thing('6')))]);
      const watch = follow(await served);
      await until('it comes', () => told.length > 1);
      watch.stop();
      expect(told).to.deep.equal(['none', 'u6']);
    });

    it('does not tell it again when it is the same, and tells one that was made anew once', async () => {
      const { asked, served } = story(
        [list('5', thing('4')), list('6', thing('4')), list('7', thing('4', 'v'))],
        [(response) => response.socket?.destroy(), (response) => response.socket?.destroy(), () => undefined],
      );
      const watch = follow(await served);
      await until('the third watch', () => asked.filter((what) => what.startsWith('watch')).length === 3);
      watch.stop();
      expect(told).to.deep.equal(['u4', 'v4']);
    });

    it('goes on when who is told fails', async () => {
      const { served } = story([list('5')], [(response) => response.write(event('ADDED', thing('6')))]);
      const watch = follow(await served, true);
      await until('it comes', () => told.length > 1);
      watch.stop();
      expect(problems[0]).to.equal('a change of things.example.org could not be handled: Error: a fault of the test');
    });
  });
});
