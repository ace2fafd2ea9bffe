/** What is generated of the chart, for hack/generated.ts. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { crdFiles, policyFiles } from '../../crds/src/generate.ts';
import { monitoringFiles } from './monitoring/files.ts';
import { valuesSchema, valuesTable, valuesYaml } from './values-files.ts';

export interface ChartFile {
  readonly file: string;
  /** Undefined: it cannot be made here. */
  readonly make: () => string | undefined;
}

export const NAMESPACE = 'evio-system';
const CHART = 'charts/evio';

/** Where hack/cluster/build.sh puts it; EVIO_HELM names another. */
export function helmProgram(): string | undefined {
  const { EVIO_HELM, PATH = '' } = process.env;
  const built = new URL('../../.cache/cluster/bin/helm', import.meta.url).pathname;
  const places = [EVIO_HELM, built, ...PATH.split(delimiter).map((folder) => join(folder, 'helm'))];
  return places.find((path) => path !== undefined && existsSync(path));
}

/** Rendered without a cluster. Throws with Helm's own words. */
export function helmTemplate(helm: string, args: readonly string[]): string {
  const done = spawnSync(
    helm,
    ['template', 'evio', CHART, '--namespace', NAMESPACE, '--kube-version', '1.32.0', ...args],
    { encoding: 'utf8', cwd: new URL('../..', import.meta.url).pathname, maxBuffer: 64 * 1024 * 1024 },
  );
  if (done.status !== 0) throw new Error(`helm template: ${(done.stderr ?? String(done.error)).trim()}`);
  return done.stdout;
}

const HEADER = `# Evio as the chart has it with its own values: kubectl apply --server-side -f manifests/evio.yaml
# Made from ${CHART} by "node hack/generated.ts", which needs helm: change the chart, not this file.
`;

/** Of one manifest: what is Helm's own is not part of it. */
function manifest(): string | undefined {
  const helm = helmProgram();
  if (helm === undefined) return undefined;
  const text = helmTemplate(helm, ['--no-hooks', '--set', 'namespace.create=true,crds.keep=false']);
  return HEADER + text.replace(/^ *(helm\.sh\/chart|app\.kubernetes\.io\/managed-by): .*\n/gm, '');
}

const TABLE = /(?<=<!-- values: made by hack\/generated\.ts -->\n)[\s\S]*(?=\n<!-- end of values -->)/;

/** The page is written by hand, but for the table of values. */
function installPage(): string {
  const page = readFileSync(new URL('../../docs/install.md', import.meta.url), 'utf8');
  if (!TABLE.test(page)) throw new Error('docs/install.md has no place for the table of values');
  return page.replace(TABLE, () => valuesTable());
}

export const chartFiles = (): readonly ChartFile[] => [
  { file: `${CHART}/values.yaml`, make: valuesYaml },
  { file: `${CHART}/values.schema.json`, make: valuesSchema },
  ...[...crdFiles(), ...policyFiles()].map(({ file, make }) => ({
    file: `${CHART}/files/${file.startsWith('crds/policies/') ? file.slice('crds/'.length) : file}`,
    make,
  })),
  ...monitoringFiles(),
  { file: 'docs/install.md', make: installPage },
  // After what it is made of.
  { file: 'manifests/evio.yaml', make: manifest },
];
