/**
 * The software bill of materials of a release: CycloneDX 1.5 in JSON (ECMA-424), from the lock files and what cargo says of them. The same
 * input gives the same bytes. Pure.
 */

import { createHash } from 'node:crypto';

/** As much of package-lock.json (version 3) as is read. */
export interface NpmLock {
  readonly packages: Readonly<Record<string, NpmPackage>>;
}
interface NpmPackage {
  readonly version?: string;
  /** `sha512-` and base64 */
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly libc?: readonly string[];
  readonly cpu?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** As much of `cargo metadata --format-version 1` as is read. */
export interface CargoMetadata {
  readonly packages: readonly CargoPackage[];
  readonly resolve: { readonly nodes: readonly CargoNode[] };
}
export interface CargoPackage {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly license: string | null;
  /** null: of this repository. */
  readonly source: string | null;
  readonly manifest_path: string;
}
interface CargoNode {
  readonly id: string;
  readonly deps: readonly { readonly pkg: string; readonly dep_kinds: readonly { readonly kind: string | null }[] }[];
}

export interface SbomInput {
  readonly version: string;
  readonly epoch: number;
  readonly npm: NpmLock;
  readonly cargo: CargoMetadata;
  /** The text of Cargo.lock, for its checksums. */
  readonly cargoLock: string;
  /** Crates of this repository that are shipped. */
  readonly shipped: readonly string[];
  /** Version of the Node.js inside. */
  readonly node: string;
}

interface Component {
  readonly 'bom-ref': string;
  readonly type: 'application' | 'library' | 'platform';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly unknown[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}
interface Part {
  readonly component: Component;
  /** bom-refs */
  readonly dependsOn: readonly string[];
}

/** Package URLs (ECMA-427): the "@" of a scope is written as %40. */
const npmPurl = (name: string, version: string): string => `pkg:npm/${name.replace('@', '%40')}@${version}`;
const cargoPurl = (name: string, version: string): string => `pkg:cargo/${name}@${version}`;

/** SPDX expressions stand as such; other words, such as "MPL 2.0", as a name. */
function licences(text: string | null | undefined): Pick<Component, 'licenses'> {
  if (text === null || text === undefined || text === '') return {};
  const expression = text.replaceAll('/', ' OR ');
  const spdx = /^\(?[\w.+-]+\)?( (AND|OR|WITH) \(?[\w.+-]+\)?)*$/.test(expression);
  return { licenses: [spdx ? { expression } : { license: { name: text } }] };
}

/** Where `node_modules/a/node_modules/b` of a lock file looks for a package: in its own folder, then in those above. */
function resolved(lock: NpmLock, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (lock.packages[path] !== undefined) return path;
    if (at === '') return undefined;
  }
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** Whether it is for machines that a release is made for: Linux with glibc. */
function shippable({ os, libc, cpu }: NpmPackage): boolean {
  return (
    (os === undefined || os.includes('linux')) &&
    (libc === undefined || libc.includes('glibc')) &&
    (cpu === undefined || cpu.some((one) => one === 'x64' || one === 'arm64'))
  );
}

function npmParts(lock: NpmLock): { readonly parts: readonly Part[]; readonly top: readonly string[] } {
  const dependencies = (path: string, of: NpmPackage): readonly string[] =>
    Object.keys({ ...of.dependencies, ...of.optionalDependencies })
      .map((name) => resolved(lock, path, name))
      .filter((found) => found !== undefined);
  // What nothing shipped leads to is not inside.
  const root = lock.packages[''] ?? {};
  const todo = [...dependencies('', root)];
  const found = new Set<string>();
  for (const path of todo) {
    const one = lock.packages[path];
    if (one === undefined || found.has(path) || one.dev === true || !shippable(one)) continue;
    found.add(path);
    todo.push(...dependencies(path, one));
  }
  const ref = (path: string): string => npmPurl(nameOf(path), lock.packages[path]?.version ?? '');
  const refs = (path: string, of: NpmPackage): readonly string[] =>
    dependencies(path, of)
      .filter((one) => found.has(one))
      .map(ref);
  const parts = [...found].map((path): Part => {
    const one = lock.packages[path] ?? {};
    const [algorithm, base64] = one.integrity?.split('-') ?? [];
    const hashes =
      algorithm === 'sha512' && base64 !== undefined
        ? { hashes: [{ alg: 'SHA-512', content: Buffer.from(base64, 'base64').toString('hex') }] }
        : {};
    const purl = ref(path);
    return {
      component: {
        'bom-ref': purl,
        type: 'library',
        name: nameOf(path),
        version: one.version ?? '',
        ...licences(one.license),
        ...hashes,
        purl,
      },
      dependsOn: refs(path, one),
    };
  });
  return { parts, top: refs('', root) };
}

/** Crates that are linked into what is shipped: not those that only build or test it. */
export function shippedCrates(cargo: CargoMetadata, shipped: readonly string[]): readonly CargoPackage[] {
  const packages = new Map(cargo.packages.map((one) => [one.id, one]));
  const todo = cargo.packages.filter((one) => one.source === null && shipped.includes(one.name)).map((one) => one.id);
  const found = new Set<string>();
  for (const id of todo) {
    if (found.has(id)) continue;
    found.add(id);
    todo.push(...linked(cargo, id));
  }
  return [...found].flatMap((id) => packages.get(id) ?? []);
}

const linked = (cargo: CargoMetadata, id: string): readonly string[] =>
  (cargo.resolve.nodes.find((node) => node.id === id)?.deps ?? [])
    .filter(({ dep_kinds }) => dep_kinds.some(({ kind }) => kind === null))
    .map(({ pkg }) => pkg);

function cargoParts({ cargo, cargoLock, shipped }: SbomInput): {
  readonly parts: readonly Part[];
  readonly top: readonly string[];
} {
  const sums = new Map(
    [...cargoLock.matchAll(/^name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"$/gm)].map(
      ([, name = '', version = '', sum = '']) => [cargoPurl(name, version), sum],
    ),
  );
  const crates = shippedCrates(cargo, shipped);
  const ref = ({ name, version }: CargoPackage): string => cargoPurl(name, version);
  const byId = new Map(crates.map((one) => [one.id, ref(one)]));
  const parts = crates.map((one): Part => {
    const purl = ref(one);
    const sum = sums.get(purl);
    return {
      component: {
        'bom-ref': purl,
        type: one.source === null ? 'application' : 'library',
        name: one.name,
        version: one.version,
        ...licences(one.license),
        ...(sum === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: sum }] }),
        purl,
      },
      dependsOn: linked(cargo, one.id).flatMap((id) => byId.get(id) ?? []),
    };
  });
  return { parts, top: crates.filter((one) => one.source === null).map(ref) };
}

