import { expect } from 'chai';
import { type LocalCandidate, natClass, type Sighting } from './nat.ts';

const host = (address: string): LocalCandidate => ({ address, type: 'host', server: null });
const seen = (address: string, server: string): LocalCandidate => ({ address, type: 'srflx', server });
const byPeer = (address: string, by: string): Sighting => ({ address, by });
const S1 = '203.0.113.1:3478';
const S2 = '203.0.113.2:3478';

describe('the NAT class', () => {
  it('is none when the servers see our own address', () => {
    const own = '198.51.100.7:21000';
    expect(natClass([host(own), seen(own, S1), seen(own, S2)])).to.equal('none');
  });

  it('is endpoint-independent when both servers see the same other address', () => {
    const mapped = '198.51.100.7:21000';
    expect(natClass([host('192.168.1.2:21000'), seen(mapped, S1), seen(mapped, S2)])).to.equal('endpoint-independent');
  });

  it('is address-dependent when each server sees another port', () => {
    const candidates = [host('10.0.0.2:21000'), seen('198.51.100.7:4001', S1), seen('198.51.100.7:4002', S2)];
    expect(natClass(candidates)).to.equal('address-dependent');
  });

  it('is unknown while one server alone has answered from behind a NAT', () => {
    expect(natClass([host('10.0.0.2:21000'), seen('198.51.100.7:4001', S1)])).to.equal('unknown');
    expect(natClass([host('10.0.0.2:21000')])).to.equal('unknown');
    expect(natClass([])).to.equal('unknown');
  });

  describe('with two ports of one STUN address', () => {
    const own = host('10.0.0.2:21000');
    const mapped = '198.51.100.7:4001';
    const same = [own, seen(mapped, '203.0.113.1:3478'), seen(mapped, '203.0.113.1:3479')];

    it('is address-dependent when each port sees another', () => {
      const other = seen('198.51.100.7:4002', '203.0.113.1:3479');
      expect(natClass([own, seen(mapped, S1), other])).to.equal('address-dependent');
    });

    it('is unknown when both see the same: another address may see another', () => {
      expect(natClass(same)).to.equal('unknown');
    });

    it('is endpoint-independent when a peer elsewhere sees the same as well', () => {
      expect(natClass(same, [byPeer(mapped, '203.0.113.10:20001')])).to.equal('endpoint-independent');
    });

    it('is unknown still when that peer has the address of the STUN server', () => {
      expect(natClass(same, [byPeer(mapped, '203.0.113.1:20001')])).to.equal('unknown');
    });

    it('is address-dependent when a peer sees another port', () => {
      expect(natClass(same, [byPeer('198.51.100.7:4003', '203.0.113.10:20001')])).to.equal('address-dependent');
    });

    it('does not mind what a peer in the same network sees', () => {
      const lan = byPeer('10.0.0.2:21000', '10.0.0.3:20001');
      expect(natClass(same, [lan])).to.equal('unknown');
      expect(natClass(same, [lan, byPeer(mapped, '203.0.113.10:20001')])).to.equal('endpoint-independent');
    });
  });

  it('is not told by peers alone: their network may be ours', () => {
    const peers = [byPeer('198.51.100.7:4001', '203.0.113.10:1'), byPeer('198.51.100.7:4002', '203.0.113.11:1')];
    expect(natClass([host('10.0.0.2:21000')], peers)).to.equal('unknown');
  });

  it('tells the worse family of two', () => {
    const six = '[2001:db8::7]:21000';
    const four = [host('10.0.0.2:21000'), seen('198.51.100.7:4001', S1), seen('198.51.100.7:4002', S2)];
    expect(natClass([host(six), seen(six, '[2001:db8::1]:3478'), ...four])).to.equal('address-dependent');
  });
});
