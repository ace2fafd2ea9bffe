import { expect } from 'chai';
import { gaps, lost, outageMs, type PingRun, parseFping, quantile, trimmed } from './ping.ts';

describe('a run of pings', () => {
  const replies = [1, 2, 7].map((seq) => ({ seq, atMs: seq * 10, rttMs: 0.1 }));
  const run: PingRun = { sent: 8, replies, duplicates: 1 };
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

describe('fping output', () => {
  const runs = parseFping(`[1796041701.42201] 10.45.0.2  : [0], 64 bytes, 0.025 ms (0.018 avg, 0% loss)
[1796041701.42313] 10.45.0.11 : [0], 64 bytes, 0.017 ms (0.010 avg, 0% loss)
[1796041701.44201] 10.45.0.2  : [2], 64 bytes, 0.030 ms (0.018 avg, 33% loss)
10.45.0.2  : duplicate for [2], 64 bytes, 0.300 ms
[1796041702.92313] 10.45.0.11 : [1], timed out (0.010 avg, 50% loss)
ICMP Port Unreachable from 192.0.2.1 for ICMP Echo sent to 10.45.0.11

10.45.0.2  : xmt/rcv/%loss = 3/2/33%, min/avg/max = 0.025/0.027/0.030
10.45.0.11 : xmt/rcv/%loss = 3/1/66%, min/avg/max = 0.017/0.017/0.017
10.45.0.12 : xmt/rcv/%loss = 3/0/100%
`);
  it('is told apart by address, requests counted from 1', () =>
    expect(
      [...runs].map(([to, run]) => [to, run.sent, run.replies.map(({ seq }) => seq), run.duplicates]),
    ).to.deep.equal([
      ['10.45.0.2', 3, [1, 3], 1],
      ['10.45.0.11', 3, [1], 0],
      ['10.45.0.12', 3, [], 0],
    ]));
  it('has times', () =>
    expect(runs.get('10.45.0.2')?.replies[1]).to.deep.equal({ seq: 3, atMs: 1796041701442.01, rttMs: 0.03 }));
});
