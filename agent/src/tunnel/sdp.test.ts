import { expect } from 'chai';
import fc from 'fast-check';
import { formatCandidate, formatCandidateLine, parseCandidate, parseCandidateLine } from './candidate.ts';
import {
  candidatesOf,
  formatSdp,
  formatShort,
  MAX_SDP_CANDIDATES,
  parseSdp,
  parseShort,
  type SessionDescription,
  withCandidates,
} from './sdp.ts';

const FACTS: SessionDescription = {
  iceUfrag: 'aKjc',
  icePwd: 'wHT5fUA7CZfCiMirju2uus',
  fingerprint: Array.from({ length: 32 }, () => 'AB').join(':'),
};

describe('a session description', () => {
  it('of the library gives its facts and nothing else', () => {
    for (const type of ['offer', 'answer'] as const)
      expect(parseSdp(formatSdp(FACTS, type), type)).to.deep.equal(FACTS);
    const extra = formatSdp(FACTS, 'offer').replace('s=-', 's=-\r\nb=AS:1\r\na=evil:1');
    expect(parseSdp(extra, 'offer')).to.deep.equal(FACTS);
    expect(parseSdp(formatSdp(FACTS, 'offer').replaceAll('AB', 'ab'), 'offer')).to.deep.equal(FACTS);
  });

  it('with a fact twice or another role is refused', () => {
    const twice = formatSdp(FACTS, 'offer').replace('a=setup', 'a=ice-ufrag:bbbb\r\na=setup');
    expect(parseSdp(twice, 'offer')).to.deep.equal({ refused: 'no usable ice-ufrag' });
    expect(parseSdp(formatSdp(FACTS, 'offer'), 'answer')).to.deep.equal({ refused: 'no setup active in an answer' });
  });

  it('travels in less than a hundred characters, and carries candidates', () => {
    const short = formatShort(FACTS);
    expect(short).to.have.length.below(100);
    expect(parseShort(short)).to.deep.equal(FACTS);
    const whole = withCandidates(short, ['1 1 192.0.2.1 9 h', '2 1 192.0.2.1 9 s']);
    expect(candidatesOf(whole)).to.deep.equal(['1 1 192.0.2.1 9 h', '2 1 192.0.2.1 9 s']);
    expect(parseShort(whole)).to.deep.equal(FACTS);
    expect(candidatesOf(withCandidates(whole, []))).to.deep.equal([]);
    const many = Array.from({ length: 99 }, (_, i) => `${i} 1 192.0.2.1 9 h`);
    expect(candidatesOf(withCandidates(short, many))).to.have.length(MAX_SDP_CANDIDATES);
  });

  it('is never taken when it is cut, and never throws', () => {
    const short = formatShort(FACTS);
    for (let n = 0; n < short.length; n++) expect(parseShort(short.slice(0, n))).to.have.property('refused');
    fc.assert(fc.property(fc.string(), (text) => void parseShort(text)));
    fc.assert(fc.property(fc.string(), (text) => void parseSdp(text, 'answer')));
  });
});

describe('a candidate', () => {
  for (const line of [
    'candidate:1 1 UDP 2114977791 192.0.2.1 44469 typ host',
    'candidate:2 1 UDP 1678769919 203.0.113.7 5000 typ srflx raddr 0.0.0.0 rport 0',
    'candidate:3 1 UDP 16776959 2001:db8::1 5000 typ relay raddr :: rport 0',
  ])
    it(`survives: ${line}`, () => {
      const parsed = parseCandidateLine(line);
      expect(parsed && formatCandidateLine(parsed)).to.equal(line);
      expect(parsed && parseCandidate(formatCandidate(parsed))).to.deep.equal(parsed);
    });

  it('loses its related address, which nobody needs and which tells the LAN', () => {
    const parsed = parseCandidateLine('a=candidate:2 1 UDP 1 203.0.113.7 5000 typ srflx raddr 192.168.1.7 rport 5000');
    expect(parsed && formatCandidateLine(parsed)).to.contain('raddr 0.0.0.0 rport 0');
    expect(parsed && formatCandidate(parsed)).to.equal('2 1 203.0.113.7 5000 s');
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
