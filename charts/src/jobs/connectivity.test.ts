import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { answering, ask, peersOf, plainAddress } from './connectivity.ts';

describe('the connectivity test', () => {
  let asked: string[];
  let port: number;
  let server: ReturnType<typeof answering>;
  beforeEach(async () => {
    asked = [];
    server = answering((name) => asked.push(name));
    await new Promise<void>((resolve) => server.listen(0, '::', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('is content with a pod that got all of it and saw who asked, over IPv4 and IPv6', async () => {
    expect(await ask('127.0.0.1', port, 'one', ['127.0.0.1'])).to.equal(undefined);
    expect(await ask('::1', port, 'two', ['127.0.0.1', '::1'])).to.equal(undefined);
    expect(asked).to.deep.equal(['one', 'two']);
  });

  it('finds a source address that was translated', async () => {
    expect(await ask('127.0.0.1', port, 'one', ['10.244.1.2'])).to.equal(
      'it saw 127.0.0.1 ask, not 10.244.1.2: the source is translated',
    );
  });

  it('says why nothing came through', async () => {
    server.close();
    server.closeAllConnections();
    expect(await ask('127.0.0.1', port, 'one', ['127.0.0.1'])).to.match(/ECONNREFUSED/);
  });

  it('counts pods that have a node and an address, with the addresses of both families', () => {
    const pod = (name: string, nodeName?: string, ...ips: string[]) => ({
      metadata: { name },
      spec: nodeName === undefined ? {} : { nodeName },
      status: { podIPs: ips.map((ip) => ({ ip })) },
    });
    const items = [pod('a', 'cp', '10.244.0.2', 'fd00::2'), pod('b', 'edge1'), pod('c')];
    expect(peersOf({ items })).to.deep.equal([{ name: 'a', node: 'cp', addresses: ['10.244.0.2', 'fd00::2'] }]);
    expect(peersOf(undefined)).to.deep.equal([]);
  });

  it('writes an IPv4 address as people do', () => {
    expect(plainAddress('::ffff:10.244.0.2')).to.equal('10.244.0.2');
    expect(plainAddress('fd00::2')).to.equal('fd00::2');
  });
});
