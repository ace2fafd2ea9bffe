import { expect } from 'chai';
import { usageMessage, uselessValue, wordsOf } from './usage.ts';

const PATHS = ['config check <file>', 'agent run', 'ping <node>'];

describe('the command line, when it is wrong', () => {
  for (const [words, argv, message] of [
    ['Unknown argument: nonsense', ['nonsense'], 'unknown here: nonsense; see evio --help'],
    ['Unknown argument: x', ['agent', 'run', '--x'], 'unknown here: x; see evio agent run --help'],
    ['Missing required argument: config', ['agent', 'run'], 'missing: --config; see evio agent run --help'],
    ['Missing required arguments: domain, address', [], 'missing: --domain, --address; see evio --help'],
    [
      'Not enough non-option arguments: got 0, need at least 1',
      ['config', 'check', '-o', 'json'],
      'missing: FILE; see evio config check --help',
    ],
    [
      'Arguments run-dir and config are mutually exclusive',
      ['ping', 'x'],
      '--run-dir and --config say the same; give one; see evio ping --help',
    ],
    [
      'Invalid values:\n  Argument: output, Given: "xml", Choices: "text", "json"',
      ['agent', 'run'],
      '--output: "xml" is not allowed; allowed: "text", "json"; see evio agent run --help',
    ],
    ['Not enough arguments following: o', ['ping'], '-o needs a value; see evio ping --help'],
    ['something\n  new', ['ping'], 'something; new; see evio ping --help'],
  ] as const)
    it(`says "${message}"`, () => expect(usageMessage(words, argv, PATHS)).to.equal(message));

  it('has - for standard input', () =>
    expect(wordsOf(['config', 'import', '-', '-o', 'json'])).to.deep.equal([
      'config',
      'import',
      '/dev/stdin',
      '-o',
      'json',
    ]));

  it('names an option that is given twice, is empty, or is no number', () => {
    expect(uselessValue({ _: ['ping', ''], $0: '', dir: ['a', 'b'] })).to.equal('--dir is given 2 times; give it once');
    expect(uselessValue({ config: '' })).to.equal('--config needs a value');
    expect(uselessValue({ address: ['1', ''] })).to.equal('--address needs a value');
    expect(uselessValue({ c: Number.NaN, count: Number.NaN })).to.equal('--count needs a number');
    expect(uselessValue({ address: ['1', '2'], days: 1, 'run-dir': undefined })).to.equal(undefined);
  });
});
