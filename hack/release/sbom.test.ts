import { expect } from 'chai';
import { type CargoMetadata, type NpmLock, sbom, shippedCrates } from './sbom.ts';

const LOCK: NpmLock = {
  packages: {
    '': { dependencies: { '@scope/top': '1.0.0', shared: '2.0.0', absent: '1.0.0' } },
    'node_modules/@scope/top': {
      version: '1.0.0',
      license: 'MIT',
      integrity: `sha512-${Buffer.from('abc').toString('base64')}`,
      dependencies: { shared: '1.0.0' },
      optionalDependencies: { 'for-linux': '1.0.0', 'for-mac': '1.0.0', 'for-musl': '1.0.0' },
    },
    'node_modules/@scope/top/node_modules/shared': { version: '1.0.0', license: 'ISC' },
    'node_modules/shared': { version: '2.0.0', license: '(MIT OR Apache-2.0)' },
    'node_modules/for-linux': { version: '1.0.0', license: 'MPL 2.0', os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
    'node_modules/for-mac': { version: '1.0.0', os: ['darwin'] },
    'node_modules/for-musl': { version: '1.0.0', os: ['linux'], libc: ['musl'] },
    'node_modules/tester': { version: '9.0.0', dev: true },
  },
};

const crate = (name: string, source: string | null, license: string | null = 'MIT/Apache-2.0') => ({
  id: `${name}#1`,
  name,
  version: '1.0.0',
  license,
  source,
  manifest_path: `/src/${name}/Cargo.toml`,
});
const dep = (name: string, kind: string | null) => ({ pkg: `${name}#1`, dep_kinds: [{ kind }] });
const REGISTRY = 'registry+https://github.com/rust-lang/crates.io-index';
const CARGO: CargoMetadata = {
  packages: [
    crate('tincan', null, 'MIT'),
    crate('ring', REGISTRY),
    crate('cc', REGISTRY),
    crate('proptest', REGISTRY),
    crate('hostile', null),
  ],
  resolve: {
    nodes: [
      { id: 'tincan#1', deps: [dep('ring', null), dep('proptest', 'dev')] },
      { id: 'ring#1', deps: [dep('cc', 'build')] },
      { id: 'hostile#1', deps: [dep('proptest', null)] },
    ],
  },
};
const CARGO_LOCK = `[[package]]\nname = "ring"\nversion = "1.0.0"\nsource = "${REGISTRY}"\nchecksum = "00ff"\n`;
const INPUT = {
  version: '0.1.0',
  epoch: 1_700_000_000,
  npm: LOCK,
  cargo: CARGO,
  cargoLock: CARGO_LOCK,
  shipped: ['tincan'],
  node: '26.0.0',
};

interface Bom {
  readonly serialNumber: string;
  readonly metadata: { readonly timestamp: string };
  readonly components: readonly { readonly purl: string; readonly licenses?: unknown; readonly hashes?: unknown }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}
const bom = JSON.parse(sbom(INPUT)) as Bom;

describe('the bill of materials', () => {
  it('names what is shipped, and nothing that only builds, tests, or is for other systems', () => {
    expect(bom.components.map(({ purl }) => purl)).to.deep.equal([
      'pkg:cargo/ring@1.0.0',
      'pkg:cargo/tincan@1.0.0',
      'pkg:generic/nodejs@26.0.0',
      'pkg:npm/%40scope/top@1.0.0',
      'pkg:npm/for-linux@1.0.0',
      'pkg:npm/shared@1.0.0',
      'pkg:npm/shared@2.0.0',
    ]);
  });

  it('says what needs what: each package by the version it finds', () => {
    const on = Object.fromEntries(bom.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
    expect(on['pkg:npm/%40scope/top@1.0.0']).to.deep.equal(['pkg:npm/for-linux@1.0.0', 'pkg:npm/shared@1.0.0']);
    expect(on['pkg:cargo/tincan@1.0.0']).to.deep.equal(['pkg:cargo/ring@1.0.0']);
    expect(on['pkg:generic/evio@0.1.0']).to.deep.equal([
      'pkg:cargo/tincan@1.0.0',
      'pkg:generic/nodejs@26.0.0',
      'pkg:npm/%40scope/top@1.0.0',
      'pkg:npm/shared@2.0.0',
    ]);
  });

  it('has checksums of both lock files, and licences as SPDX where they are', () => {
    const of = (purl: string) => bom.components.find((one) => one.purl === purl);
    expect(of('pkg:cargo/ring@1.0.0')).to.deep.include({
      hashes: [{ alg: 'SHA-256', content: '00ff' }],
      licenses: [{ expression: 'MIT OR Apache-2.0' }],
    });
    expect(of('pkg:npm/%40scope/top@1.0.0')?.hashes).to.deep.equal([{ alg: 'SHA-512', content: '616263' }]);
    expect(of('pkg:npm/for-linux@1.0.0')?.licenses).to.deep.equal([{ license: { name: 'MPL 2.0' } }]);
  });

  it('is the same text for the same input, with a number of its own for another', () => {
    expect(sbom(INPUT)).to.equal(sbom({ ...INPUT }));
    expect(bom.metadata.timestamp).to.equal('2023-11-14T22:13:20.000Z');
    expect(bom.serialNumber).to.match(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect((JSON.parse(sbom({ ...INPUT, version: '0.1.1' })) as Bom).serialNumber).not.to.equal(bom.serialNumber);
  });

  it('finds no crate when none is shipped', () => expect(shippedCrates(CARGO, [])).to.deep.equal([]));
});
