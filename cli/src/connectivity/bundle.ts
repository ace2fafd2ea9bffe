/** What a report of a failed test needs to hold: results, objects and logs, secrets taken out. Nothing is changed. */
import { gzipSync } from 'node:zlib';
import { isObject } from '../../../agent/src/io/json-lines.ts';
import { oneLine } from '../failure.ts';
import { type Redaction, Redactor } from '../sysdump/redact.ts';
import { type Entry, tar } from '../sysdump/tar.ts';
import type { StepReport } from './judge.ts';
import type { World } from './world.ts';

const ASK_MS = 10_000;
const LOG_LINES = 2_000;
const LOGS_AT_ONCE = 16;
/** Who wrote which field is half of every object and tells nothing here; the second would be taken for a secret. */
const LEFT_OUT: readonly string[] = ['managedFields', 'automountServiceAccountToken'];
/** Of a name in the archive, which has 100 bytes with its folders. */
const NAME_MAX = 56;

export interface Bundle {
  readonly archive: Buffer;
  readonly files: readonly string[];
  readonly redactions: readonly Redaction[];
  readonly missing: readonly string[];
}

/** `folder`: what the archive unpacks to. Rejects with nothing. */
export async function bundle(
  world: World,
  steps: readonly StepReport[],
  folder: string,
  wallMs: number,
): Promise<Bundle> {
  const { namespace, evioNamespace, tell } = world.options;
  const files = new Map<string, string>([['result.json', `${JSON.stringify(steps, null, 2)}\n`]]);
  const missing: string[] = [];
  const tried = async (name: string, make: () => Promise<string>): Promise<string | undefined> => {
    tell(name);
    try {
      const text = await make();
      files.set(name, text);
      return text;
    } catch (error) {
      missing.push(`${name}: ${oneLine(error)}`);
      return undefined;
    }
  };
  const evio = '/apis/evio.io/v1alpha1';
  for (const [name, path] of [
    ['nodes', '/api/v1/nodes'],
    ...['evionetworks', 'evionodes', 'eviopeers'].map((plural) => [plural, `${evio}/${plural}`] as const),
    ...[namespace, evioNamespace].flatMap((ns) => [
      ...['pods', 'services', 'events'].map((kind) => [`${ns}/${kind}`, `/api/v1/namespaces/${ns}/${kind}`] as const),
      [`${ns}/daemonsets`, `/apis/apps/v1/namespaces/${ns}/daemonsets`] as const,
    ]),
    ['kube-dns/pods', '/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns'],
  ] as const) {
    const text = await tried(`objects/${name}.json`, () => objects(world, path));
    if (text === undefined || !name.endsWith('/pods')) continue;
    const queue = containersOf(text).values();
    // A node that nothing reaches has the API server wait for each of its pods.
    const read = async (): Promise<void> => {
      for (const { pod, ns, container } of queue)
        await tried(`logs/${pod.slice(0, NAME_MAX - container.length)}.${container}.txt`, () =>
          world.log(pod, ASK_MS, ns, `?container=${container}&timestamps=true&tailLines=${LOG_LINES}`),
        );
    };
    await Promise.all(Array.from({ length: LOGS_AT_ONCE }, read));
  }
  const redactor = new Redactor([]);
  const entries: Entry[] = [...files].map(([name, text]) => ({
    name: `${folder}/${name}`,
    content: Buffer.from(redactor.text(name, text)),
  }));
  const { redactions } = redactor;
  const lines = (some: readonly string[], none: string): Buffer =>
    Buffer.from(some.map((l) => `${l}\n`).join('') || none);
  entries.push(
    {
      name: `${folder}/REDACTED.txt`,
      content: lines(
        redactions.map(({ file, what, times }) => `${file}: ${what}, ${times} times`),
        'nothing had to be taken out\n',
      ),
    },
    { name: `${folder}/MISSING.txt`, content: lines(missing, 'nothing is missing\n') },
  );
  return {
    archive: gzipSync(tar(entries, Math.floor(wallMs / 1000))),
    files: entries.map(({ name }) => name),
    redactions,
    missing,
  };
}

async function objects(world: World, path: string): Promise<string> {
  const { status, text } = await world.connection.request({ method: 'GET', path, timeoutMs: ASK_MS });
  if (status !== 200) throw new Error(`HTTP ${status}`);
  const value = JSON.parse(text, (key, inside: unknown) => (LEFT_OUT.includes(key) ? undefined : inside));
  return `${JSON.stringify(value, null, 2)}\n`;
}

function containersOf(text: string): readonly { pod: string; ns: string; container: string }[] {
  const { items } = JSON.parse(text) as { items?: unknown };
  return (Array.isArray(items) ? items : []).filter(isObject).flatMap((item) => {
    const { metadata, spec } = item as {
      metadata: { name: string; namespace: string };
      spec: { containers: readonly { name: string }[] };
    };
    return spec.containers.map(({ name }) => ({ pod: metadata.name, ns: metadata.namespace, container: name }));
  });
}
