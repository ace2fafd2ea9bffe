/** What a server can say where a password, or an address to send datagrams to, depends on it. */
import { expect } from 'chai';
import fc from 'fast-check';

import { Scram, ScramError } from './scram.ts';
import { parseServices, refreshDelayMs } from './services.ts';

const PASSWORD = 'a password that must not come out';
const attribute = fc.tuple(
  fc.constantFrom('r', 's', 'i', 'm', 'v', 'e', '__proto__', ''),
  fc.string({ maxLength: 40 }),
);
const challenge = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.array(attribute, { maxLength: 8 }).map((all) => all.map(([key, value]) => `${key}=${value}`).join(',')),
  // Right but for one thing.
  fc
    .record({ r: fc.string({ maxLength: 9 }), s: fc.base64String({ maxLength: 24 }), i: fc.nat({ max: 300_000 }) })
    .map(({ r, s, i }) => `r=nonce${r.replaceAll(',', '')},s=${s},i=${i < 290_000 ? i % 5_000 : i}`),
);

describe('the words of a hostile server', () => {
  it('in a SCRAM challenge are answered or refused, without the password and within a moment', () => {
    fc.assert(
      fc.property(challenge, challenge, (first, final) => {
        const scram = new Scram('SCRAM-SHA-256', 'node', PASSWORD, 'nonce');
        const started = performance.now();
        for (const step of [() => scram.answer(first), () => scram.verify(final)]) {
          try {
            expect(step() ?? '').to.not.include(PASSWORD);
          } catch (error) {
            expect(error).to.be.instanceOf(ScramError);
            expect((error as Error).message).to.not.include(PASSWORD);
          }
        }
        expect(performance.now() - started).to.be.below(5_000);
      }),
      { numRuns: 200 },
    );
  });

  it('never prove that it knows the password', () => {
    fc.assert(
      fc.property(challenge, (final) => {
        const scram = new Scram('SCRAM-SHA-1', 'node', PASSWORD, 'nonce');
        scram.answer('r=nonce+,s=c2FsdA==,i=4096');
        expect(() => scram.verify(final)).to.throw(ScramError);
        expect(() => scram.verify('')).to.throw(ScramError);
      }),
      { numRuns: 50 },
    );
  });

  it('about its services are at most 16 of them, each usable, and asked for again neither at once nor never', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'stun',
        'turn',
        'turns',
        'udp',
        'tcp',
        '203.0.113.1',
        '3478',
        '0',
        '70000',
        '2026-01-01T00:00:00Z',
      ),
      fc.string({ maxLength: 20 }),
    );
    const keys = fc.constantFrom('type', 'host', 'port', 'transport', 'username', 'password', 'expires', '__proto__');
    const service = fc.oneof(
      fc.dictionary(keys, word),
      fc.record({ type: fc.constant('turn'), host: fc.constant('turn.example'), expires: word }),
    );
    fc.assert(
      fc.property(fc.array(service, { maxLength: 40 }), fc.integer(), (list, wallMs) => {
        const services = parseServices(list);
        expect(services.length).to.be.at.most(16);
        for (const { host, port } of services) {
          expect(host).to.match(/^[0-9A-Za-z.:_-]{1,253}$/);
          expect(port).to.be.within(1, 65_535);
        }
        expect(refreshDelayMs(services, wallMs)).to.be.within(30_000, 3_600_000);
      }),
    );
  });
});
