import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Tree } from '../images/tree.ts';
import { buildDeb, controlText, type DebianPackage, installedKiB, md5sums } from './deb.ts';
import { debianChangelog, rfcDate, units } from './package.ts';
import { debianVersion, epochOf } from './version.ts';

const EPOCH = 1_700_000_000;

describe('the version of a release', () => {
  it('sorts as Debian sorts: a candidate comes before what it is a candidate for', () => {
    expect(debianVersion('0.2.0')).to.equal('0.2.0');
    expect(debianVersion('0.2.0-rc.1')).to.equal('0.2.0~rc.1');
    execFileSync('dpkg', ['--compare-versions', debianVersion('0.2.0-rc.1'), 'lt', debianVersion('0.2.0')]);
  });

  it('is dated by SOURCE_DATE_EPOCH, and a wrong one is refused', () => {
    expect(epochOf('/nowhere', { SOURCE_DATE_EPOCH: '1700000000' })).to.equal(EPOCH);
    expect(() => epochOf('/nowhere', { SOURCE_DATE_EPOCH: 'today' })).to.throw(
      'SOURCE_DATE_EPOCH is today; it has to be',
    );
  });
});

describe('a Debian package', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evio-deb-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function made(): DebianPackage {
    const source = join(folder, 'program');
    writeFileSync(source, 'program\n'.repeat(200));
    const tree: Tree = new Map([
      ['/usr/lib/evio/program', { kind: 'file', mode: 0o755, source }],
      ['/etc/evio', { kind: 'directory', mode: 0o711 }],
      ['/usr/bin/evio', { kind: 'link', target: '../lib/evio/program' }],
      ['/usr/share/doc/evio/copyright', { kind: 'text', mode: 0o644, text: 'ours\n' }],
    ]);
    return {
      name: 'evio',
      version: '1.2.3',
      architecture: 'amd64',
      fields: { Maintainer: 'nobody <nobody@localhost>', Depends: 'libc6 (>= 2.36)' },
      synopsis: 'one Ethernet',
      description: ['Words '.repeat(30).trim(), 'Second.'],
      tree,
      scripts: { postinst: '#!/bin/sh\nexit 0\n' },
    };
  }

  it('has the same bytes for the same files, whenever, by whomever and under whatever umask they were made', () => {
    const first = readFileSync(buildDeb(made(), join(folder, 'first'), EPOCH, 'small'));
    const again = made();
    utimesSync(join(folder, 'program'), 1_000, 1_000);
    chmodSync(join(folder, 'program'), 0o600);
    const before = process.umask(0o077);
    try {
      expect(readFileSync(buildDeb(again, join(folder, 'second'), EPOCH, 'small')).equals(first)).to.equal(true);
    } finally {
      process.umask(before);
    }
    const later = readFileSync(buildDeb(made(), join(folder, 'third'), EPOCH + 1, 'small'));
    expect(later.equals(first)).to.equal(false);
  });

  it('has modes and links as wanted, of root', () => {
    const path = buildDeb(made(), folder, EPOCH, 'quick');
    const listed = execFileSync('dpkg-deb', ['--contents', path], {
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC' },
    });
    const said = listed.replace(/ +/g, ' ').split('\n');
    expect(said).to.include.members([
      'drwx--x--x root/root 0 2023-11-14 22:13 ./etc/evio/',
      'lrwxrwxrwx root/root 0 2023-11-14 22:13 ./usr/bin/evio -> ../lib/evio/program',
      '-rwxr-xr-x root/root 1600 2023-11-14 22:13 ./usr/lib/evio/program',
    ]);
  });

  it('has a control file that dpkg reads, with paragraphs and a size', () => {
    const path = buildDeb(made(), folder, EPOCH, 'quick');
    const field = (name: string): string =>
      execFileSync('dpkg-deb', ['--field', path, name], { encoding: 'utf8' }).trim();
    expect(field('Version')).to.equal('1.2.3');
    expect(field('Depends')).to.equal('libc6 (>= 2.36)');
    // The program 2, the text, the link and ten directories 1 each.
    expect(field('Installed-Size')).to.equal('14');
    const lines = controlText(made(), 1).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(80);
    expect(lines).to.include.members([' .', ' Second.']);
  });

  it('counts and sums what is in it', () => {
    const { tree } = made();
    expect(installedKiB(tree)).to.equal(14);
    expect(md5sums(tree)).to.match(
      /^[0-9a-f]{32} {2}usr\/lib\/evio\/program\n[0-9a-f]{32} {2}usr\/share\/doc\/evio\/copyright\n$/,
    );
  });
});

describe('the package evio', () => {
  it('has units with the words of evio agent unit, which wait for their node file and leave tincan running', () => {
    const all = units();
    expect(Object.keys(all)).to.deep.equal(['evio.service', 'evio@.service']);
    for (const [name, file] of [
      ['evio.service', '/etc/evio/node.json'],
      ['evio@.service', '/etc/evio/%i.json'],
    ] as const) {
      const lines = (all[name] ?? '').split('\n');
      for (const line of [
        `ConditionPathExists=${file}`,
        `ExecStart=/usr/lib/evio/evio agent run --config ${file}`,
        'KillMode=process',
        'Restart=on-failure',
        'WantedBy=multi-user.target',
      ])
        expect(lines, name).to.include(line);
    }
  });

  it("has the changelog's section of its version, as Debian writes it", () => {
    const page = `# Changelog\n\n## 0.2.0\n- Later.\n\n## 0.1.0 (not released)\n- ${'Long '.repeat(20)}line.\n- Second.\n`;
    const text = debianChangelog('evio', page, '0.1.0', EPOCH);
    expect(text).to.match(
      /^evio \(0\.1\.0\) unstable; urgency=medium\n\n {2}\* Long .*\n {4}Long .*line\.\n {2}\* Second\.\n\n -- /,
    );
    expect(text).to.match(/ {2}Tue, 14 Nov 2023 22:13:20 \+0000\n$/);
    expect(text).not.to.contain('Later');
    expect(rfcDate(0)).to.equal('Thu, 01 Jan 1970 00:00:00 +0000');
  });

  it('has scripts that every shell of a Debian system can read', () => {
    for (const name of ['postinst', 'prerm', 'postrm'])
      execFileSync('dash', ['-n', join(import.meta.dirname, 'debian', name)], { stdio: 'pipe' });
  });
});
