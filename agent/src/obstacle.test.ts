import { expect } from 'chai';
import { obstacle } from './obstacle.ts';

const GOOD = { euid: 0, capabilities: 0xfffn << 4n, tunError: undefined, release: '4.18.0' };

describe('what keeps a node from running', () => {
  it('is nothing, as root with CAP_NET_ADMIN and a TUN device', () => expect(obstacle(GOOD)).to.equal(undefined));

  for (const [change, line] of [
    [{ euid: 1000, capabilities: 0n, tunError: 'ENOENT' }, /run it as root \(sudo\)$/],
    [{ capabilities: 0xfffffffffn & ~(1n << 12n) }, /^CAP_NET_ADMIN is missing/],
    [{ tunError: 'ENOENT' }, /^there is no \/dev\/net\/tun: load the kernel module/],
    [{ tunError: 'ENODEV' }, /^no driver stands behind \/dev\/net\/tun: load/],
    [{ tunError: 'EPERM' }, /may not be opened: give the container the device/],
    [{ release: '4.9.337-vz', tunError: 'ENOENT' }, /^Linux 4\.9\.337-vz is too old: 4\.18 or later is needed$/],
    [{ release: '3.10.0-1160.el7' }, /^Linux 3\.10\.0-1160\.el7 is too old/],
    [{ tunError: 'EMFILE' }, /^cannot open \/dev\/net\/tun: EMFILE$/],
  ] as const)
    it(`is told as ${line.source}`, () => expect(obstacle({ ...GOOD, ...change })).to.match(line));

  it('is no kernel that is newer, or of which the number says nothing', () => {
    for (const release of ['5.4.0', '6.1.0-35-amd64', '10.0-rc1', 'mine'])
      expect(obstacle({ ...GOOD, release }), release).to.equal(undefined);
  });

  it('is only not to be root, where another pod runs tincan', () => {
    expect(obstacle({ ...GOOD, capabilities: 0n, tunError: 'ENOENT' }, 'external')).to.equal(undefined);
    expect(obstacle({ ...GOOD, euid: 1000 }, 'external')).to.match(/runAsUser/);
  });
});
