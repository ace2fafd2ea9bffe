import { expect } from 'chai';
import { parseService, parseServices, refreshDelayMs } from './services.ts';

describe('external services', () => {
  it('a TURN service with credentials is read', () => {
    expect(
      parseService({
        type: 'turn',
        transport: 'udp',
        host: '192.0.2.9',
        port: '3478',
        username: '1700000000',
        password: 'c2VjcmV0',
        expires: '2023-11-14T22:13:20Z',
        restricted: '1',
      }),
    ).to.deep.equal({
      type: 'turn',
      transport: 'udp',
      host: '192.0.2.9',
      port: 3478,
      username: '1700000000',
      password: 'c2VjcmV0',
      expires: 1_700_000_000_000,
    });
  });

  it('ports have the defaults of RFC 8489', () => {
    expect(parseService({ type: 'stun', host: 'a.example' })?.port).to.equal(3478);
    expect(parseService({ type: 'turns', transport: 'tcp', host: 'a.example' })?.port).to.equal(5349);
  });

  for (const [why, attributes] of [
    ['another kind of service', { type: 'ftp', host: 'a.example' }],
    ['a host with a character that does not belong there', { type: 'stun', host: 'a@b?c' }],
    ['no host', { type: 'stun' }],
    ['an impossible port', { type: 'stun', host: 'a', port: '65536' }],
  ] as const)
    it(`${why} is left out`, () => {
      expect(parseService(attributes)).to.equal(undefined);
    });

  it('no more than 16 are believed', () => {
    expect(parseServices(new Array(40).fill({ type: 'stun', host: 'a' }))).to.have.length(16);
  });

  it('credentials are renewed well before the first of them expires', () => {
    const at = (expires: number) => ({ type: 'turn', transport: 'udp', host: 'a', port: 1, expires }) as const;
    expect(refreshDelayMs([at(1_000_000), at(600_000)], 200_000)).to.equal(300_000);
    expect(refreshDelayMs([at(0)], 200_000)).to.equal(30_000);
    expect(refreshDelayMs([], 0)).to.equal(3_600_000);
  });
});
