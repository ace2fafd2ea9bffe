/** The Debian packages: which file is where, for whom, and what they need. */

import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { unitText } from '../../cli/src/agent-unit.ts';
import { completionScript, type Shell } from '../../cli/src/completion.ts';
import { COMMANDS, GROUPS } from '../../cli/src/parser.ts';
import { chunksOf } from '../images/layers.ts';
import type { Entry, Tree } from '../images/tree.ts';
import type { DebianPackage } from './deb.ts';
import { type Architecture, debianVersion } from './version.ts';

/** Where the shipped files are on a machine. */
export const HOME = '/usr/lib/evio';
/** The node file that `evio.service` waits for. */
export const NODE_FILE = '/etc/evio/node.json';
const UNITS = '/usr/lib/systemd/system';
const MAINTAINER = 'The Evio authors <maintainers@evio.io>';

/** What was built for one machine, by path. All of it is stripped already. */
export interface Datapath {
  readonly tincan: string;
  readonly cni: string;
}
export interface Programs extends Datapath {
  readonly node: string;
  /** node_datachannel.node */
  readonly webrtc: string;
}

export interface Release {
  readonly root: string;
  /** The same on every machine: bundle and launchers. */
  readonly dist: string;
  /** As in package.json. */
  readonly version: string;
  readonly epoch: number;
  /** Licences of what is inside, by the name of the file that they are shipped as. */
  readonly licences: Readonly<Record<string, string>>;
}

const program = (source: string): Entry => ({ kind: 'file', mode: 0o755, source });
const file = (source: string): Entry => ({ kind: 'file', mode: 0o644, source });
const text = (value: string): Entry => ({ kind: 'text', mode: 0o644, text: value });
const link = (target: string): Entry => ({ kind: 'link', target });
const debian = (name: string): string => readFileSync(new URL(`./debian/${name}`, import.meta.url), 'utf8');

/** Texts that Debian wants compressed; the header has no time, and zlib's own byte for the system is always the same. */
function zipped(name: string, value: string, cache: (name: string, bytes: Buffer) => string): Entry {
  return file(cache(name, gzipSync(value, { level: 9 })));
}

/** One unit for the node of `/etc/evio/node.json`, one for each further overlay. Both are what `evio agent unit` prints. */
export function units(): Readonly<Record<string, string>> {
  const unit = (config: string): string =>
    unitText({
      written: `Of the package evio: the node of ${config}.`,
      description: `Evio: the node of ${config}`,
      unit: ['Documentation=man:evio(1)', `ConditionPathExists=${config}`],
      command: `${HOME}/evio agent run --config ${config}`,
    });
  return { 'evio.service': unit(NODE_FILE), 'evio@.service': unit('/etc/evio/%i.json') };
}

/** RFC 5322, as Debian's changelogs have it. */
export const rfcDate = (epoch: number): string => new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');

