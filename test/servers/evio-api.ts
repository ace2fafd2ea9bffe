/** A real API server that knows Evio's kinds, and if wanted its policies: the files of crds/ as a cluster gets them. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { crdFiles, policyFiles } from '../../crds/src/generate.ts';
import { KINDS } from '../../crds/src/kinds.ts';
import { API_VERSION } from '../../crds/src/object-meta.ts';
import { type KubeAnswer, type KubeApi, type KubeApiOptions, startKubeApi } from './kube-api.ts';

const YAML = 'application/yaml';
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const READY_TIMEOUT_MS = 20_000;

/** The path of a kind's objects, like "/apis/evio.io/v1alpha1/evionetworks". */
export const pathOf = (kind: string): string =>
  `/apis/${API_VERSION}/${KINDS.find((one) => one.kind === kind)?.plural ?? kind}`;

export async function startEvioApi(options: KubeApiOptions = {}): Promise<KubeApi> {
  const api = await startKubeApi(options);
  try {
    for (const { file } of crdFiles()) await created(api, CRDS, readFileSync(file, 'utf8'));
    await Promise.all(KINDS.map((kind) => served(api, pathOf(kind.kind))));
    return api;
  } catch (error) {
    await api.stop();
    throw error;
  }
}

/** Adds the policies, and waits until each refuses what `probe` asks; without a probe a policy may hold a second later. */
export async function addPolicies(api: KubeApi, probe?: () => Promise<boolean>): Promise<void> {
  for (const { file } of policyFiles()) {
    const [policy = '', binding = ''] = readFileSync(file, 'utf8').split(/^---$/m);
    await created(api, `${ADMISSION}/validatingadmissionpolicies`, policy);
    await created(api, `${ADMISSION}/validatingadmissionpolicybindings`, binding);
  }
  const end = performance.now() + READY_TIMEOUT_MS;
  while (probe !== undefined && !(await probe())) {
    if (performance.now() > end) throw new Error(`the policies do not hold after ${READY_TIMEOUT_MS} ms`);
    await sleep(100);
  }
}

async function created(api: KubeApi, path: string, text: string): Promise<void> {
  const answer = await api.request('POST', `${path}?fieldValidation=Strict`, text, { type: YAML });
  if (answer.status !== 201) throw new Error(`${path} answers ${answer.status}: ${answer.body.message}`);
}

/** A new kind is served a moment after its definition was taken. */
async function served(api: KubeApi, path: string): Promise<void> {
  const end = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const { status } = await api.request('GET', path);
    if (status === 200) return;
    if (performance.now() > end) throw new Error(`${path} is not served after ${READY_TIMEOUT_MS} ms`);
    await sleep(50);
  }
}

export interface Written {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [key: string]: unknown;
}

/** Makes the object, or replaces it with all it has. */
export async function put(api: KubeApi, object: Written, as = 'admin'): Promise<KubeAnswer> {
  const path = pathOf(object.kind);
  const before = await api.request('GET', `${path}/${object.metadata.name}`);
  if (before.status === 404) return api.request('POST', `${path}?fieldValidation=Strict`, object, { as });
  const { resourceVersion } = before.body.metadata;
  const replacing = { ...object, metadata: { ...object.metadata, resourceVersion } };
  return api.request('PUT', `${path}/${object.metadata.name}?fieldValidation=Strict`, replacing, { as });
}

/** Takes away all objects of Evio's kinds. */
export async function clear(api: KubeApi): Promise<void> {
  for (const { kind } of KINDS) await api.request('DELETE', pathOf(kind));
}
