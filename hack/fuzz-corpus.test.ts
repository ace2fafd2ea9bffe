import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';

import { type Inputs, lay, pack, pickUp, readCorpus, unpack } from './fuzz-corpus.ts';

const CORPUS = join(import.meta.dirname, '../agent/tincan/fuzz/corpus');
const values = (inputs: Inputs): string[] => [...inputs.values()].map((bytes) => bytes.toString('hex')).sort();

describe('the corpus of the fuzz targets', () => {
  it('comes out of its file as it went in, and makes the same file in any order', () => {
    const inputs = fc.uniqueArray(fc.uint8Array({ maxLength: 40 }), { selector: (bytes) => bytes.join() });
    fc.assert(
      fc.property(inputs, fc.nat({ max: 3 }), (all, findings) => {
        const named = new Map(
          all.map((bytes, index) => [index < findings ? `regression-${index}` : `any-${index}`, Buffer.from(bytes)]),
        );
        const text = pack(named);
        const again = unpack(text, 'a file');
        expect(values(again)).to.deep.equal(values(named));
        expect(pack(new Map([...again].reverse()))).to.equal(text);
        expect([...again.keys()].filter((name) => name.startsWith('regression-'))).to.have.length(
          Math.min(findings, all.length),
        );
      }),
    );
  });

  it('is refused when somebody edited it into another order, left a line twice, or broke a line', () => {
    const text = pack(new Map(['one', 'other', 'third'].map((word) => [word, Buffer.from(word)])));
    const lines = text.split('\n').slice(0, -1);
    const joined = (parts: readonly string[]): string => parts.map((line) => `${line}\n`).join('');
    for (const bad of [
      joined([...lines].reverse()),
      joined([...lines, lines.at(-1) ?? '']),
      joined(lines.map((line) => `${line.slice(0, -1)}!`)),
      text.slice(0, -1),
    ]) {
      expect(() => unpack(bad, 'corpus/records.txt'), bad).to.throw(
        /^corpus\/records\.txt is not what its inputs make/,
      );
    }
  });

  it('lies in a directory with nothing else in it while libFuzzer reads it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'evio-corpus-'));
    try {
      lay(new Map([['old', Buffer.from('old')]]), directory);
      const inputs = new Map([['new', Buffer.from('new')]]);
      expect(pickUp(lay(inputs, directory))).to.deep.equal(inputs);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('has inputs for every target in the repository', () => {
    const files = readdirSync(CORPUS);
    expect(files).to.have.length.above(10);
    for (const file of files) expect([...readCorpus(join(CORPUS, file)).keys()], file).to.have.length.above(5);
  });
});
