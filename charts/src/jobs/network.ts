/** The EvioNetwork as the values have it: applied, and taken away. */
import type { Answer, Api } from './api.ts';

const COLLECTION = '/apis/evio.io/v1alpha1/evionetworks';
const NETWORK = `${COLLECTION}/default`;
const NODES = '/apis/evio.io/v1alpha1/evionodes?limit=500';
const AGAIN_MS = 1_000;
/** For taking the finalizer off; the Job has a minute more than the operator. */
const RELEASE_MS = 40_000;
export const FIELD_MANAGER = 'evio-chart';

export type Say = (line: string) => void;
/** Milliseconds of a clock that never goes back, and waiting. */
export interface Time {
  now(): number;
  wait(ms: number): Promise<void>;
}

/**
 * Whether the same question may be answered otherwise in a moment: no answer, a busy server, a definition not served yet, rights that an
 * API server does not know yet when it has just started.
 */
const passing = ({ status }: Answer): boolean =>
  status === 0 || status === 401 || status === 403 || status === 404 || status === 429 || status >= 500;

/** Server-side apply, so that fields that the values no longer name are given back, and others' are left alone. Throws when refused. */
export async function applyNetwork(api: Api, spec: unknown, timeoutMs: number, time: Time, say: Say): Promise<void> {
  const body = { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNetwork', metadata: { name: 'default' }, spec };
  const path = `${NETWORK}?fieldManager=${FIELD_MANAGER}&force=true`;
  const until = time.now() + timeoutMs;
  for (;;) {
    const answer = await api({ method: 'PATCH', path, body, type: 'application/apply-patch+yaml' });
    if (answer.status >= 200 && answer.status < 300) {
      say(answer.status === 201 ? 'EvioNetwork default is made' : 'EvioNetwork default is as the values have it');
      return;
    }
    if (!passing(answer)) throw new Error(`the API server refuses network.spec: ${answer.message}`);
    if (time.now() >= until) throw new Error(`cannot apply the EvioNetwork: ${answer.message}`);
    await time.wait(AGAIN_MS);
  }
}

/** What to do next about the network that is to go. */
export type Step = 'delete' | 'wait' | 'release' | 'done';

/**
 * From what the API server says of the network: it is asked to delete it, the operator gets its time to clean the nodes, and then the
 * finalizers go, so that an operator that is gone holds nothing up.
 */
export function nextStep(seen: Answer, late: boolean): Step {
  if (seen.status === 404) return 'done';
  if (seen.status !== 200) return 'wait';
  const { metadata } = seen.body as { readonly metadata?: { readonly deletionTimestamp?: string } };
  if (metadata?.deletionTimestamp === undefined) return 'delete';
  return late ? 'release' : 'wait';
}

/** Ends with the network gone, or throws within a minute of the time being up when the API server does not answer or goes on refusing. */
export async function removeNetwork(api: Api, timeoutMs: number, time: Time, say: Say): Promise<void> {
  const until = time.now() + timeoutMs;
  for (;;) {
    const late = time.now() >= until;
    const seen = await api({ method: 'GET', path: NETWORK });
    const step = nextStep(seen, late);
    if (step === 'done') {
      say('EvioNetwork default is gone');
      return;
    }
    let problem = seen.message;
    if (step === 'delete') problem = (await api({ method: 'DELETE', path: NETWORK })).message;
    if (step === 'release') {
      say(`the operator has not cleaned the nodes in ${timeoutMs / 1000} s: ${await leftOver(api)}`);
      const body = { metadata: { finalizers: null } };
      problem = (await api({ method: 'PATCH', path: NETWORK, body, type: 'application/merge-patch+json' })).message;
    }
    if (time.now() >= until + RELEASE_MS) throw new Error(`cannot delete the EvioNetwork: ${problem}`);
    await time.wait(AGAIN_MS);
  }
}

async function leftOver(api: Api): Promise<string> {
  const { body } = await api({ method: 'GET', path: NODES });
  const items = (body as { readonly items?: readonly { readonly metadata: { readonly name: string } }[] })?.items ?? [];
  const names = items.map(({ metadata }) => metadata.name).sort();
  return names.length === 0
    ? 'there is no EvioNode left'
    : `these may not be clean, see "Uninstall" in docs/install.md: ${names.join(', ')}`;
}
