/** A release as `make release` makes it: twice, in two checkouts, and what is in it. Minutes: for make test-full. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { helmProgram } from '../../charts/src/files.ts';
import { TRIPLET } from '../../hack/release/elf.ts';
import { debianVersion, versionOf } from '../../hack/release/version.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const VERSION = versionOf(ROOT);
const DEB = debianVersion(VERSION);

const run = (program: string, args: readonly string[], cwd = ROOT): string =>
  execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });

describe('a release', function () {
  this.timeout(3_600_000);
  let work: string;
  let checkouts: readonly string[];
  const release = (): string => join(checkouts[0] ?? '', 'release');

  before(() => {
    run('hack/release/setup.sh', []);
    work = mkdtempSync(join(tmpdir(), 'evio-release-'));
    checkouts = ['one', 'another-place/two'].map((name) => {
      const checkout = join(work, name);
      run('git', ['worktree', 'add', '--detach', '--quiet', checkout, 'HEAD']);
      // Hard links: bundlers look at where a link leads.
      run('cp', ['-al', join(ROOT, 'node_modules/.'), join(checkout, 'node_modules')]);
      const [from, to] = [join(ROOT, '.cache/release'), join(checkout, '.cache/release')];
      mkdirSync(to, { recursive: true });
      // What was got from elsewhere is the same for both; what is made is not shared.
      const got = existsSync(from)
        ? readdirSync(from).filter((one) => /^(rust|npm)-[^/]*$/.test(one) && !one.endsWith('.new'))
        : [];
      for (const one of got) symlinkSync(join(from, one), join(to, one));
      return checkout;
    });
    for (const checkout of checkouts) {
      run(process.execPath, ['hack/bundle.ts'], checkout);
      run(process.execPath, ['hack/release/build.ts'], checkout);
    }
  });
  after(() => {
    for (const checkout of checkouts ?? []) run('git', ['worktree', 'remove', '--force', checkout]);
    if (work !== undefined) rmSync(work, { recursive: true, force: true });
  });

  it('has packages, images, chart and bill of materials, with checksums that hold', () => {
    const names = readdirSync(release()).sort();
    expect(names).to.deep.equal(
      [
        'SHA256SUMS',
        `evio-${VERSION}.cdx.json`,
        `evio-${VERSION}.tgz`,
        `evio-datapath_${DEB}_armhf.deb`,
        `evio-images_${VERSION}_amd64.tar.gz`,
        `evio_${DEB}_amd64.deb`,
        `evio_${DEB}_arm64.deb`,
      ].sort(),
    );
    run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], release());
    expect(readFileSync(join(release(), 'SHA256SUMS'), 'utf8').trimEnd().split('\n')).to.have.length(names.length - 1);
  });

  it('has the same bytes from another checkout', () => {
    const [one, two] = checkouts.map((checkout) => readFileSync(join(checkout, 'release/SHA256SUMS'), 'utf8'));
    expect(two).to.equal(one);
  });

  for (const name of [`evio_${DEB}_amd64.deb`, `evio_${DEB}_arm64.deb`, `evio-datapath_${DEB}_armhf.deb`])
    it(`has nothing that lintian objects to in ${name}`, () => {
      const said = run('lintian', ['--allow-root', '--fail-on', 'error,warning', join(release(), name)]);
      expect(said).to.equal('');
    });

  for (const [architecture, emulator, name] of [
    ['arm64', 'qemu-aarch64-static', `evio_${DEB}_arm64.deb`],
    ['armhf', 'qemu-arm-static', `evio-datapath_${DEB}_armhf.deb`],
  ] as const)
    it(`has programs for ${architecture} that run (under qemu-user)`, () => {
      const root = join(work, architecture);
      run('dpkg-deb', ['--extract', join(release(), name), root]);
      const home = join(root, 'usr/lib/evio');
      const emulated = (program: string, ...args: readonly string[]): string =>
        run(emulator, ['-L', `/usr/${TRIPLET[architecture]}`, join(home, program), ...args]);
      expect(emulated('tincan', '--version')).to.match(new RegExp(`^tincan ${VERSION}\n`));
      expect(emulated('evio-cni', '--version')).to.match(new RegExp(`^evio-cni ${VERSION}, CNI plugin of Evio`));
      if (architecture === 'armhf') return;
      expect(emulated('node', join(home, 'evio.mjs'), '--version')).to.equal(`${VERSION}\n`);
      const native = `console.log(typeof require(${JSON.stringify(join(home, 'node_datachannel.node'))}).PeerConnection)`;
      expect(emulated('node', '-e', native)).to.equal('function\n');
    });

  it('has a chart that Helm reads', () => {
    const helm = helmProgram();
    if (helm === undefined) throw new Error('there is no helm; run: hack/cluster/build.sh');
    const chart = join(release(), `evio-${VERSION}.tgz`);
    expect(run(helm, ['show', 'chart', chart])).to.contain(`version: ${VERSION}\n`);
    run(helm, ['lint', '--strict', chart]);
    expect(run(helm, ['template', 'evio', chart])).to.equal(run(helm, ['template', 'evio', join(ROOT, 'charts/evio')]));
  });

  it('has a bill of materials with what is inside, by both lock files', () => {
    const { components } = JSON.parse(readFileSync(join(release(), `evio-${VERSION}.cdx.json`), 'utf8')) as {
      components: readonly { name: string; hashes?: unknown }[];
    };
    const names = components.map(({ name }) => name);
    expect(names).to.include.members(['tincan', 'ring', 'node-datachannel', 'zod', 'nodejs']);
    for (const tool of ['mocha', 'proptest', 'esbuild', 'cc']) expect(names).not.to.include(tool);
    const ours = ['tincan', 'evio-cni', 'nodejs'];
    for (const one of components) if (!ours.includes(one.name)) expect(one.hashes, one.name).not.to.equal(undefined);
  });
});
