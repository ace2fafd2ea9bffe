import { expect } from 'chai';
import { gaps, lost, outageMs, parsePing, quantile, trimmed } from './ping.ts';

const TEXT = `PING 10.45.0.3 (10.45.0.3) 56(84) bytes of data.
[1700000000.000000] 64 bytes from 10.45.0.3: icmp_seq=1 ttl=64 time=0.100 ms
[1700000000.010000] 64 bytes from 10.45.0.3: icmp_seq=2 ttl=64 time=0.300 ms
[1700000000.010500] 64 bytes from 10.45.0.3: icmp_seq=2 ttl=64 time=0.500 ms (DUP!)
[1700000000.060000] 64 bytes from 10.45.0.3: icmp_seq=7 ttl=64 time=0.200 ms

--- 10.45.0.3 ping statistics ---
8 packets transmitted, 3 received, +1 duplicates, 62.5% packet loss, time 80ms
`;

describe('ping output', () => {
  const run = parsePing(TEXT);
  it('counts a duplicate once', () => expect(run.replies.map((reply) => reply.seq)).to.deep.equal([1, 2, 7]));
  it('says that it was there', () => expect(run.duplicates).to.equal(1));
  it('knows what was lost', () => expect(lost(run)).to.equal(5));
  it('leaves out of an interrupted run what may still be on its way, and nothing else', () => {
    const endless = {
      sent: 400,
      replies: [1, 2, 3, 250, 399].map((seq) => ({ seq, atMs: 0, rttMs: 1 })),
      duplicates: 0,
    };
    const cut = trimmed(endless);
    expect([cut.sent, lost(cut)]).to.deep.equal([250, 246]);
  });
  it('takes the longest gap as the outage', () => expect(outageMs(run, 10)).to.equal(40));
  it('says where the gaps are', () =>
    expect(gaps(run)).to.deep.equal([
      [3, 6],
      [8, 8],
    ]));
  it('counts an end without replies', () => expect(outageMs({ ...run, sent: 20 }, 10)).to.equal(130));
  it('counts a run without replies whole', () =>
    expect(outageMs({ sent: 9, replies: [], duplicates: 0 }, 10)).to.equal(90));
  it('has quantiles', () => expect([quantile([3, 1, 2], 0.5), quantile([3, 1, 2], 0.99)]).to.deep.equal([2, 3]));
});
