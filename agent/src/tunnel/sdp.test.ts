import { expect } from 'chai';
import fc from 'fast-check';
import { formatCandidate, parseCandidate } from './candidate.ts';
import {
  candidatesOf,
  formatSdp,
  MAX_SDP_CANDIDATES,
  parseSdp,
  type SessionDescription,
  withCandidates,
} from './sdp.ts';

const FACTS: SessionDescription = {
  iceUfrag: 'aKjc',
  icePwd: 'wHT5fUA7CZfCiMirju2uus',
  fingerprint: Array.from({ length: 32 }, () => 'AB').join(':'),
  setup: 'actpass',
};

describe('a session description', () => {
  it('keeps its four facts and nothing else', () => {
    expect(parseSdp(formatSdp(FACTS), 'offer')).to.deep.equal(FACTS);
    const extra = formatSdp(FACTS).replace('s=-', 's=-\r\nb=AS:1\r\na=evil:1');
    expect(parseSdp(extra, 'offer')).to.deep.equal(FACTS);
  });

  it('takes a fingerprint in lower case', () => {
    expect(parseSdp(formatSdp(FACTS).replaceAll('AB', 'ab'), 'offer')).to.deep.equal(FACTS);
  });

  it('with a fact twice is refused, since it is not told which one counts', () => {
    const twice = formatSdp(FACTS).replace('a=setup', 'a=ice-ufrag:bbbb\r\na=setup');
    expect(parseSdp(twice, 'offer')).to.deep.equal({ refused: 'no usable ice-ufrag' });
  });

  it('is never taken when it is cut, and never throws', () => {
    const sdp = formatSdp(FACTS);
    // The last line is the password: one shorter by some characters would be another password.
    const last = sdp.indexOf('a=ice-pwd');
    for (let n = 0; n < last; n++) expect(parseSdp(sdp.slice(0, n), 'offer')).to.have.property('refused');
    fc.assert(fc.property(fc.string(), (text) => void parseSdp(text, 'answer')));
  });

  it('carries candidates, and gives them back', () => {
    const sdp = withCandidates(formatSdp(FACTS), ['candidate:1 1 UDP 1 192.0.2.1 9 typ host', 'candidate:2']);
    expect(candidatesOf(sdp)).to.deep.equal(['candidate:1 1 UDP 1 192.0.2.1 9 typ host', 'candidate:2']);
    expect(parseSdp(sdp, 'offer')).to.deep.equal(FACTS);
    expect(candidatesOf(withCandidates(sdp, []))).to.deep.equal([]);
    expect(
      candidatesOf(
        withCandidates(
          sdp,
          Array.from({ length: 99 }, (_, i) => `candidate:${i}`),
        ),
      ),
    ).to.have.length(MAX_SDP_CANDIDATES);
  });
});

describe('a candidate', () => {
  for (const line of [
    'candidate:1 1 UDP 2114977791 192.0.2.1 44469 typ host',
    'candidate:2 1 UDP 1678769919 203.0.113.7 5000 typ srflx raddr 0.0.0.0 rport 0',
    'candidate:3 1 UDP 16776959 2001:db8::1 5000 typ relay raddr :: rport 0',
  ])
    it(`survives: ${line}`, () => {
      const parsed = parseCandidate(line);
      expect(parsed && formatCandidate(parsed)).to.equal(line);
    });

  it('loses its related address, which nobody needs and which tells the LAN', () => {
    const parsed = parseCandidate('a=candidate:2 1 UDP 1 203.0.113.7 5000 typ srflx raddr 192.168.1.7 rport 5000');
    expect(parsed && formatCandidate(parsed)).to.contain('raddr 0.0.0.0 rport 0');
  });

  it('of any text gives a candidate that reads the same again, or nothing', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseCandidate(text);
        if (parsed !== undefined) expect(parseCandidate(formatCandidate(parsed))).to.deep.equal(parsed);
      }),
    );
  });
});
