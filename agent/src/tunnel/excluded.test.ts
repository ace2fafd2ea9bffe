import { expect } from 'chai';
import { type Interfaces, isOnExcluded } from './excluded.ts';

const INTERFACES: Interfaces = {
  eth0: [{ cidr: '192.0.2.9/24' }, { cidr: '2001:db8::9/64' }],
  docker0: [{ cidr: '172.17.0.1/16' }, { cidr: 'fd17::1/64' }],
  'flannel.1': [{ cidr: '10.42.0.0/32' }],
  tun0: [{ cidr: null }],
};

describe('addresses of excluded interfaces', () => {
  const excluded = (address: string, ...names: string[]) => isOnExcluded(address, names, INTERFACES);

  it('are their own and those of their subnets, of both families', () => {
    for (const address of ['172.17.0.1', '172.17.3.4', 'fd17::1', 'fd17::beef'])
      expect(excluded(address, 'docker0'), address).to.equal(true);
    for (const address of ['192.0.2.9', '172.18.0.1', '2001:db8::9', 'fd18::1', '10.42.0.0'])
      expect(excluded(address, 'docker0'), address).to.equal(false);
    expect(excluded('10.42.0.0', 'docker0', 'flannel.1')).to.equal(true);
    expect(excluded('10.42.0.1', 'docker0', 'flannel.1')).to.equal(false);
  });

  it('are none where nothing is excluded, or where there is no such interface or no address on it', () => {
    expect(excluded('172.17.0.1')).to.equal(false);
    expect(excluded('172.17.0.1', 'docker', 'docker01', 'DOCKER0')).to.equal(false);
    expect(excluded('172.17.0.1', 'tun0')).to.equal(false);
    expect(excluded('not an address', 'docker0')).to.equal(false);
  });
});
