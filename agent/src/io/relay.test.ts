import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Relay } from './relay.ts';
import { HEADER_BYTES, RelayBatch } from './relay-frames.ts';
import { RTP_HEADER_BYTES } from './rtc.ts';

const WINDOW = 256 * 1024;

describe('the relay', () => {
  let dir: string;
  let server: Server;
  let tincan: Socket | undefined;
  let received: Buffer[];
  let relay: Relay;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evio-relay-'));
    received = [];
    server = createServer((socket) => {
      tincan = socket;
      socket.on('error', () => {});
      socket.on('data', (data: string | Buffer) => received.push(data as Buffer));
    });
    await new Promise<void>((done) => server.listen(join(dir, 'relay.sock'), done));
    relay = new Relay(join(dir, 'relay.sock'), () => {});
    relay.start();
    await until(() => tincan !== undefined);
  });

  afterEach(() => {
    relay.stop();
    server.close();
    tincan?.destroy();
    tincan = undefined;
    rmSync(dir, { recursive: true });
  });

  const until = async (condition: () => boolean) => {
    for (let i = 0; i < 200 && !condition(); i++) await sleep(5);
    expect(condition()).to.equal(true);
  };
  const bytes = () => Buffer.concat(received);
  const batch = (port: number, ...records: Buffer[]) => {
    const gathered = new RelayBatch(port, Buffer.alloc(HEADER_BYTES + 65_536));
    for (const record of records) gathered.add(record, 0);
    return Buffer.from(gathered.finish());
  };
  /** A track that keeps what is sent by it. */
  const track = () => {
    const sent: string[] = [];
    return { sent, send: (packet: Buffer) => sent.push(packet.toString('hex', RTP_HEADER_BYTES)) > 0 };
  };

  it('gives a port its credit when a connection takes it, and hands records to that connection', async () => {
    const one = track();
    relay.attach(16, one);
    await until(() => bytes().length === 12);
    expect(bytes().toString('hex')).to.equal(`000000040010020000${WINDOW.toString(16).padStart(6, '0')}`);
    tincan?.write(batch(16, Buffer.from('c301', 'hex'), Buffer.from('c302', 'hex')));
    tincan?.write(batch(17, Buffer.from('c303', 'hex')));
    await until(() => relay.counters.toPeersDropped === 1);
    expect(one.sent).to.deep.equal(['c301', 'c302']);
  });

  it('gives credit back for what was used, whether or not it could be sent', async () => {
    relay.attach(16, { send: () => false });
    await until(() => bytes().length === 12);
    for (let i = 0; i < 2; i++) tincan?.write(batch(16, ...Array.from({ length: 40 }, () => Buffer.alloc(1200))));
    await until(() => bytes().length === 24);
    expect(bytes().readUInt32BE(20)).to.equal(2 * 40 * 1202);
  });

  it('makes one write of the packets of a burst, without their RTP headers', async () => {
    relay.fromPeer(16, Buffer.concat([Buffer.alloc(RTP_HEADER_BYTES, 0xee), Buffer.from('c301', 'hex')]));
    relay.fromPeer(16, Buffer.concat([Buffer.alloc(RTP_HEADER_BYTES, 0xee), Buffer.from('c302', 'hex')]));
    await until(() => received.length > 0);
    expect(bytes().toString('hex')).to.equal('00000008001001000002c3010002c302');
  });

  it('starts a new batch when one is full', async () => {
    for (let i = 0; i < 100; i++) relay.fromPeer(16, Buffer.alloc(RTP_HEADER_BYTES + 1200));
    await until(() => bytes().length === 2 * HEADER_BYTES + 100 * 1202);
    expect(relay.counters.fromPeers).to.equal(100);
  });

  it('connects again and gives every port its credit anew', async () => {
    relay.attach(16, track());
    await until(() => bytes().length === 12);
    received.length = 0;
    const first = tincan;
    first?.destroy();
    await until(() => tincan !== first && bytes().length === 12);
  });

  it('gives the ports of another tincan their credit, whoever they were given to before', async () => {
    relay.attach(16, track());
    await until(() => bytes().length === 12);
    const first = tincan;
    relay.restart();
    received.length = 0;
    await until(() => tincan !== first);
    const fresh = track();
    relay.attach(16, fresh);
    await until(() => bytes().length === 12);
    tincan?.write(batch(16, Buffer.from('c301', 'hex')));
    await until(() => fresh.sent.length === 1);
  });

  it('leaves a connection that was replaced alone, and closes on nonsense', async () => {
    const [old, fresh] = [track(), track()];
    relay.attach(16, old);
    relay.attach(16, fresh);
    relay.detach(16, old);
    tincan?.write(batch(16, Buffer.from('c301', 'hex')));
    await until(() => fresh.sent.length === 1);
    expect(old.sent).to.deep.equal([]);
    const first = tincan;
    first?.write(Buffer.alloc(8, 0xff));
    await until(() => tincan !== first);
  });
});