/** deb-changelog(5), of the section of CHANGELOG.md that is this version's. */
export function debianChangelog(name: string, changelog: string, version: string, epoch: number): string {
  const section = changelog.split(/^## /m).find((one) => /^\S+/.exec(one)?.[0] === version.replace(/-.*/, ''));
  const lines = (section ?? '').split('\n').flatMap((line) => /^- (.+)/.exec(line)?.[1] ?? []);
  const items = lines.length > 0 ? lines : [`Version ${version}.`];
  return `${name} (${debianVersion(version)}) unstable; urgency=medium

${items.map((item) => item.split(/\s+/).reduce(fill, '  *')).join('\n')}

 -- ${MAINTAINER}  ${rfcDate(epoch)}
`;
}

/** Adds a word, on a new line when the last one is full. */
function fill(done: string, word: string): string {
  const last = done.slice(done.lastIndexOf('\n') + 1);
  return last.length + 1 + word.length > 80 ? `${done}\n    ${word}` : `${done} ${word}`;
}

/** machine-readable, as https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/ has it */
function copyright(release: Release): string {
  const [, , holder = '', , ...body] = readFileSync(join(release.root, 'LICENSE'), 'utf8').split('\n');
  const licence = body
    .join('\n')
    .trim()
    .split('\n')
    .map((line) => ` ${line === '' ? '.' : line}`)
    .join('\n');
  const others = Object.keys(release.licences).sort();
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: evio
Comment: What others made and is inside has its licences in this folder: ${others.join(', ')}.

Files: *
Copyright: ${holder.replace(/^Copyright \(c\) /, '')}
License: Expat

License: Expat
${licence}
`;
}

/** Documents of a package, in the folder of its name. */
function documents(name: string, release: Release, cache: (name: string, bytes: Buffer) => string): Tree {
  const folder = `/usr/share/doc/${name}`;
  const changelog = readFileSync(join(release.root, 'CHANGELOG.md'), 'utf8');
  const tree: Tree = new Map([
    [`${folder}/copyright`, text(copyright(release))],
    [
      `${folder}/changelog.gz`,
      zipped(`changelog-${name}`, debianChangelog(name, changelog, release.version, release.epoch), cache),
    ],
  ]);
  for (const [other, words] of Object.entries(release.licences)) tree.set(`${folder}/${other}`, text(words));
  return tree;
}

const COMMON = {
  Maintainer: MAINTAINER,
  Section: 'net',
  Priority: 'optional',
  Homepage: 'https://edgevpn.io',
} as const;

const ABOUT = [
  'Evio joins machines, most of them behind NATs, into one encrypted Ethernet (layer 2) that carries IPv4 and IPv6, broadcast and multicast, and makes Kubernetes run on it.',
] as const;

/** Where each shell looks for those of packages. */
function completions(): readonly (readonly [string, Entry])[] {
  const script = (shell: Shell, mode = 0o644): Entry => ({
    ...{ kind: 'text', mode, text: completionScript(shell, COMMANDS, GROUPS) },
  });
  return [
    ['/usr/share/bash-completion/completions/evio', script('bash')],
    ['/usr/share/bash-completion/completions/kubectl-evio', link('evio')],
    ['/usr/share/zsh/vendor-completions/_evio', script('zsh')],
    ['/usr/share/fish/vendor_completions.d/evio.fish', script('fish')],
    // kubectl looks for it in PATH, as it does for the plugin.
    ['/usr/bin/kubectl_complete-evio', script('kubectl', 0o755)],
  ];
}

/** `cache` keeps bytes and gives their path. `depends` is what the programs load, as `Depends` has it. */
export function evioPackage(
  release: Release,
  architecture: Architecture,
  programs: Programs,
  depends: string,
  cache: (name: string, bytes: Buffer) => string,
): DebianPackage {
  const man = debian('evio.1')
    .replace('@DATE@', new Date(release.epoch * 1000).toISOString().slice(0, 10))
    .replace('@VERSION@', release.version);
  const entry = join(release.dist, 'evio.mjs');
  if (!existsSync(entry)) throw new Error(`there is no ${entry}; run: make build`);
  const tree: Tree = new Map([
    // A directory of its own kind, see debian/lintian-overrides.
    ['/etc/evio', { kind: 'directory', mode: 0o711 }],
    ['/usr/bin/evio', link('../lib/evio/evio')],
    ['/usr/bin/kubectl-evio', link('../lib/evio/evio')],
    [`${HOME}/evio`, program(join(release.dist, 'evio'))],
    [`${HOME}/node`, program(programs.node)],
    [`${HOME}/node_datachannel.node`, file(programs.webrtc)],
    [`${HOME}/tincan`, program(programs.tincan)],
    [`${HOME}/evio-cni`, program(programs.cni)],
    ...[entry, ...chunksOf(entry)].map((path) => [`${HOME}/${basename(path)}`, file(path)] as const),
    ...Object.entries(units()).map(([name, unit]) => [`${UNITS}/${name}`, text(unit)] as const),
    ['/usr/share/man/man1/evio.1.gz', zipped('evio.1', man, cache)],
    ['/usr/share/man/man1/kubectl-evio.1.gz', link('evio.1.gz')],
    ['/usr/share/man/man1/kubectl_complete-evio.1.gz', link('evio.1.gz')],
    ...completions(),
    ['/usr/share/lintian/overrides/evio', text(overrides('evio'))],
    ...documents('evio', release, cache),
  ]);
  return {
    name: 'evio',
    version: debianVersion(release.version),
    architecture,
    fields: {
      ...COMMON,
      Depends: depends,
      Recommends: 'nftables',
      Suggests: 'coturn, openssl, openvswitch-switch, prosody',
      Conflicts: 'evio-datapath',
      Replaces: 'evio-datapath',
    },
    synopsis: 'one Ethernet over machines behind NATs',
    description: [
      ...ABOUT,
      'This package has the agent, with the Node.js it runs on, the datapath tincan, the CNI plugin and the evio command, and runs a node as evio.service once its file is there.',
    ],
    tree,
    scripts: { postinst: debian('postinst'), prerm: debian('prerm'), postrm: debian('postrm') },
  };
}

/** For machines that Node.js is not made for: what an agent elsewhere, or one built from source, can use. */
export function datapathPackage(
  release: Release,
  architecture: Architecture,
  programs: Datapath,
  depends: string,
  cache: (name: string, bytes: Buffer) => string,
): DebianPackage {
  return {
    name: 'evio-datapath',
    version: debianVersion(release.version),
    architecture,
    fields: { ...COMMON, Depends: depends, Recommends: 'nftables' },
    synopsis: 'one Ethernet over machines behind NATs: datapath and CNI plugin',
    description: [
      ...ABOUT,
      'This package has the datapath tincan and the CNI plugin alone, without an agent: there is no Node.js for this architecture.',
    ],
    tree: new Map([
      [`${HOME}/tincan`, program(programs.tincan)],
      [`${HOME}/evio-cni`, program(programs.cni)],
      ['/usr/share/lintian/overrides/evio-datapath', text(overrides('evio-datapath'))],
      ...documents('evio-datapath', release, cache),
    ]),
    scripts: {},
  };
}

/** What does not concern a package is left out: an override of nothing is a finding itself. */
function overrides(name: 'evio' | 'evio-datapath'): string {
  const all = debian('lintian-overrides');
  if (name === 'evio') return all;
  const blocks = all.split(/\n(?=#)/).filter((block) => !/etc\/evio|embedded-library|lib\/evio\/node/.test(block));
  return `${blocks.join('\n').trimEnd()}\n`;
}
