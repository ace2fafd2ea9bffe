import { expect } from 'chai';
import { slowFindings } from './signalling.ts';

const SLOW = { service: 'xmpps://203.0.113.10:5223', tcpMs: 3, bytesPerSecond: 980 };

describe('an XMPP server that throttles', () => {
  it('is told with what it takes and where its rate is set', () => {
    const [found] = slowFindings(SLOW);
    expect(found?.code).to.equal('xmpp-slow');
    expect(found?.text).to.match(/203\.0\.113\.10:5223 takes 1\.0 kB\/s .* answers in 3 ms/);
    expect(found?.fix).to.match(/limits of Prosody/);
  });

  it('is none that is quick enough, behind a slow network, or not reached', () => {
    for (const change of [{ bytesPerSecond: 10_000 }, { tcpMs: 700 }, { bytesPerSecond: null }, { tcpMs: null }])
      expect(slowFindings({ ...SLOW, ...change })).to.deep.equal([]);
  });
});
