import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { datapathType, managementSocket, Ovsdb } from './ovsdb.ts';

describe('the socket of Open vSwitch’s database', () => {
  let directory: string;
  let path: string;
  let server: Server | undefined;
  let ovsdb: Ovsdb;
  const said: string[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'evio-ovsdb-'));
    path = join(directory, 'db.sock');
    said.length = 0;
    ovsdb = new Ovsdb({ socket: path }, { state: () => {}, say: (_, text) => said.push(text) });
  });
  afterEach(() => {
    ovsdb.stop();
    server?.close();
    server = undefined;
    rmSync(directory, { recursive: true, force: true });
  });

  async function serve(take: (socket: Socket) => void): Promise<void> {
    const made = createServer(take);
    server = made;
    await new Promise<void>((resolve) => made.listen(path, resolve));
  }

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await sleep(10);
  }

  it('is said once to be without an answer, and is tried again', async () => {
    ovsdb.start();
    await until(() => said.length > 0);
    let connections = 0;
    await serve((socket) => {
      connections++;
      socket.destroy();
    });
    await until(() => connections > 1);
    expect(said).to.deep.equal([`ovsdb-server is away: nobody answers at ${path} (ENOENT); does Open vSwitch run?`]);
  });

  it('may be somebody else’s: garbage ends nothing', async () => {
    await serve((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    ovsdb.start();
    await until(() => said.length > 0);
    expect(said[0]).to.match(/^the database of Open vSwitch is of no use: it cannot be understood: .*HTTP/);
  });

  it('leaves nobody waiting who asked for a removal or for news when it is stopped', async () => {
    ovsdb.start();
    const asked = [ovsdb.confirm(), ovsdb.remove({ overlay: 'o', bridge: 'evio0' })];
    ovsdb.stop();
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
  });

  it('is beside the bridge’s own, and the kernel decides of which type a bridge is', () => {
    expect(managementSocket('/run/openvswitch', 'evio0')).to.equal('/run/openvswitch/evio0.mgmt');
    if (!existsSync('/sys/module/openvswitch')) expect(datapathType('no such kernel')).to.equal('netdev');
  });
});
