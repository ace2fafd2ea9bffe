import { expect } from 'chai';
import type { Peer } from '../../agent/src/api.ts';
import { contradiction } from './candidates.ts';
import { byName } from './internet.ts';

const end = (text: string): NonNullable<Peer['local']> => {
  const [type = '', address = ''] = text.split(' ');
  return { type, address };
};
const wrong = (from: string, to: string, path: Peer['path'], local: string, remote: string): string | undefined =>
  contradiction(byName(from), byName(to), { path, local: end(local), remote: end(remote) });

describe('the ends `evio peers` shows', () => {
  it('are the outside address of a direct peer, and the private one on a LAN', () => {
    expect(wrong('cloud1', 'lte1', 'direct', 'host 198.51.100.6:1', 'prflx 192.0.2.14:9')).to.equal(undefined);
    expect(wrong('home2', 'home1', 'direct', 'srflx 192.168.1.10:1', 'srflx 192.0.2.6:9')).to.equal(undefined);
    expect(wrong('home1', 'desk1', 'direct', 'host 192.168.1.10:1', 'host 192.168.1.20:9')).to.equal(undefined);
    expect(wrong('home1', 'desk1', 'direct', 'host 192.168.1.10:1', 'srflx 192.0.2.6:9')).to.contain('192.168.1.20');
    expect(wrong('home2', 'desk1', 'direct', 'srflx 192.168.1.10:1', 'host 192.168.1.20:9')).to.contain('192.0.2.6');
    expect(wrong('cloud1', 'home1', 'direct', 'host 198.51.100.6:1', 'host 192.0.2.6:9')).to.contain('not srflx');
    expect(wrong('cloud1', 'home1', 'direct', 'host 10.45.0.1:1', 'srflx 192.0.2.6:9')).to.contain('local end');
  });

  it('hold an allocation of the server for a webrtc peer', () => {
    expect(wrong('lte1', 'home1', 'webrtc', 'prflx 192.0.2.14:1', 'relay 203.0.113.11:50000')).to.equal(undefined);
    expect(wrong('lte1', 'home1', 'webrtc', 'relay 203.0.113.10:50000', 'prflx 192.0.2.6:2')).to.equal(undefined);
    expect(wrong('lte1', 'home1', 'webrtc', 'prflx 192.0.2.14:1', 'prflx 192.0.2.6:2')).to.contain('no relay');
    expect(wrong('lte1', 'home1', 'webrtc', 'relay 198.51.100.6:5', 'prflx 192.0.2.6:2')).to.contain(
      'not of the server',
    );
    expect(wrong('lte1', 'home1', 'webrtc', 'relay 203.0.113.10:5', 'prflx 192.0.2.10:2')).to.contain('not of home1');
  });

  it('are there when there is a path of its own', () => {
    const none = { local: null, remote: null };
    expect(contradiction(byName('lte1'), byName('home1'), { path: 'via', ...none })).to.equal(undefined);
    expect(contradiction(byName('lte1'), byName('home1'), { path: 'direct', ...none })).to.contain('nothing');
  });
});
