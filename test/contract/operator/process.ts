/**
 * An operator with one small controller, as a process of its own: copies each ConfigMap labelled test=source, and writes into the
 * copy who made it.
 *
 *     node process.ts SERVICE-ACCOUNT-FOLDER SERVER IDENTITY
 */

import { Connection } from '../../../agent/src/io/kube-connection.ts';
import { createLog } from '../../../agent/src/io/log.ts';
import { CONFIG_MAP } from '../../../agent/src/kube-api/kinds.ts';
import { keyOf, ownerReference } from '../../../agent/src/kube-api/object.ts';
import { watch } from '../../../operator/src/controller.ts';
import { findAccess } from '../../../operator/src/io/access.ts';
import { createRuntime } from '../../../operator/src/runtime.ts';

const [folder = '', server = '', identity = ''] = process.argv.slice(2);
const log = createLog({ level: 'info', format: 'text' }, { component: 'operator' });
const access = await findAccess({ serviceAccount: folder, servers: [server] });
const runtime = createRuntime({
  connection: new Connection(access),
  log,
  name: 'evio-operator',
  lease: 'default/evio-operator',
  identity,
  probes: { host: '127.0.0.1', port: 0 },
});
const sources = runtime.cache(CONFIG_MAP, { namespace: 'default', labelSelector: 'test=source' });
const copies = runtime.cache(CONFIG_MAP, { namespace: 'default', labelSelector: 'test=copy' });
runtime.add({
  name: 'copy',
  watches: [watch(sources, (source) => [keyOf(source)]), watch(copies, (copy) => [keyOf(copy).replace('copy-', '')])],
  concurrency: 8,
  async reconcile(key) {
    const source = sources.get(key);
    const copy = copies.get(key.replace('/', '/copy-'));
    if (source === undefined) {
      if (copy !== undefined) await runtime.client.delete(CONFIG_MAP, keyOf(copy), { uid: copy.metadata.uid });
      return undefined;
    }
    if (copy?.data?.value === source.data?.value && copy !== undefined) return undefined;
    await runtime.client.apply(CONFIG_MAP, {
      metadata: {
        name: `copy-${source.metadata.name}`,
        namespace: 'default',
        labels: { test: 'copy' },
        ownerReferences: [ownerReference(CONFIG_MAP, source)],
      },
      data: { value: source.data?.value ?? '', by: identity },
    });
    runtime.events.event(CONFIG_MAP, source, { type: 'Normal', reason: 'Copied', action: 'Copy', note: 'copied' });
    return undefined;
  },
});
const end = new AbortController();
process.on('SIGTERM', () => end.abort());
const running = runtime.run(end.signal);
const told = setInterval(() => {
  if (runtime.probesPort === undefined) return;
  clearInterval(told);
  log.info(`probes at ${runtime.probesPort}`);
}, 10);
process.exitCode = (await running) ? 0 : 1;
log.info('the end');
