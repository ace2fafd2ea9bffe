import { expect } from 'chai';
import type { EvioNodeStatus } from '../../../crds/src/evio-node.ts';
import { COALESCE_MS, Reporter } from './reporter.ts';

const KEYS = { identityKey: 'a', sessionKey: 'b' };
const status = (ready: boolean, tunnels = 0, serial = '7'): EvioNodeStatus => ({
  keys: KEYS,
  observedSerial: serial,
  conditions: [
    {
      type: 'Ready',
      status: ready ? 'True' : 'False',
      lastTransitionTime: '2030-05-05T12:00:00Z',
      reason: 'x',
      message: '',
    },
  ],
  summary: { tunnels },
});
const reporter = () => {
  const one = new Reporter(() => 0.5);
  one.handle({ kind: 'seen', node: { uid: 'u', keyed: false } }, 0);
  return one;
};
const want = (one: Reporter, wanted: EvioNodeStatus, now: number) =>
  one.handle({ kind: 'wanted', status: wanted }, now).map((action) => action.status);
const written = (one: Reporter, now: number) => one.handle({ kind: 'written' }, now).map((action) => action.status);

describe('when a status is written', () => {
  it('not before there is an EvioNode, then at once', () => {
    const one = new Reporter(() => 0.5);
    expect(want(one, status(false), 0)).to.deep.equal([]);
    const actions = one.handle({ kind: 'seen', node: { uid: 'u', keyed: false } }, 5);
    expect(actions).to.deep.equal([{ kind: 'write', status: status(false) }]);
  });

  it('a condition at once, also while another write is on its way; the rest together after half a minute', () => {
    const one = reporter();
    expect(want(one, status(false), 0)).to.have.length(1);
    expect(want(one, status(true), 10)).to.deep.equal([]);
    expect(written(one, 20)).to.deep.equal([status(true)]);
    written(one, 30);
    for (let now = 1_000; now < 20 + COALESCE_MS; now += 1_000)
      expect(want(one, status(true, now), now)).to.deep.equal([]);
    const due = one.deadline() ?? 0;
    expect(due).to.equal(20 + COALESCE_MS);
    expect(one.handle({ kind: 'deadline' }, due)).to.have.length(1);
  });

  it('what did not change never', () => {
    const one = reporter();
    want(one, status(true), 0);
    written(one, 1);
    expect(want(one, status(true), 10 * COALESCE_MS)).to.deep.equal([]);
    expect(one.deadline()).to.equal(undefined);
  });

  it('a new serial at once', () => {
    const one = reporter();
    want(one, status(true), 0);
    written(one, 1);
    expect(want(one, status(true, 0, '8'), 2)).to.have.length(1);
  });

  it('a condition that comes and goes every second, every few seconds at most', () => {
    const one = reporter();
    let writes = 0;
    for (let now = 0; now < 600_000; now += 1_000) {
      writes += want(one, status(now % 2_000 === 0), now).length;
      writes += written(one, now).length;
    }
    expect(writes).to.be.lessThan(150);
  });

  it('again after a failure, at growing intervals', () => {
    const one = reporter();
    want(one, status(true), 0);
    expect(one.handle({ kind: 'failed', retryAfterMs: 0 }, 0)).to.deep.equal([]);
    expect(one.deadline()).to.equal(750);
    expect(want(one, status(false), 100)).to.deep.equal([]);
    expect(one.handle({ kind: 'deadline' }, 750)).to.deep.equal([{ kind: 'write', status: status(false) }]);
    one.handle({ kind: 'failed', retryAfterMs: 30_000 }, 750);
    expect(one.deadline()).to.equal(30_750);
  });

  it('anew when the EvioNode was made anew, or somebody has emptied its status', () => {
    const one = reporter();
    want(one, status(true), 0);
    written(one, 1);
    expect(one.handle({ kind: 'seen', node: { uid: 'u', keyed: true } }, 2)).to.deep.equal([]);
    expect(one.handle({ kind: 'seen', node: { uid: 'other', keyed: false } }, 3)).to.have.length(1);
    written(one, 4);
    expect(one.handle({ kind: 'seen', node: undefined }, 5)).to.deep.equal([]);
    expect(one.handle({ kind: 'seen', node: { uid: 'other', keyed: false } }, 6)).to.have.length(1);
  });
});
