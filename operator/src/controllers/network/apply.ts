/** Makes what was decided for the EvioNetwork. */

import { EVIO_NETWORK, type EvioNetwork } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { DAEMON_SET, DEPLOYMENT, SECRET } from '../../../../agent/src/kube-api/kinds.ts';
import { type Applied, type Kind, type KubeObject, ownerReference } from '../../../../agent/src/kube-api/object.ts';
import { effectiveTurn } from '../../../../crds/src/effective.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { roomOf } from '../../desired/enrolment.ts';
import { withFormer } from '../../desired/place.ts';
import { secretsOf, serverDeployment, serverSecret, TURN_PORT } from '../../desired/server.ts';
import { signallingIs } from '../../desired/signalling.ts';
import { agent, apiServersIn, dataplane } from '../../desired/workloads.ts';
import { newServerSecrets, renewCertificate } from '../../io/server-secrets.ts';
import { CLEANUP, FINALIZER, SERVER } from '../../names.ts';
import type { World } from '../world.ts';
import type { NetworkAction, NetworkView } from './decide.ts';

export async function carryOut(view: NetworkView, action: NetworkAction, world: World): Promise<void> {
  const { network } = view;
  const { client, book, log } = world;
  switch (action.kind) {
    case 'add-finalizer': {
      // Its list is a set to server-side apply: those of others stay. With the uid: one that was just deleted is not made again.
      const { name, uid } = network.metadata;
      await client.apply(EVIO_NETWORK, { metadata: { name, uid, finalizers: [FINALIZER] } });
      return;
    }
    case 'make-authority':
      await book.make(action.how, ownerReference(EVIO_NETWORK, network));
      log.info(
        action.how === 'new'
          ? 'made the authority of the overlay'
          : 'the Secret of the authority was gone: made it again as it was',
      );
      return;
    case 'change-ledger':
      await book.change(action.change);
      return;
    case 'make-server-secrets':
      return makeSecrets(view, action.what, world);
    case 'apply-server':
      return applyServer(view, world);
    case 'delete-server':
      await client.delete(DEPLOYMENT, world.key(SERVER), { propagation: 'Background' });
      await client.delete(SECRET, world.key(SERVER));
      return;
    case 'delete-cleanup':
      await client.delete(DAEMON_SET, world.key(CLEANUP), { propagation: 'Background' });
      return;
    case 'apply-daemons': {
      // Those that a person names are all there are.
      const { apiServers: found } = world.surroundings;
      const named = world.settings.apiServers.length > 0;
      const apiServers = named ? found : withFormer(found, apiServersIn(view.agent));
      const { spec } = network;
      await put(world, DAEMON_SET, owned(network, dataplane(spec, world.settings)), view.dataplane);
      await put(world, DAEMON_SET, owned(network, agent(spec, apiServers, world.settings)), view.agent);
      return;
    }
  }
}

export const owned = <T extends KubeObject>(network: EvioNetwork, object: Applied<T>): Applied<T> => ({
  ...object,
  metadata: { ...object.metadata, ownerReferences: [ownerReference(EVIO_NETWORK, network)] },
});

const put = <T extends KubeObject>(
  world: World,
  kind: Kind<T>,
  object: Applied<T>,
  present: T | undefined,
): Promise<void> => world.applier.apply(kind, object, present);

async function makeSecrets(view: NetworkView, what: 'all' | 'certificate', world: World): Promise<void> {
  const now = world.now();
  // The cache may be behind: secrets that are there are never drawn anew.
  const there = await world.client.find(SECRET, world.key(SERVER));
  const present = there && secretsOf(there);
  if (
    what === 'all' &&
    present !== undefined &&
    there?.metadata.resourceVersion !== view.signalling.server?.metadata.resourceVersion
  )
    return;
  const secrets =
    what === 'certificate' && present !== undefined ? renewCertificate(present, now) : newServerSecrets(now);
  const wanted = serverSecret(view.network.spec, ['127.0.0.1'], secrets, world.settings.namespace);
  await world.client.apply(SECRET, owned(view.network, wanted));
  world.log.info(
    what === 'all' ? 'made the secrets of the embedded server' : 'the embedded server gets a new certificate',
  );
}

/** Its settings follow the spec, and the pod follows its settings. */
async function applyServer({ network, signalling, deployment }: NetworkView, world: World): Promise<void> {
  const secret = signalling.server;
  const secrets = secret && secretsOf(secret);
  if (secrets === undefined || signalling.host === undefined) return;
  const addresses = await world.surroundings.addressesOf(signalling.host);
  const wanted = owned(network, serverSecret(network.spec, addresses, secrets, world.settings.namespace));
  await put(world, SECRET, wanted, secret);
  const { metadata, ...parts } = serverDeployment(network.spec, wanted, world.settings);
  await put(world, DEPLOYMENT, owned(network, { metadata, ...parts }), deployment);
}

/** The session with the XMPP server, and who watches the relay, follow what is wanted. */
export function follow(network: EvioNetwork, world: World): void {
  const signalling = world.signalling(network);
  const { authority } = world.book.read();
  if (!signallingIs(signalling) || authority === undefined) world.link.want(undefined);
  else world.link.want({ signalling, room: roomOf(authority.overlayId, NETWORK_NAME, signalling.place.conference) });
  const { host } = world.signallingView(network);
  const relay = effectiveTurn(network.spec) === 'Embedded' && host !== undefined;
  world.relay.want(relay ? { host, port: TURN_PORT } : undefined);
}
