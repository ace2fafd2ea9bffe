import { expect } from 'chai';
import { datagramsOf, flowOf } from './iperf.ts';

const interval = (bytes: number, omitted = false) => ({ sum: { bytes, omitted } });

describe('bench: what iperf3 says', () => {
  it('of a flow: the rate that arrived, without the warm-up, and all bytes, with it', () => {
    const text = JSON.stringify({
      intervals: [interval(50, true), interval(100), interval(100)],
      end: { sum_sent: { bits_per_second: 2e9, retransmits: 3 }, sum_received: { bits_per_second: 1.5e9 } },
    });
    expect(flowOf(text)).to.deep.equal({ mbps: 1500, bytes: 250, retransmits: 3 });
  });

  it('of datagrams: how many were sent and lost, and the pace they were sent at', () => {
    const text = JSON.stringify({ end: { sum: { packets: 40_000, lost_packets: 40, seconds: 2 } } });
    expect(datagramsOf(text)).to.deep.equal({ sent: 40_000, lost: 40, pace: 20_000 });
  });

  it('is an error when it says one, or nothing', () => {
    expect(() => flowOf('{"error":"unable to connect"}')).to.throw('unable to connect');
    expect(() => flowOf('{"intervals":[],"end":{}}')).to.throw('no result');
    expect(() => datagramsOf('{"end":{}}')).to.throw('no result');
  });
});
