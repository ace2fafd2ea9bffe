/** What the operator writes into the Secret of its server is a server: `evio server run --from` makes one of it, and it answers. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { secretText } from '../../operator/src/desired/authority.ts';
import { serverSecret } from '../../operator/src/desired/server.ts';
import { type Signalling, signallingIs, signallingOf } from '../../operator/src/desired/signalling.ts';
import { aNetwork, aSecret } from '../../operator/src/desired/testing.ts';
import { RelayWatch } from '../../operator/src/io/relay-watch.ts';
import { newServerSecrets, renewCertificate } from '../../operator/src/io/server-secrets.ts';
import { SignallingLink } from '../../operator/src/io/signalling-link.ts';
import { RunningServer, scratch } from '../e2e/evio.ts';
import { until } from './operator/lab.ts';

const HOST = '127.0.47.1';
const SPEC = { signalling: { embedded: { host: HOST, port: 15623 } }, nodeCIDRs: ['10.45.0.0/16'] };
const ROOM = 'default-0123456789ab@conference.evio.internal';
const QUIET = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };

describe('the embedded server', function () {
  this.timeout(60_000);
  const { dir, remove } = scratch();
  const now = Math.floor(Date.now() / 1000);
  let secrets = newServerSecrets(now);
  let server: RunningServer | undefined;

  /** As the kubelet mounts it. */
  async function run(): Promise<Signalling> {
    const { spec } = aNetwork(SPEC);
    const secret = aSecret('evio-server', serverSecret(spec, [HOST], secrets, 'evio-system').data ?? {});
    mkdirSync(join(dir, 'from'), { recursive: true });
    for (const key of Object.keys(secret.data ?? {}))
      writeFileSync(join(dir, 'from', key), secretText(secret, key) ?? '', { mode: 0o400 });
    server = new RunningServer(join(dir, 'server'), 'prosody', ['--from', join(dir, 'from')]);
    await server.ready();
    const found = signallingOf({ spec, namespace: '', secret: () => undefined, server: secret, host: HOST });
    if (!signallingIs(found)) throw new Error(found.message);
    return found;
  }

  afterEach(() => server?.end('SIGTERM'));
  after(remove);

  it('takes the operator as its administrator, and its relay answers', async () => {
    const signalling = await run();
    const [link, relay] = [new SignallingLink(QUIET, () => undefined), new RelayWatch(() => undefined)];
    try {
      link.want({ signalling, room: ROOM });
      relay.want({ host: HOST, port: 3478 });
      await until('the session', async () => link.reach.kind === 'up');
      await until('the relay', async () => relay.reach.kind === 'up');
      expect(
        await link.use(async (admin, room) => [await admin.addUser('n', 'password'), await admin.addMember(room, 'n')]),
      ).to.have.length(2);
      await until('the member', async () => link.members?.includes('n'));
      await server?.end('SIGTERM');
      await until('the session is lost', async () => link.reach.kind === 'down', 10_000);
      await until('the relay is lost', async () => relay.reach.kind === 'down', 10_000);
    } finally {
      link.close();
      relay.close();
    }
  });

  it('keeps its accounts over a start with a new certificate, and nodes need not be told', async () => {
    secrets = renewCertificate(secrets, now);
    const signalling = await run();
    const link = new SignallingLink(QUIET, () => undefined);
    try {
      link.want({ signalling, room: ROOM });
      await until('the session', async () => link.reach.kind === 'up');
      expect(link.members).to.deep.equal(['n']);
    } finally {
      link.close();
    }
  });
});
