import type { Element } from '@xmpp/xml';
import { expect } from 'chai';
import fc from 'fast-check';
import { oneLine } from './xmpp-error.ts';
import { ELEMENT_MAX_BYTES, streamError, XmppStream } from './xmpp-stream.ts';

const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/** What a reader makes of some chunks. */
function read(...chunks: readonly (string | Buffer)[]) {
  const got = { opened: 0, elements: [] as Element[], ended: 0, failed: [] as string[] };
  const stream = new XmppStream({
    opened: () => {
      got.opened++;
    },
    element: (e) => got.elements.push(e),
    ended: () => {
      got.ended++;
    },
    failed: (reason) => got.failed.push(reason),
  });
  for (const chunk of chunks) stream.write(Buffer.from(chunk));
  return { ...got, stream };
}

describe('XMPP streams', () => {
  const text = `${HEADER}<message from='a'><body>grüße €😀</body></message><presence/></stream:stream>`;

  it('a stream cut at any byte gives the same elements', () => {
    const bytes = Buffer.from(text);
    for (let n = 0; n <= bytes.length; n++) {
      const { opened, elements, ended, failed } = read(bytes.subarray(0, n), bytes.subarray(n));
      expect(elements.map(String), `cut at ${n}`).to.deep.equal([
        '<message from="a"><body>grüße €😀</body></message>',
        '<presence/>',
      ]);
      expect([opened, ended, failed]).to.deep.equal([1, 1, []]);
    }
  });

  for (const [why, broken] of [
    ['an end tag without a start', '</a>'],
    ['tags that cross', `${HEADER}<a><b></a></b>`],
    ['an unknown entity', `${HEADER}<a>&nonsense;</a>`],
    ['text outside of everything', 'hello <a/>'],
  ] as const)
    it(`${why} ends the stream, once`, () => {
      const { failed } = read(broken, '<more/>', broken);
      expect(failed).to.have.length(1);
    });

  it('an element without end is given up', () => {
    const { failed } = read(HEADER, '<a>', ...new Array<string>(5).fill('x'.repeat(ELEMENT_MAX_BYTES / 4)));
    expect(failed.join()).to.match(/more than 262144 bytes/);
  });

  it('many small elements are not one big one', () => {
    const { elements, failed } = read(HEADER, ...new Array<string>(1000).fill(`<a>${'x'.repeat(1000)}</a>`));
    expect([elements.length, failed]).to.deep.equal([1000, []]);
  });

  it('after stop nothing comes any more', () => {
    const { stream, elements } = read(HEADER);
    stream.stop();
    stream.write(Buffer.from('<a/></b>'));
    expect(elements).to.deep.equal([]);
  });

  it('nothing is thrown whatever a server sends', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        HEADER,
        '<a>',
        '</a>',
        '<a b="',
        '"/>',
        '<![CDATA[',
        ']]>',
        '<!--',
        '-->',
        '<?',
        '&lt;',
        '&',
        '</stream:stream>',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        expect(read(...pieces).failed.length).to.be.at.most(1);
      }),
    );
  });

  it("a server's last word becomes one line without control characters", () => {
    const error = read(
      `${HEADER}<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>` +
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>slow\ndown\u001b[31m</text></stream:error>",
    ).elements[0]!;
    expect(streamError(error, { service: 'xmpps://a:1', domain: 'b' }).message).to.equal(
      'xmpps://a:1 closed the stream (policy-violation, slow down [31m)',
    );
    expect(oneLine('x'.repeat(1000))).to.have.length(300);
  });
});
