import { expect } from 'chai';
import fc from 'fast-check';
import { endpointText } from './endpoint.ts';
import { bindingRequest, parseBinding } from './stun.ts';

/** RFC 5769 §2.2 and §2.3: responses with XOR-MAPPED-ADDRESS 192.0.2.1:32853 and 2001:db8:1234:5678:11:2233:4455:6677:32853. */
const IPV4 =
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96';
const IPV6 =
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c';
const of = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('questions to STUN servers', () => {
  for (const [family, hex, mapped] of [
    ['IPv4', IPV4, '192.0.2.1:32853'],
    ['IPv6', IPV6, '[2001:db8:1234:5678:11:2233:4455:6677]:32853'],
  ] as const)
    it(`reads RFC 5769's answer with an ${family} address`, () => {
      const binding = parseBinding(of(hex));
      expect(binding?.transaction).to.equal('b7e7a701bc34d686fa87dfae');
      expect(binding?.mapped && endpointText(binding.mapped)).to.equal(mapped);
      expect(binding?.error).to.equal(undefined);
    });

  it('reads where else the server answers from (RFC 5780 §7.4)', () => {
    const other = of('802c0008000123c8cb00710b');
    const head = of('010100002112a442000000000000000000000000');
    head.writeUInt16BE(other.length, 2);
    const binding = parseBinding(Buffer.concat([head, other]));
    expect(binding?.other).to.deep.equal({ address: '203.0.113.11', port: 0x23c8 });
    expect(binding?.mapped).to.equal(undefined);
  });

  it('asks for answers from elsewhere, and to elsewhere', () => {
    const transaction = Buffer.alloc(12, 7);
    expect(bindingRequest(transaction).toString('hex')).to.equal(`000100002112a442${'07'.repeat(12)}`);
    const change = bindingRequest(transaction, { changeIp: true, changePort: true });
    expect(change.subarray(20).toString('hex')).to.equal('0003000400000006');
    expect(bindingRequest(transaction, { changePort: true }).subarray(20).toString('hex')).to.equal('0003000400000002');
    const port = bindingRequest(transaction, { responsePort: 0x1234 });
    expect(port.subarray(20).toString('hex')).to.equal('0027000412340000');
    expect(port.readUInt16BE(2)).to.equal(8);
  });

  it('takes nothing else for an answer, whatever it is', () => {
    expect(parseBinding(bindingRequest(Buffer.alloc(12)))).to.equal(undefined);
    expect(parseBinding(of(IPV4).subarray(0, 40))).to.equal(undefined);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void parseBinding(Buffer.from(bytes))));
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 79 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const damaged = of(IPV4);
        damaged[at] = byte;
        parseBinding(damaged);
      }),
    );
  });
});
