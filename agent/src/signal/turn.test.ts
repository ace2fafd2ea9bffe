import { createHash, createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { TurnQuestion } from './turn.ts';

const make = () => new TurnQuestion({ username: '1:n1', password: 'secret' }, (n) => Buffer.alloc(n, 7));

const attribute = (type: number, value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(0, type, 0, bytes.length), bytes, Buffer.alloc(-bytes.length & 3)]);
};
const message = (type: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([
    Buffer.of(type >> 8, type & 255, 0, body.length),
    Buffer.from('2112a442', 'hex'),
    Buffer.alloc(12, 7),
    body,
  ]);
};
const refusal = (code: number, ...more: readonly Buffer[]): Buffer =>
  message(0x0113, attribute(9, Buffer.of(0, 0, Math.floor(code / 100), code % 100)), ...more);
const CHALLENGE = [attribute(0x14, 'evio.test'), attribute(0x15, 'a nonce')];

describe('a question to a TURN server', () => {
  it('is asked again with the password when the server wants it, signed with the key of RFC 8489 §9.2.2', () => {
    const question = make();
    expect(question.start().readUInt16BE(0)).to.equal(3);
    const { send, answer } = question.receive(refusal(401, ...CHALLENGE));
    expect(answer).to.equal(undefined);
    const key = createHash('md5').update('1:n1:evio.test:secret').digest();
    const signed = (send as Buffer).subarray(0, -24);
    expect((send as Buffer).subarray(-20)).to.deep.equal(createHmac('sha1', key).update(signed).digest());
    expect((send as Buffer).readUInt16BE(2)).to.equal((send as Buffer).length - 20);
  });

  it('is answered by an allocation, which is given back', () => {
    const question = make();
    question.start();
    question.receive(refusal(401, ...CHALLENGE));
    const { send, answer } = question.receive(message(0x0103));
    expect(answer).to.deep.equal({ kind: 'taken' });
    expect(send?.readUInt16BE(0)).to.equal(4);
  });

  it('is answered by a second refusal, or one without a challenge; a full server has taken the credentials', () => {
    const question = make();
    question.start();
    question.receive(refusal(401, ...CHALLENGE));
    expect(question.receive(refusal(401, ...CHALLENGE)).answer).to.deep.equal({ kind: 'refused', code: 401 });
    const other = make();
    other.start();
    expect(other.receive(refusal(403)).answer).to.deep.equal({ kind: 'refused', code: 403 });
    expect(other.receive(refusal(486)).answer).to.deep.equal({ kind: 'full', code: 486 });
  });

  it('is not asked for ever for stale nonces', () => {
    const question = make();
    question.start();
    for (let i = 0; i < 2; i++) expect(question.receive(refusal(438, ...CHALLENGE)).answer).to.equal(undefined);
    expect(question.receive(refusal(438, ...CHALLENGE)).answer).to.deep.equal({ kind: 'refused', code: 438 });
  });

  it('lives through whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, ours) => {
        const question = make();
        question.start();
        question.receive(ours ? message(0x0113, Buffer.from(bytes)) : Buffer.from(bytes));
      }),
    );
  });
});
