import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'chai';
import { askUdp, reachesHost } from './udp-ask.ts';

const FAST = [40, 40];
/** Takes "pong" for an answer, and has the rest asked again. */
const question = {
  start: () => Buffer.from('ping'),
  receive: (datagram: Buffer) => (datagram.toString() === 'pong' ? { answer: 'yes' } : {}),
};

describe('a question over UDP', () => {
  let server: Socket;
  let port: number;

  beforeEach(async () => {
    server = createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    port = server.address().port;
  });

  it('is asked again until it is answered', async () => {
    let asked = 0;
    server.on('message', (_, from) => {
      if (++asked === 2) server.send('pong', from.port, from.address);
    });
    const result = await askUdp('127.0.0.1', port, question, FAST);
    expect(result).to.have.property('answer', 'yes');
    expect(asked).to.equal(2);
    server.close();
  });

  it('that is not answered tells whether anybody listens', async () => {
    expect(await askUdp('127.0.0.1', port, question, FAST)).to.deep.equal({ silent: true, closed: false });
    const closed = once(server, 'close');
    server.close();
    await closed;
    expect(await askUdp('127.0.0.1', port, question, FAST)).to.deep.equal({ silent: true, closed: true });
  });

  it('tells when it cannot leave this machine', async () => {
    server.close();
    // Broadcast without the permission to.
    const result = await askUdp('255.255.255.255', 9, question, FAST);
    expect(result).to.have.property('unsent');
  });

  it('finds a host by a port where nobody listens', async () => {
    server.close();
    expect(await reachesHost('127.0.0.1')).to.equal(true);
  });
});
