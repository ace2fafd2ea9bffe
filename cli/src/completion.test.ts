import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { completionScript } from './completion.ts';
import { COMMANDS, GROUPS } from './parser.ts';

describe('completion', () => {
  let dir: string;
  let script: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-completion-'));
    script = join(dir, 'evio.bash');
    writeFileSync(script, completionScript('bash', COMMANDS, GROUPS));
    writeFileSync(join(dir, 'a-node.json'), '{}');
  });
  after(() => rmSync(dir, { recursive: true }));

  /** What a real bash offers for each line, of which the last word is being typed. */
  const offeredFor = (lines: readonly (readonly string[])[]): readonly (readonly string[])[] => {
    const program = lines.map(
      (words) =>
        `COMP_WORDS=(evio ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _evio; echo "\${COMPREPLY[*]}"\n`,
    );
    return execFileSync('bash', ['--norc', '-c', `source ${script}\n${program.join('')}`], {
      cwd: dir,
      encoding: 'utf8',
    })
      .split('\n')
      .map((line) => line.split(' ').filter((word) => word !== ''));
  };
  const offered = (...words: readonly string[]): readonly string[] => offeredFor([words])[0] ?? [];

  it('has every command, and every option of each, in bash', () => {
    const paths = COMMANDS.map(({ path }) => path.replace(/ [<[].*$/, '').split(' '));
    const names = offeredFor(paths);
    const options = offeredFor(paths.map((words) => [...words, '--']));
    for (const [i, words] of paths.entries()) {
      expect(names[i]).to.include(words.at(-1));
      expect(options[i], words.join(' ')).to.include.members(['--output', '--help']);
    }
    expect(offered('overlay', 'create', '--su')).to.have.members(['--subnet4', '--subnet6', '--successors']);
  });

  it('knows which words a value may be, also after an equals sign, and offers files where one is meant', () => {
    expect(offered('status', '-o', '')).to.deep.equal(['text', 'json', 'yaml']);
    expect(offered('server', 'init', '--xmpp', 'ej')).to.deep.equal(['ejabberd']);
    expect(offered('graph', '--format', '=')).to.deep.equal(['svg', 'dot', 'mermaid']);
    expect(offered('graph', '--format', '=', 'd')).to.deep.equal(['dot']);
    expect(offered('completion', 'f')).to.deep.equal(['fish']);
    expect(offered('config', 'check', 'a-')).to.deep.equal(['a-node.json']);
    expect(offered('status', '--config', 'a-')).to.deep.equal(['a-node.json']);
    expect(offered('ping', '--count', '')).to.deep.equal([]);
  });

  it('is not led astray by values that are named like commands', () => {
    expect(offered('-o', 'json', 'netc')).to.deep.equal(['netcheck']);
    expect(offered('ping', 'status', '--int')).to.deep.equal(['--interval']);
  });

  it('completes at the Tab key of a terminal', () => {
    const typed = `source ${script}\nevio netch\t--lif\t5 #\nexit\n`;
    const seen = spawnSync('script', ['-qec', 'bash --norc --noprofile -i', '/dev/null'], {
      input: typed,
      cwd: dir,
      encoding: 'utf8',
      env: { ...process.env, TERM: 'dumb', PS1: '$ ', INPUTRC: '/dev/null' },
      timeout: 8_000,
    });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the terminal's own
    expect(seen.stdout.replace(/[\u0007\r]/g, '')).to.contain('evio netcheck --lifetime 5 #');
  });

  describe('for kubectl', () => {
    let program: string;
    before(() => {
      program = join(dir, 'kubectl_complete-evio');
      writeFileSync(program, completionScript('kubectl', COMMANDS, GROUPS), { mode: 0o755 });
    });
    /** Words without what they do, and the directive. */
    const offered = (...words: readonly string[]): readonly string[] =>
      execFileSync(program, words, { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0] ?? '');

    it('has every command, and every option of each, with what it does', () => {
      for (const { path, describe } of COMMANDS) {
        const words = path.replace(/ [<[].*$/, '').split(' ');
        const text = execFileSync(program, words, { encoding: 'utf8' });
        expect(text, path).to.contain(`${words.at(-1)}\t${describe}\n`);
        expect(offered(...words, '--'), path).to.include.members(['--output', '--help', ':4']);
      }
      expect(offered('overlay', 'create', '--su')).to.have.members(['--subnet4', '--subnet6', '--successors', ':4']);
      expect(offered('')).to.include.members(['status', 'overlay', ':4']);
    });

    it('knows which words a value may be, also after an equals sign, and leaves files to the shell', () => {
      expect(offered('status', '-o', '')).to.deep.equal(['text', 'json', 'yaml', ':4']);
      expect(offered('graph', '--format=d')).to.deep.equal(['dot', ':4']);
      expect(offered('completion', 'f')).to.deep.equal(['fish', ':4']);
      expect(offered('config', 'check', 'a-')).to.deep.equal([':0']);
      expect(offered('status', '--config', 'a-')).to.deep.equal([':0']);
      expect(offered('ping', '--count', '')).to.deep.equal([':4']);
      expect(offered('-o', 'json', 'netc')).to.deep.equal(['netcheck', ':4']);
      expect(offered('ping', 'status', '--int')).to.deep.equal(['--interval', ':4']);
    });
  });

  for (const shell of ['zsh', 'fish'] as const)
    it(`has every command in ${shell}'s script, with what it does`, () => {
      const text = completionScript(shell, COMMANDS, GROUPS);
      for (const { path } of COMMANDS)
        expect(text).to.contain(
          path
            .replace(/ [<[].*$/, '')
            .split(' ')
            .at(-1),
        );
      expect(text).to.contain('What the network lets this node do');
    });
});
