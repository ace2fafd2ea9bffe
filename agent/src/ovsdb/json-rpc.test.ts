import { expect } from 'chai';
import fc from 'fast-check';
import { MESSAGE_BYTES_MAX, type RpcMessage, RpcSplitter } from './json-rpc.ts';

const text = (value: unknown) => Buffer.from(JSON.stringify(value));

/** All messages of a stream that comes in these pieces, and the first error. */
function split(...pieces: readonly Buffer[]): { readonly messages: readonly RpcMessage[]; readonly error?: string } {
  const splitter = new RpcSplitter();
  const messages: RpcMessage[] = [];
  for (const piece of pieces) {
    const result = splitter.push(piece);
    messages.push(...result.messages);
    if (result.error !== undefined) return { messages, error: result.error };
  }
  return { messages };
}

describe('the JSON-RPC splitter', () => {
  it('tells requests, notifications and replies apart', () => {
    const { messages, error } = split(
      text({ id: 1, method: 'echo', params: ['a'] }),
      text({ id: null, method: 'update', params: [] }),
      text({ id: 2, result: { x: 1 }, error: null }),
      text({ id: 3, error: 'unknown method' }),
    );
    expect(error).to.equal(undefined);
    expect(messages).to.deep.equal([
      { kind: 'request', method: 'echo', params: ['a'], id: 1 },
      { kind: 'notification', method: 'update', params: [] },
      { kind: 'reply', id: 2, result: { x: 1 }, error: null },
      { kind: 'reply', id: 3, result: null, error: 'unknown method' },
    ]);
  });

  it('finds the same messages however the stream is cut, with braces, quotes and umlauts in strings', () => {
    const word = fc.oneof(fc.string(), fc.constantFrom('{', '}', '"', '\\', '\\"}', 'ü€😀'));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), fc.array(fc.nat(200), { maxLength: 8 }), (words, cuts) => {
        const stream = Buffer.concat(
          words.map((w, i) =>
            Buffer.concat([text({ id: i + 1, method: w, params: [w, { [w]: w }] }), Buffer.from(' \n')]),
          ),
        );
        const places = [0, ...cuts.filter((c) => c < stream.length).sort((a, b) => a - b), stream.length];
        const pieces = places.slice(1).map((end, i) => stream.subarray(places[i], end));
        const { messages, error } = split(...pieces);
        expect(error).to.equal(undefined);
        expect(messages.map((m) => m.kind === 'request' && m.params[0])).to.deep.equal(words);
      }),
    );
  });

  it('answers garbage with one error that stays, and never throws', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
        const splitter = new RpcSplitter();
        let error: string | undefined;
        for (const piece of pieces) {
          const result = splitter.push(Buffer.from(piece));
          if (error !== undefined) expect(result).to.deep.equal({ messages: [], error });
          error = result.error;
        }
      }),
    );
    expect(split(Buffer.from('HTTP/1.1 400')).error).to.include('no JSON object (it begins with "HTTP/1.1 400")');
    expect(split(Buffer.from('{"id":1,}')).error).to.include('no JSON-RPC message');
    expect(split(text({ id: 1 })).error).to.include('no JSON-RPC message');
    expect(split(text({ id: 1, method: 5, params: [] })).error).to.include('no JSON-RPC message');
    expect(split(text({ id: null, result: 1 })).error).to.include('no JSON-RPC message');
    const deep = Buffer.from(`{"id":1,"result":${'['.repeat(200_000)}}`);
    expect(split(deep).error).to.include('no JSON-RPC message');
  });

  it('gives a message up that does not end', () => {
    const piece = Buffer.alloc(1024 * 1024, 'a');
    const pieces = Array.from({ length: MESSAGE_BYTES_MAX / piece.length }, () => piece);
    expect(split(Buffer.from('{"id":"'), ...pieces).error).to.equal(
      `a message of more than ${MESSAGE_BYTES_MAX} bytes`,
    );
  });
});
