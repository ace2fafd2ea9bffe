import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { serveMetrics } from './health.ts';

describe('metrics at overlay addresses', () => {
  it('are answered at an address of the node, and a connection to any other is closed unanswered', async () => {
    const server = serveMetrics(
      0,
      {
        metrics: async () => ({ contentType: 'text/plain', text: 'evio_members 3\n' }),
        isOwn: (address) => address === '127.0.0.2',
      },
      (message) => expect.fail(message),
    );
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const get = (address: string, path = '/metrics') => fetch(`http://${address}:${port}${path}`);
    try {
      const answer = await get('127.0.0.2');
      expect([answer.status, await answer.text()]).to.deep.equal([200, 'evio_members 3\n']);
      expect((await get('127.0.0.2', '/livez')).status).to.equal(404);
      const closed = await get('127.0.0.1').then(
        () => 'answered',
        () => 'closed',
      );
      expect(closed).to.equal('closed');
    } finally {
      server.close();
    }
  });
});
