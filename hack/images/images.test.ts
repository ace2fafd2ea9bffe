import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { targetOf } from './dockerfile.ts';
import { EXAMPLES, IMAGES, NODE, USERS } from './images.ts';
import { chunksOf } from './layers.ts';
import { type BuiltImage, writeArchive } from './oci.ts';
import { layerTar, type Tree, treeDigest, without } from './tree.ts';

const DOCKERFILE = readFileSync(new URL('./evio.Dockerfile', import.meta.url), 'utf8');
const BAKE = readFileSync(new URL('./docker-bake.hcl', import.meta.url), 'utf8');

describe('the Dockerfile and the archives', () => {
  for (const image of IMAGES) {
    it(`${image.name} has the same packages, files, user and command in both`, () => {
      const target = targetOf(DOCKERFILE, image.name);
      const node = image.node ? ['libatomic1', 'libstdc++6'] : [];
      expect([...target.packages].sort()).to.deep.equal([...image.packages, ...node].sort());
      // The archive has a bundle with its own chunks, the Dockerfile all of dist/: files no command of that image loads.
      const paths = image.copies.map(({ to }) => (to.endsWith('.mjs') ? '/opt/evio/*.mjs' : to));
      expect([...target.paths].sort()).to.deep.equal([...new Set([...paths, ...(image.node ? [NODE] : [])])].sort());
      expect(target.links).to.deep.equal(Object.fromEntries(image.links.map(({ path, target }) => [path, target])));
      expect(target.users).to.deep.equal(Object.fromEntries(USERS.map(({ name, id }) => [name, id])));
      expect(target.entrypoint).to.deep.equal(image.entrypoint);
      expect(target.cmd).to.deep.equal(image.cmd);
      expect(target.user).to.equal(image.user);
      expect(target.stopSignal).to.equal(image.stopSignal);
      expect(target.env).to.deep.equal(image.env);
    });
  }

  for (const image of EXAMPLES) {
    it(`${image.name}, an example, has the same packages, files, user and command in both`, () => {
      const path = new URL(`../../examples/${image.name}/Dockerfile`, import.meta.url);
      const target = targetOf(readFileSync(path, 'utf8'), image.name);
      expect([...target.packages].sort()).to.deep.equal([...image.packages].sort());
      expect(target.paths).to.deep.equal(image.copies.map(({ to }) => to));
      expect(target.entrypoint).to.deep.equal(image.entrypoint);
      expect(target.cmd).to.deep.equal(image.cmd);
      expect(target.user).to.equal(image.user);
    });
  }

  it('has every crate of the workspace, without which cargo builds none', () => {
    const manifest = readFileSync(new URL('../../Cargo.toml', import.meta.url), 'utf8');
    const members = JSON.parse(/^members = (\[.*\])$/m.exec(manifest)?.[1] ?? '[]') as readonly string[];
    expect(members).to.include('agent/tincan');
    expect(members.filter((member) => !DOCKERFILE.includes(`COPY ${member} ${member}\n`))).to.deep.equal([]);
  });

  it('buildx bake builds every image', () => {
    const listed = JSON.parse(/matrix *= \{ image = (\[.*\]) \}/.exec(BAKE)?.[1] ?? '[]') as readonly string[];
    expect(listed).to.deep.equal(IMAGES.map(({ name }) => name));
  });
});

describe('an archive', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evio-images-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function tree(): Tree {
    const source = join(folder, 'program');
    writeFileSync(source, 'program\n');
    return new Map([
      ['/usr/bin/program', { kind: 'file', mode: 0o755, source }],
      ['/bin', { kind: 'link', target: 'usr/bin' }],
      ['/etc/passwd', { kind: 'text', mode: 0o644, text: 'root:x:0:0::/:/bin/sh\n' }],
      ['/tmp', { kind: 'directory', mode: 0o1777 }],
    ]);
  }
  async function archive(name: string, made: Tree): Promise<string> {
    const to = join(folder, name);
    const [image] = IMAGES;
    if (image === undefined) throw new Error('there are no images');
    const layers = [layerTar(made, join(folder, `layers-${name}`))];
    const one: BuiltImage = { image, reference: 'localhost/evio/agent:1', version: '1', layers };
    await writeArchive(to, [one, { ...one, reference: 'localhost/evio/again:1' }]);
    return to;
  }
  const listing = (path: string): string =>
    execFileSync('tar', ['--list', '--verbose', '--file', path], { encoding: 'utf8' });

  it('has the same bytes for the same files, whenever and by whomever they were made', async () => {
    const first = readFileSync(await archive('first.tar', tree()));
    const again = tree();
    utimesSync(join(folder, 'program'), 1_000, 1_000);
    expect(readFileSync(await archive('second.tar', again)).equals(first)).to.equal(true);
  });

  it('has a layer with modes and links as wanted, of root, and without times', () => {
    const lines = listing(layerTar(tree(), folder)).trimEnd().split('\n');
    const said = lines.map((line) => line.replace(/ +/g, ' '));
    expect(said).to.include.members([
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 ./bin -> usr/bin',
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 ./tmp/',
      '-rwxr-xr-x 0/0 8 1970-01-01 00:00 ./usr/bin/program',
    ]);
  });

  it('has a layer that two images share once', async () => {
    const blobs = listing(await archive('shared.tar', tree())).match(/blobs\/sha256\/[0-9a-f]{64}$/gm) ?? [];
    // Of both the layer and the configuration are the same; so is the manifest, which does not know its image's name.
    expect(blobs).to.have.length(3);
  });

  it('has every blob under its own digest', async () => {
    const path = await archive('digests.tar', tree());
    const names = listing(path).match(/blobs\/sha256\/[0-9a-f]{64}$/gm) ?? [];
    expect(names).not.to.have.length(0);
    for (const name of names) {
      const bytes = execFileSync('tar', ['--extract', '--to-stdout', '--file', path, name]);
      const digest = execFileSync('sha256sum', { input: bytes, encoding: 'utf8' }).slice(0, 64);
      expect(name).to.equal(`blobs/sha256/${digest}`);
    }
  });

  it('leaves out of a layer what the layer under it has, and keeps what is different there', () => {
    const under = tree();
    const over: Tree = new Map(tree()).set('/etc/passwd', { kind: 'text', mode: 0o644, text: 'other\n' });
    expect([...without(over, [under]).keys()]).to.deep.equal(['/etc/passwd']);
    expect(treeDigest(over)).not.to.equal(treeDigest(under));
  });

  it('has the chunks that a bundle imports, and those that they import', () => {
    const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
    write('evio.mjs', 'import{a}from"./one.mjs";await import("./two.mjs")');
    write('one.mjs', 'export{b as a}from"./three.mjs"');
    write('two.mjs', 'import"./evio.mjs"');
    write('three.mjs', 'export const b=1');
    write('other.mjs', '');
    expect(chunksOf(join(folder, 'evio.mjs'))).to.deep.equal(
      ['one.mjs', 'three.mjs', 'two.mjs'].map((name) => join(folder, name)),
    );
  });
});
