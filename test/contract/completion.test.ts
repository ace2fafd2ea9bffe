/** What the real kubectl offers behind `kubectl evio`, by the script that is shipped beside `kubectl-evio`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { completionScript } from '../../cli/src/completion.ts';
import { COMMANDS, GROUPS } from '../../cli/src/parser.ts';
import { KUBECTL } from '../servers/kube-api.ts';

describe('kubectl evio, at the Tab key', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-kubectl-'));
    writeFileSync(join(dir, 'kubectl-evio'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(dir, 'kubectl_complete-evio'), completionScript('kubectl', COMMANDS, GROUPS), { mode: 0o755 });
  });
  after(() => rmSync(dir, { recursive: true }));

  /** As kubectl's scripts for bash, zsh and fish ask it. */
  const offered = (...words: readonly string[]): string => {
    const env = { PATH: `${dir}:/usr/bin:/bin`, HOME: dir };
    const done = spawnSync(KUBECTL, ['__complete', ...words], { encoding: 'utf8', env });
    expect(done.status, done.stderr).to.equal(0);
    return done.stdout;
  };

  it('is offered itself, its commands with what they do, their options, and values', () => {
    expect(offered('ev')).to.match(/^evio\t/m);
    expect(offered('evio', 'netc')).to.match(/^netcheck\tWhat the network lets this node do.*\n:4\n$/);
    expect(offered('evio', 'status', '--ti')).to.match(/^--timeout\t.+\n:4\n$/);
    expect(offered('evio', 'status', '-o', 'y')).to.equal('yaml\n:4\n');
    expect(offered('evio', 'config', 'check', '')).to.equal(':0\n');
  });
});
