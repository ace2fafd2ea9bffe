import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { encode } from '../sdn/openflow/index.ts';
import { OpenFlowSocket } from './openflow.ts';

describe('the OpenFlow socket', () => {
  let folder: string;
  let server: Server;
  let client: OpenFlowSocket;
  const peers: Socket[] = [];
  const heard: string[] = [];

  /** Listens, and answers a promise that is kept once `count` things were heard. */
  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'evio-t2-'));
    heard.length = 0;
    peers.length = 0;
    server = createServer((socket) => peers.push(socket));
    client = new OpenFlowSocket(join(folder, 'switch.sock'), {
      connected: () => heard.push('connected'),
      message: (message) => heard.push(message.type),
      undecodable: (reason) => heard.push(reason),
      disconnected: () => heard.push('disconnected'),
    });
  });

  afterEach(() => {
    client.stop();
    for (const peer of peers) peer.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const listen = () => new Promise<void>((resolve) => server.listen(join(folder, 'switch.sock'), resolve));

  it('connects once somebody listens, and again after the connection was lost', async () => {
    client.start();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).to.deep.equal([]);
    await listen();
    await until(() => heard.includes('connected'));
    peers[0]?.destroy();
    await until(() => heard.filter((h) => h === 'connected').length === 2);
    expect(heard).to.deep.equal(['connected', 'disconnected', 'connected']);
  });

  it('goes on after a message without sense, and begins anew after a length without sense', async () => {
    await listen();
    client.start();
    await until(() => peers.length === 1);
    peers[0]?.write(Buffer.from('0218000800000001', 'hex'));
    peers[0]?.write(encode({ type: 'barrier-reply', xid: 1 }));
    await until(() => heard.includes('barrier-reply'));
    expect(heard[1]).to.equal('OpenFlow version 2');
    peers[0]?.write(Buffer.from('0400000700000001', 'hex'));
    await until(() => peers.length === 2);
    expect(heard).to.include('disconnected');
  });
});
