import { expect } from 'chai';
import { cameraOf } from './discovery.ts';

const PLACE = { address: '10.45.0.2', index: '7', cidr: '10.45.0.2/16' };
const answered = (address: string, family: 'IPv4' | 'IPv6' = 'IPv4') => ({ address, family, port: 5353, size: 100 });
const SERVICE = {
  name: 'door',
  port: 8080,
  txt: { path: '/video.ts', media: 'video/mp2t' },
  referer: answered('10.45.0.1'),
};

describe('an answer to the question for cameras', () => {
  it('gives the camera at the address that it came from', () => {
    expect(cameraOf(SERVICE, PLACE)).to.deep.equal({ name: 'door', url: 'http://10.45.0.1:8080/video.ts' });
  });

  it('counts for nothing when it came from outside of the overlay', () => {
    expect(cameraOf({ ...SERVICE, referer: answered('192.168.1.5') }, PLACE)).to.equal(undefined);
    expect(cameraOf({ ...SERVICE, referer: answered('fe80::1', 'IPv6') }, PLACE)).to.equal(undefined);
  });

  it('counts for nothing when it is no camera’s', () => {
    expect(cameraOf({ ...SERVICE, txt: { path: '/index.html' } }, PLACE)).to.equal(undefined);
    expect(cameraOf({ ...SERVICE, txt: { ...SERVICE.txt, path: '/../etc' } }, PLACE)).to.equal(undefined);
    expect(cameraOf({ ...SERVICE, txt: undefined }, PLACE)).to.equal(undefined);
  });
});
