import { expect } from 'chai';
import { Measured } from './measured.ts';
import type { TincanTunnel } from './tincan.ts';

const tunnel = (more: Partial<TincanTunnel> = {}): TincanTunnel => ({
  peer: 'a',
  port: 16,
  tap: null,
  note: '',
  path: 'direct',
  local: '192.0.2.1:1',
  remote: '192.0.2.2:2',
  localType: 'host',
  remoteType: 'host',
  observed: null,
  rttUs: 3_000,
  lossPpm: 0,
  txBytes: 0,
  rxBytes: 0,
  sinceMs: 1_000,
  webrtcUp: true,
  adjacent: [],
  candidates: [],
  ...more,
});

describe('what is measured of tunnels', () => {
  it('is what tincan said when the path changed, until it was asked', () => {
    expect(new Measured().of(tunnel())).to.deep.equal({ rttMs: 3, loss: 0, bps: undefined });
  });

  it('is what it answers then, and the rate of what was moved between two answers', () => {
    const measured = new Measured();
    measured.take([tunnel({ txBytes: 1_000, rxBytes: 2_000 })], 10_000);
    expect(measured.of(tunnel()).bps).to.equal(undefined);
    measured.take([tunnel({ rttUs: 5_500, lossPpm: 20_000, txBytes: 2_000, rxBytes: 3_000 })], 12_000);
    expect(measured.of(tunnel())).to.deep.equal({ rttMs: 5.5, loss: 0.02, bps: 8_000 });
  });

  it('is not what was measured on another path, and no rate where tincan counts anew', () => {
    const measured = new Measured();
    measured.take([tunnel({ rttUs: 90_000, txBytes: 5_000 })], 0);
    measured.take([tunnel({ rttUs: 90_000, txBytes: 100 })], 1_000);
    const moved = measured.of(tunnel({ remote: '198.51.100.1:9', rttUs: null, lossPpm: null }));
    expect(moved).to.deep.equal({ rttMs: undefined, loss: undefined, bps: undefined });
  });
});
