import { expect } from 'chai';
import yargs from 'yargs';
import { showCommands } from './commands/show.ts';
import { quickLine } from './quick.ts';

const words = (line: string): readonly string[] => line.split(' ').filter((word) => word !== '');

/** As the parser gives them. */
function parsed(line: string): Record<string, unknown> {
  const [path, ...rest] = words(line);
  const command = showCommands.find((one) => one.path === path);
  if (command === undefined) throw new Error(`no command ${path}`);
  const parser = command
    .options(
      yargs([...rest])
        .help(false)
        .version(false)
        .exitProcess(false),
    )
    .strict();
  return parser.option('output', { alias: 'o', default: 'text' }).parseSync() as Record<string, unknown>;
}

describe('command lines that need no parser', () => {
  for (const line of [
    'status',
    'status -o json',
    'status --output yaml --run-dir /run/evio/lab',
    'status --output=json --config=/etc/evio/node.json',
    'status --wait',
    'status --timeout 5 --wait -o text',
    'status --config node.json --timeout=120',
    'peers',
    'peers -o json',
    'peers --run-dir=/run/evio/lab -o yaml',
  ])
    it(`are understood as the parser understands them: ${line}`, () => {
      const quick = quickLine(words(line));
      const full = parsed(line);
      expect(quick?.output).to.equal(full.output);
      for (const key of ['run-dir', 'config', 'wait', 'timeout'])
        expect(quick?.args[key as keyof typeof quick.args], key).to.equal(full[key]);
    });

  for (const line of [
    '',
    'nodes',
    'status --help',
    'status -h',
    'status --version',
    'status more',
    'status -o',
    'status -o xml',
    'status -ojson',
    'status -o=json',
    'status -o json -o yaml',
    'status --run-dir',
    'status --run-dir --wait',
    'status --run-dir=',
    'status --run-dir a --config b',
    'status --no-wait',
    'status --wait=false',
    'status --wait --wait',
    'status --timeout 0',
    'status --timeout -1',
    'status --timeout 1e3',
    'status --timeout 123456',
    'status -- -o',
    'peers --wait',
    'peers --timeout 3',
    'agent run',
  ])
    it(`and this is left to the parser: evio ${line}`, () => {
      expect(quickLine(words(line))).to.equal(undefined);
    });
});
