import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Control, type ControlError } from './control.ts';
import { LineReader, MAX_LINE_BYTES } from './json-lines.ts';

describe('the control client', () => {
  let dir: string;
  let server: Server;
  let peer: Socket | undefined;
  /** What the other side does with a line. */
  let answer: (line: string, socket: Socket) => void;
  const events: [string, unknown][] = [];
  const closed: string[] = [];

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evio-control-'));
    events.length = 0;
    closed.length = 0;
    answer = () => {};
    server = createServer((socket) => {
      peer = socket;
      socket.on('error', () => {});
      const lines = new LineReader();
      socket.on('data', (data: string | Buffer) => {
        for (const line of lines.push(data as Buffer)) answer(line, socket);
      });
    });
    await new Promise<void>((done) => server.listen(join(dir, 'control.sock'), done));
  });

  afterEach(() => {
    server.close();
    peer?.destroy();
    rmSync(dir, { recursive: true });
  });

  const open = () =>
    Control.open(join(dir, 'control.sock'), {
      event: (name, data) => events.push([name, data]),
      closed: (reason) => closed.push(reason),
    });

  const failure = async (promise: Promise<unknown>): Promise<ControlError> => {
    try {
      await promise;
    } catch (error) {
      return error as ControlError;
    }
    throw new Error('it did not fail');
  };

  it('gives each request its own answer, in whatever order they come', async () => {
    const waiting: string[] = [];
    answer = (line, socket) => {
      waiting.push(line);
      if (waiting.length < 2) return;
      for (const text of waiting.reverse()) {
        const { id, method } = JSON.parse(text) as { id: number; method: string };
        socket.write(`${JSON.stringify({ id, result: `${method} done` })}\n`);
      }
    };
    const control = await open();
    const both = await Promise.all([control.request('first', {}), control.request('second', {})]);
    expect(both).to.deep.equal(['first done', 'second done']);
    control.close();
  });

  it('reads answers split at any byte, with events between them', async () => {
    const text = '{"event":"tunnel","data":{"peer":"é"}}\n{"id":1,"result":{}}\n';
    answer = (_line, socket) => {
      for (const byte of Buffer.from(text)) socket.write(Buffer.of(byte));
    };
    const control = await open();
    expect(await control.request('hello', {})).to.deep.equal({});
    expect(events).to.deep.equal([['tunnel', { peer: 'é' }]]);
    control.close();
  });

  it('gives an error by its code and says which method failed', async () => {
    answer = (_line, socket) =>
      socket.write('{"id":1,"error":{"code":"conflict","message":"another identity runs"}}\n');
    const control = await open();
    const error = await failure(control.request('configure', {}));
    expect(error).to.include({ code: 'conflict', message: 'configure: another identity runs' });
    control.close();
  });

  it('gives up a request that is not answered', async () => {
    const control = await open();
    expect((await failure(control.request('stats', {}, 20))).code).to.equal('timeout');
    control.close();
  });

  it('rejects what is pending when tincan goes, and everything after', async () => {
    answer = (_line, socket) => socket.destroy();
    const control = await open();
    expect((await failure(control.request('stats', {}))).code).to.equal('closed');
    expect((await failure(control.request('stats', {}))).code).to.equal('closed');
    expect(closed).to.have.length(1);
  });

  for (const [name, text] of [
    ['no JSON', 'hello\n'],
    ['an answer to nothing', '{"id":99,"result":{}}\n'],
    ['a list', '[1]\n'],
    ['an empty line', '\n'],
  ] as const)
    it(`passes over ${name}`, async () => {
      answer = (_line, socket) => void socket.write(`${text}{"id":1,"result":{}}\n`);
      const control = await open();
      expect(await control.request('hello', {})).to.deep.equal({});
      control.close();
    });

  it('closes on a line without an end', async () => {
    answer = (_line, socket) => void socket.write(Buffer.alloc(MAX_LINE_BYTES + 1, 0x20));
    const control = await open();
    expect((await failure(control.request('hello', {}))).code).to.equal('closed');
    await sleep(1);
    expect(closed[0]).to.contain('a line of more than');
  });

  it('says so when nobody listens', async () => {
    server.close();
    expect(await failure(Control.open(join(dir, 'nobody.sock'), { event: () => {}, closed: () => {} }))).to.be.an(
      'error',
    );
  });
});