/** A UUID (version 8 of RFC 9562: made our own way) of what it names. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

const byRef = (a: Part, b: Part): number => (a.component['bom-ref'] < b.component['bom-ref'] ? -1 : 1);

export function sbom(input: SbomInput): string {
  const [npm, cargo] = [npmParts(input.npm), cargoParts(input)];
  const runtime: Component = {
    'bom-ref': `pkg:generic/nodejs@${input.node}`,
    type: 'platform',
    name: 'nodejs',
    version: input.node,
    ...licences('MIT'),
    purl: `pkg:generic/nodejs@${input.node}`,
  };
  const parts = [
    // One version of a package may lie in several folders.
    ...new Map(
      [...npm.parts, ...cargo.parts, { component: runtime, dependsOn: [] }].map((p) => [p.component['bom-ref'], p]),
    ).values(),
  ].sort(byRef);
  const self = `pkg:generic/evio@${input.version}`;
  const dependency = (ref: string, on: readonly string[]) => ({ ref, dependsOn: [...new Set(on)].sort() });
  const body = {
    metadata: {
      timestamp: new Date(input.epoch * 1000).toISOString(),
      component: {
        'bom-ref': self,
        type: 'application',
        name: 'evio',
        version: input.version,
        ...licences('MIT'),
        purl: self,
      },
    },
    components: parts.map(({ component }) => component),
    dependencies: [
      dependency(self, [...npm.top, ...cargo.top, runtime['bom-ref']]),
      ...parts.map(({ component, dependsOn }) => dependency(component['bom-ref'], dependsOn)),
    ],
  };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(body))}`;
  return `${JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.5', serialNumber, version: 1, ...body }, null, 2)}\n`;
}
