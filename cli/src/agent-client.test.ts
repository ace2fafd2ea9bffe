import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ApiError, ApiServer } from '../../agent/src/io/api-server.ts';
import { AgentClient, findRunDir, withAgent } from './agent-client.ts';

const message = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    (error: Error) => error.message,
  );

describe('asking an agent', () => {
  const root = mkdtempSync(join(tmpdir(), 'evio-client-'));
  const dir = join(root, 'lab');
  before(() => mkdirSync(dir));
  after(() => rmSync(root, { recursive: true, force: true }));

  it('says what to do when there is none', async () => {
    expect(await message(AgentClient.open(dir))).to.equal(
      `no agent runs with ${dir} (there is no agent.sock in it); start it with: evio agent run --config FILE`,
    );
    expect(await message(findRunDir({}, join(root, 'nothing')))).to.match(/^no agent runs here/);
  });

  it('gives answers and errors as the agent gives them', async () => {
    const api = await ApiServer.claim(join(dir, 'agent.sock'), () => undefined);
    await withAgent({ runDir: dir }, async (agent) => {
      expect(await message(agent.request('echo'))).to.equal('the agent is starting; ask again');
    });
    api.answerBy(async (method, params) => {
      if (method === 'echo') return params;
      throw new ApiError('not-found', 'nobody is named so');
    });
    await withAgent({ runDir: dir }, async (agent) => {
      expect(await agent.request('echo', { a: 1 })).to.deep.equal({ a: 1 });
      expect(await message(agent.request('other'))).to.equal('nobody is named so');
    });
    expect(await findRunDir({}, root)).to.equal(dir);
    mkdirSync(join(root, 'two'));
    writeFileSync(join(root, 'two/agent.sock'), '');
    expect(await message(findRunDir({}, root))).to.match(/^several overlays are here/);
    api.close();
  });

  it('takes the word of an agent for the node file that it runs with, until somebody touches that', async () => {
    const path = join(root, 'filed');
    mkdirSync(path);
    const file = join(root, 'node.json');
    writeFileSync(file, JSON.stringify({ runDir: path }), { mode: 0o600 });
    const api = await ApiServer.claim(join(path, 'agent.sock'), () => undefined);
    const answer = { node: { file }, agent: { uptimeMs: -1_000 } };
    api.answerBy(async () => answer);
    try {
      expect(await findRunDir({ config: file }, root)).to.equal(path);
      // Older than the file: what is in that is not what it has checked.
      answer.agent.uptimeMs = 60_000;
      expect(await message(findRunDir({ config: file }, root))).to.match(/node\.json: .*apiVersion/s);
      answer.agent.uptimeMs = -1_000;
      answer.node.file = join(root, 'another.json');
      expect(await message(findRunDir({ config: file }, root))).to.match(/node\.json: .*apiVersion/s);
    } finally {
      api.close();
    }
  });

  it('tells an agent that ended from one that never was', async () => {
    const path = join(root, 'gone');
    mkdirSync(path);
    writeFileSync(join(path, 'agent.sock'), '');
    expect(await message(AgentClient.open(path))).to.match(/is not running|cannot open/);
  });

  it('ends with the agent, and with an agent that talks nonsense', async () => {
    const path = join(root, 'odd');
    mkdirSync(path);
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('nonsense\n{"id":99}\n[1]\n'));
    });
    await new Promise<void>((done) => server.listen(join(path, 'agent.sock'), done));
    const agent = await AgentClient.open(path);
    expect(await message(agent.request('status'))).to.equal('the agent ended before it answered; see its log');
    server.close();
  });
});
