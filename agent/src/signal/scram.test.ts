import { expect } from 'chai';
import { chooseMechanism, Scram, ScramError } from './scram.ts';

/** RFC 5802 §5 and RFC 7677 §3. */
const EXAMPLES = [
  {
    mechanism: 'SCRAM-SHA-1',
    nonce: 'fyko+d2lbbFgONRv9qkxdawL',
    serverFirst: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    answer: 'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    serverFinal: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  {
    mechanism: 'SCRAM-SHA-256',
    nonce: 'rOprNGfwEbeRWgbNEkqO',
    serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    answer:
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
] as const;

describe('SCRAM', () => {
  for (const { mechanism, nonce, serverFirst, answer, serverFinal } of EXAMPLES) {
    it(`the example of the standard for ${mechanism} comes out`, () => {
      const scram = new Scram(mechanism, 'user', 'pencil', nonce);
      expect(scram.first()).to.equal(`n,,n=user,r=${nonce}`);
      expect(scram.answer(serverFirst)).to.equal(answer);
      scram.verify(serverFinal);
    });

    it(`a server that does not know the password is found out with ${mechanism}`, () => {
      const scram = new Scram(mechanism, 'user', 'another', nonce);
      scram.answer(serverFirst);
      expect(() => scram.verify(serverFinal)).to.throw(ScramError);
    });
  }

  const scram = () => new Scram('SCRAM-SHA-1', 'a=b,c', 'x', 'nonce');

  it('a success without a challenge proves nothing', () => {
    expect(() => scram().verify('v=')).to.throw(ScramError);
  });

  it('a name is escaped', () => {
    expect(scram().first()).to.equal('n,,n=a=3Db=2Cc,r=nonce');
  });

  for (const [why, serverFirst] of [
    ['a nonce that is not ours', 'r=other123,s=QSXCR+Q6sek8bf92,i=4096'],
    ['our nonce alone', 'r=nonce,s=QSXCR+Q6sek8bf92,i=4096'],
    ['few iterations', 'r=nonce1,s=QSXCR+Q6sek8bf92,i=1'],
    ['endless iterations', 'r=nonce1,s=QSXCR+Q6sek8bf92,i=9999999'],
    ['no salt', 'r=nonce1,s=,i=4096'],
    ['an extension', 'm=x,r=nonce1,s=QSXCR+Q6sek8bf92,i=4096'],
    ['nothing', ''],
  ] as const)
    it(`a challenge with ${why} is refused`, () => {
      expect(() => scram().answer(serverFirst)).to.throw(ScramError);
    });

  it('PLAIN is never chosen', () => {
    expect(chooseMechanism(['PLAIN', 'ANONYMOUS', 'EXTERNAL'])).to.equal(undefined);
    expect(chooseMechanism(['PLAIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256'])).to.equal('SCRAM-SHA-256');
  });
});
