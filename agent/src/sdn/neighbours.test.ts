import { expect } from 'chai';
import fc from 'fast-check';
import { DecodeError } from '../wire/reader.ts';
import { answer, checksum } from './neighbours.ts';

const owner = (address: string) => (['10.0.0.2', 'fd00::2'].includes(address) ? '02:45:0a:00:00:02' : undefined);
const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

const ARP_REQUEST = bytes(`ffffffffffff 02450a000001 0806
  0001 0800 06 04 0001 02450a000001 0a000001 000000000000 0a000002`);
const ARP_REPLY = `02450a000001 02450a000002 0806
  0001 0800 06 04 0002 02450a000002 0a000002 02450a000001 0a000001`.replaceAll(/\s/g, '');

/** Who has fd00::2, asks fd00::1. */
const SOLICITATION = bytes(`3333ff000002 02450a000001 86dd 60000000 0020 3a ff
  fd000000000000000000000000000001 ff0200000000000000000001ff000002
  87 00 0000 00000000 fd000000000000000000000000000002 0101 02450a000001`);

describe('an ARP request for a member', () => {
  it('is answered with the member’s MAC', () => {
    expect(answer(ARP_REQUEST, owner)?.toString('hex')).to.equal(ARP_REPLY);
  });

  it('is answered within its VLAN', () => {
    const tagged = Buffer.concat([ARP_REQUEST.subarray(0, 12), bytes('81000064'), ARP_REQUEST.subarray(12)]);
    const expected = `${ARP_REPLY.slice(0, 24)}81000064${ARP_REPLY.slice(24)}`;
    expect(answer(tagged, owner)?.toString('hex')).to.equal(expected);
  });

  it('is not answered for an address nobody owns', () => {
    const other = Buffer.from(ARP_REQUEST);
    other[41] = 9;
    expect(answer(other, owner)).to.equal(undefined);
  });

  it('is no request when it is a reply', () => {
    expect(answer(bytes(ARP_REPLY), owner)).to.equal(undefined);
  });
});

describe('a neighbor solicitation for a member', () => {
  const reply = answer(SOLICITATION, owner) ?? Buffer.alloc(0);

  it('is answered to the asker, solicited and overriding, with the member’s MAC', () => {
    expect(reply.subarray(0, 14).toString('hex')).to.equal('02450a00000102450a00000286dd');
    expect(reply.subarray(14, 22).toString('hex')).to.equal('6000000000203aff');
    expect(reply.subarray(22, 54).toString('hex')).to.equal(
      'fd000000000000000000000000000002fd000000000000000000000000000001',
    );
    expect(reply.subarray(54, 56).toString('hex')).to.equal('8800');
    expect(reply.subarray(58).toString('hex')).to.equal('60000000fd000000000000000000000000000002020102450a000002');
  });

  it('is answered with a right checksum: the sum over the whole, pseudo-header included, is zero', () => {
    const pseudo = Buffer.concat([reply.subarray(22, 54), bytes('00000020 0000003a')]);
    expect(checksum(Buffer.concat([pseudo, reply.subarray(54)]))).to.equal(0);
  });

  it('without a source, a search for duplicates, is answered to all nodes', () => {
    const search = Buffer.from(SOLICITATION);
    search.fill(0, 22, 38);
    const told = answer(search, owner) ?? Buffer.alloc(0);
    expect(told.subarray(0, 6).toString('hex')).to.equal('333300000001');
    expect(told.subarray(38, 54).toString('hex')).to.equal('ff020000000000000000000000000001');
    expect(told.subarray(58, 62).toString('hex')).to.equal('20000000');
  });

  it('that crossed a router is refused', () => {
    const routed = Buffer.from(SOLICITATION);
    routed[21] = 254;
    expect(() => answer(routed, owner)).to.throw(DecodeError, 'hop limit 254');
  });
});

describe('any frame', () => {
  it('cut at any length is refused or ignored', () => {
    for (const frame of [ARP_REQUEST, SOLICITATION.subarray(0, 78)]) {
      for (let n = 0; n < frame.length; n++) expect(() => answer(frame.subarray(0, n), owner)).to.throw(DecodeError);
    }
  });

  it('of whatever bytes throws nothing but a DecodeError', () => {
    const head = fc.constantFrom(ARP_REQUEST, SOLICITATION);
    fc.assert(
      fc.property(head, fc.nat(), fc.nat(255), fc.nat(90), (frame, at, value, length) => {
        const changed = Buffer.from(frame.subarray(0, Math.max(length, 14)));
        changed[at % changed.length] = value;
        try {
          answer(changed, owner);
        } catch (error) {
          expect(error).to.be.instanceOf(DecodeError);
        }
      }),
    );
  });
});
