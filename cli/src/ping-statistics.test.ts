import { expect } from 'chai';
import type { PathName } from '../../agent/src/api.ts';
import { PingStatistics, spread, summaryText } from './ping-statistics.ts';

const target = { id: '0'.repeat(32), name: 'home2' };
const answer = (rttMs: number, path: PathName) => ({ to: target.id, name: target.name, rttMs, path, hops: 1 });

describe('the statistics of pings', () => {
  it('tell when the path changes, and count answers by path', () => {
    const statistics = new PingStatistics(target);
    expect(statistics.answered(answer(12, 'webrtc'))).to.equal(undefined);
    statistics.lost();
    expect(statistics.answered(answer(2, 'direct'))).to.deep.equal({ seq: 3, from: 'webrtc', to: 'direct' });
    expect(statistics.answered(answer(1, 'direct'))).to.equal(undefined);
    const summary = statistics.summary();
    expect(summary).to.deep.include({ sent: 4, received: 3, paths: { webrtc: 1, direct: 2 } });
    expect(summaryText(summary)).to.equal(
      '--- home2 ---\n4 sent, 3 answered, 25 % lost\nround trip min/avg/p99 = 1.000/5.000/12.000 ms\n' +
        'path: webrtc 1, direct 2; changes: 1\n',
    );
  });

  it('say so when nothing was answered', () => {
    const statistics = new PingStatistics(target);
    statistics.lost();
    expect(summaryText(statistics.summary())).to.equal('--- home2 ---\n1 sent, 0 answered, 100 % lost\n');
  });

  it('give the 99th percentile by nearest rank', () => {
    const values = Array.from({ length: 200 }, (_, i) => i + 1);
    expect(spread(values)).to.deep.equal({ min: 1, avg: 100.5, p99: 198, max: 200 });
    expect(spread([3])).to.deep.equal({ min: 3, avg: 3, p99: 3, max: 3 });
    expect(spread([])).to.equal(null);
  });
});
