import { expect } from 'chai';
import { type LocalCandidate, natClass } from './nat.ts';

const host = (address: string): LocalCandidate => ({ address, type: 'host', server: null });
const seen = (address: string, server: string): LocalCandidate => ({ address, type: 'srflx', server });
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

  it('tells the worse family of two', () => {
    const six = '[2001:db8::7]:21000';
    const four = [host('10.0.0.2:21000'), seen('198.51.100.7:4001', S1), seen('198.51.100.7:4002', S2)];
    expect(natClass([host(six), seen(six, '[2001:db8::1]:3478'), ...four])).to.equal('address-dependent');
  });
});
