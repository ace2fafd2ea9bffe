import { expect } from 'chai';
import fc from 'fast-check';
import { isName } from '../../../agent/src/wire/ids.ts';
import { memberNameOf } from './member-name.ts';

describe("a member's name", () => {
  it("is the Node's own where that is a DNS label", () => {
    expect(memberNameOf('edge1')).to.equal('edge1');
    expect(memberNameOf('a'.repeat(63))).to.equal('a'.repeat(63));
  });

  it('is made of it where it is not, and stays the same', () => {
    expect(memberNameOf('ip-10-0-0-1.eu-west-1.compute.internal')).to.match(
      /^ip-10-0-0-1-eu-west-1-compute-internal-[0-9a-f]{8}$/,
    );
    expect(memberNameOf('a.b')).to.equal(memberNameOf('a.b'));
    expect(memberNameOf('a.b')).not.to.equal(memberNameOf('a-b'));
    expect(memberNameOf('a.b')).not.to.equal(memberNameOf('a..b'));
  });

  it('is always a DNS label', () => {
    fc.assert(fc.property(fc.string({ minLength: 1, maxLength: 253 }), (node) => isName(memberNameOf(node))));
  });
});
