/** test/vectors/*.json for the tests: docs/wire.md §11. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from './reader.ts';

export interface Refused {
  readonly name: string;
  readonly reason: string;
  /** Hex. */
  readonly input: string;
}

export interface Vectors<C> {
  readonly cases: readonly (C & { readonly name: string })[];
  readonly refused: readonly Refused[];
}

/** `C` is what the file is known to hold; `More` what stands beside the cases. */
export function vectors<C, More = unknown>(name: string): Vectors<C> & More {
  const file = new URL(`../../../test/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Vectors<C> & More;
}

export const unhex = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** What every format has in common: refusals, cuts, and no other error whatever the bytes. */
export function hostile(
  decode: (bytes: Uint8Array) => unknown,
  wholes: readonly { readonly name: string; readonly bytes: Buffer; readonly shortest?: number }[],
  refused: readonly Refused[],
): void {
  for (const { name, bytes, shortest } of wholes)
    it(`${name}: cut short, it is refused at every length`, () => {
      // Where the last field has no length of its own, a cut within it is another value, not a broken one.
      for (let n = 0; n < (shortest ?? bytes.length); n++)
        expect(() => decode(bytes.subarray(0, n))).to.throw(DecodeError);
    });
  for (const { name, reason, input } of refused)
    it(`refuses ${name} (${reason})`, () => {
      expect(() => decode(unhex(input))).to.throw(DecodeError);
    });
  it('nothing but a DecodeError comes of any bytes', () => {
    const whole = wholes[0]?.bytes ?? Buffer.alloc(0);
    fc.assert(
      fc.property(fc.nat(whole.length), fc.uint8Array({ maxLength: 100 }), (at, noise) => {
        try {
          decode(Buffer.concat([whole.subarray(0, at), noise]));
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
    );
  });
}
