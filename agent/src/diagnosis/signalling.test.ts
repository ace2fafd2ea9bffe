import { expect } from 'chai';
import { slowFindings } from './signalling.ts';

const TIMES = { service: 'xmpps://203.0.113.10:5223', tcpMs: 3, signedInMs: 4_000, askedMs: 1_200 };

describe('an XMPP server that takes its time', () => {
  it('is told with its times and where its rate is set', () => {
    const [found] = slowFindings(TIMES);
    expect(found?.code).to.equal('xmpp-slow');
    expect(found?.text).to.match(/203\.0\.113\.10:5223 takes 4\.0 s to sign in and 1\.2 s for two.* in 3 ms/);
    expect(found?.fix).to.match(/limits of Prosody/);
  });

  it('is none where only one step was slow, the network is slow, or it was not reached', () => {
    for (const change of [{ signedInMs: 900 }, { askedMs: 90 }, { tcpMs: 700 }, { askedMs: null }, { tcpMs: null }])
      expect(slowFindings({ ...TIMES, ...change })).to.deep.equal([]);
  });
});
