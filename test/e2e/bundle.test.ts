/** What is shipped runs where it is copied to: no node_modules, no path of the machine it was made on. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect } from 'chai';
import { nodeFileValue, writeNodeFile } from '../../agent/src/config/testing/fixture.ts';
import { program, scratch } from './evio.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('the shipped bundle', function () {
  this.timeout(60_000);
  const place = scratch();
  const dist = join(place.dir, 'opt');
  const env = (path: string, ...command: readonly string[]) => program('env', '-i', `PATH=${path}`, ...command);
  const evio = join(dist, 'evio');

  before(() => {
    if (!existsSync(join(ROOT, 'dist/evio.mjs'))) execFileSync(process.execPath, [join(ROOT, 'hack/bundle.ts')]);
    mkdirSync(dist);
    for (const name of readdirSync(join(ROOT, 'dist')).filter((n) => n !== 'node')) {
      cpSync(join(ROOT, 'dist', name), join(dist, name));
    }
  });
  after(() => place.remove());

  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;

  it('runs with nothing but Node.js, also through a link', async () => {
    const link = join(place.dir, 'evio');
    symlinkSync(evio, link);
    for (const command of [evio, link]) {
      const done = await env(path, command, '--version');
      expect([done.code, done.stdout], done.stderr).to.deep.equal([0, '0.1.0\n']);
    }
  });

  it('checks a node file, and ends with 2 for a wrong one', async () => {
    const good = writeNodeFile(nodeFileValue());
    const bad = writeNodeFile({ ...nodeFileValue(), nmae: 'x' });
    try {
      const taken = await env(path, evio, 'config', 'check', good, '-o', 'json');
      expect(taken.code, taken.stderr).to.equal(0);
      expect(JSON.parse(taken.stdout)).to.deep.include({ ok: true, name: 'pi1' });
      for (const command of [
        ['config', 'check', bad],
        ['agent', 'run', '--config', bad],
        ['agent', 'run', `--config=${bad}`],
      ]) {
        const refused = await env(path, evio, ...command);
        expect([refused.code, refused.stdout]).to.deep.equal([2, '']);
        expect(refused.stderr).to.match(/^[^\n]*: nmae: unknown key \(value "x"\); allowed: apiVersion, [^\n]*\n$/);
      }
    } finally {
      for (const file of [good, bad]) rmSync(dirname(file), { recursive: true, force: true });
    }
  });

  it("loads no Kubernetes library into a cluster's agent", () => {
    const entry = readdirSync(dist).find((name) => /^kubernetes-.*\.mjs$/.test(name)) ?? expect.fail('no agent');
    const loaded = new Set([entry]);
    for (const name of loaded)
      for (const [, next = ''] of readFileSync(join(dist, name), 'utf8').matchAll(
        /(?:from|import)\(?"\.\/([^"]+\.mjs)"/g,
      ))
        loaded.add(next);
    expect(loaded.size).to.be.greaterThan(5);
    const foreign = [...loaded].filter((name) =>
      readFileSync(join(dist, name), 'utf8').includes('loadFromClusterAndUser'),
    );
    expect(foreign).to.deep.equal([]);
  });

  it('says so when Node.js is missing', async () => {
    // A PATH with what the launcher itself needs, and nothing more.
    const bare = join(place.dir, 'bin');
    mkdirSync(bare);
    for (const tool of ['dirname', 'readlink', 'env', 'sh']) symlinkSync(`/usr/bin/${tool}`, join(bare, tool));
    const done = await env(bare, evio, '--version');
    expect([done.code, done.stderr]).to.deep.equal([
      1,
      `evio: there is no Node.js: put "node" into PATH, or beside ${dist}/evio\n`,
    ]);
  });

  it('has no path of the machine it was made on', () => {
    for (const name of readdirSync(dist).filter((n) => /\.(mjs|txt)$/.test(n) || n === 'evio')) {
      expect(readFileSync(join(dist, name), 'utf8').includes(ROOT), name).to.equal(false);
    }
  });
});
