import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TincanProcess } from './tincan-process.ts';

describe('a tincan that another pod runs', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'evio-external-'));
  after(() => rmSync(runDir, { recursive: true }));

  it('is waited for, told once when it is missing for 10 s, found when it comes, and not ended', async function () {
    this.timeout(30_000);
    const lines: string[] = [];
    const up = Promise.withResolvers<boolean>();
    const tincan = new TincanProcess(
      { runDir, binary: undefined },
      {
        up: (_, started) => up.resolve(started),
        event: () => undefined,
        down: () => undefined,
        ended: (message) => lines.push(message),
        report: (message) => lines.push(message),
      },
    );
    tincan.start();
    await new Promise((done) => setTimeout(done, 11_000));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^no tincan answers at .*control\.sock for 10 s/);

    const asked: string[] = [];
    const server = createServer((socket) => socket.on('data', (data) => asked.push(String(data))));
    await new Promise<void>((done) => server.listen(join(runDir, 'control.sock'), done));
    expect(await up.promise).to.equal(false);
    await tincan.exchange().then(
      () => expect.fail('exchanged'),
      (error: Error) => expect(error.message).to.match(/delete the evio-dataplane pod/),
    );
    await tincan.abandon();
    await new Promise((done) => setTimeout(done, 100));
    server.close();
    expect(asked).to.deep.equal([]);
    expect(lines).to.have.length(1);
  });
});
