/**
 * The end of an EvioNetwork. What runs goes first, then the nodes are cleaned of what it leaves, then the rest goes, and last the finalizer. What
 * cannot be reached is left: the finalizer always comes off.
 */
import { deleteAccount, endAccount } from '../../../../agent/src/io/xmpp-accounts.ts';
import { TOKENS_CONFIG_MAP } from '../../../../agent/src/join/cluster-token.ts';
import {
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  type PatchStep,
} from '../../../../agent/src/kube-api/client.ts';
import { EVIO_NETWORK, EVIO_NODE, type EvioNetwork } from '../../../../agent/src/kube-api/evio-kinds.ts';
import {
  CONFIG_MAP,
  DAEMON_SET,
  DEPLOYMENT,
  LEASE,
  NODE,
  type Node,
  SECRET,
} from '../../../../agent/src/kube-api/kinds.ts';
import { authorityAccountName } from '../../../../agent/src/wire/join-message.ts';
import { tokenAccountName } from '../../../../agent/src/wire/join-token.ts';
import { isAccountOf } from '../../desired/enrolment.ts';
import { releaseSteps } from '../../desired/node-addresses.ts';
import { isTokenSecret } from '../../desired/tokens.ts';
import { cleanup } from '../../desired/workloads.ts';
import { AGENT, AUTHORITY_SECRET, CLEANUP, DATAPLANE, FINALIZER, NODE_LEASE_PREFIX, SERVER } from '../../names.ts';
import type { World } from '../world.ts';
import { owned } from './apply.ts';
import { CLEAN_ANNOTATION, managedNodes, type RemovalView, removalStep } from './decide.ts';

const LOOK_MS = 2_000;
/** Caches are a little behind what was just written. */
const SOON_MS = 500;
/** Of an external server's accounts; they are worth nothing once the authority is gone. */
const ACCOUNTS_MS = 8_000;

/** Gives when to look again; undefined when it is over. */
export async function remove(network: EvioNetwork, world: World): Promise<number | undefined> {
  if (!network.metadata.finalizers?.includes(FINALIZER)) return undefined;
  const view = removalView(network, world);
  const step = removalStep(view, world.now());
  const { client, settings } = world;
  const background = { propagation: 'Background' } as const;
  switch (step.kind) {
    case 'wait':
      return LOOK_MS;
    case 'delete-workloads':
      await client.delete(DAEMON_SET, world.key(AGENT), background);
      world.join.want(undefined);
      if (network.spec.signalling.external !== undefined) await endAccounts(world);
      world.link.want(undefined);
      world.relay.want(undefined);
      await client.delete(DEPLOYMENT, world.key(SERVER), background);
      await client.delete(DAEMON_SET, world.key(DATAPLANE), background);
      return SOON_MS;
    case 'clean-nodes':
      await client.apply(DAEMON_SET, owned(network, cleanup(network.spec, settings)));
      return SOON_MS;
    case 'note-clean':
      await noteClean(network, world);
      return SOON_MS;
    case 'delete-cleanup':
      await client.delete(DAEMON_SET, world.key(CLEANUP), background);
      return SOON_MS;
    case 'remove-rest':
      return removeRest(network, view, world);
  }
}

function removalView(network: EvioNetwork, world: World): RemovalView {
  return {
    network,
    nodes: new Map(world.nodes.list().map((node): [string, Node] => [node.metadata.name, node])),
    agent: world.daemonSets.get(world.key(AGENT)),
    cleanup: world.daemonSets.get(world.key(CLEANUP)),
    dataplane: world.daemonSets.get(world.key(DATAPLANE)),
    server: world.deployments.get(world.key(SERVER)),
    pods: world.pods.list(),
  };
}

async function noteClean({ metadata }: EvioNetwork, { client }: World): Promise<void> {
  const value = { [CLEAN_ANNOTATION]: 'true' };
  const steps: readonly PatchStep[] =
    metadata.annotations === undefined
      ? [{ op: 'add', path: '/metadata/annotations', value }]
      : [{ op: 'add', path: `/metadata/annotations/${CLEAN_ANNOTATION.replaceAll('/', '~1')}`, value: 'true' }];
  await client.patch(EVIO_NETWORK, metadata.name, steps);
}

async function removeRest(network: EvioNetwork, { nodes }: RemovalView, world: World): Promise<undefined> {
  const { client, log } = world;
  for (const { metadata } of world.members.all().values())
    await client.delete(EVIO_NODE, metadata.name, { uid: metadata.uid });
  await removeLeases(world);
  for (const node of managedNodes(nodes.values())) {
    const steps = releaseSteps(node);
    await release(world, node.metadata.name, steps.status, 'status');
    await release(world, node.metadata.name, steps.node);
  }
  await client.delete(SECRET, world.key(SERVER));
  await client.delete(SECRET, world.key(AUTHORITY_SECRET));
  for (const { metadata } of world.secrets.list().filter(isTokenSecret))
    await client.delete(SECRET, world.key(metadata.name));
  await client.delete(CONFIG_MAP, world.key(TOKENS_CONFIG_MAP));
  world.book.forget();
  await takeFinalizer(network, world);
  log.info('the EvioNetwork is gone, and what was made for it');
  return undefined;
}

/** They belong to EvioNodes, which the garbage collector of Kubernetes does not find any more where the definition was deleted with them. */
async function removeLeases({ client, settings, log }: World): Promise<void> {
  try {
    for (const { metadata } of await client.list(LEASE, { namespace: settings.namespace })) {
      if (!metadata.name.startsWith(NODE_LEASE_PREFIX)) continue;
      await client.delete(LEASE, `${settings.namespace}/${metadata.name}`);
    }
  } catch (error) {
    if (!isForbidden(error)) throw error;
    log.warn(`Leases of agents are left: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function release(world: World, name: string, steps: readonly PatchStep[], subresource?: 'status'): Promise<void> {
  try {
    await world.client.patch(NODE, name, steps, subresource);
  } catch (error) {
    if (!isInvalid(error) && !isConflict(error) && !isNotFound(error)) throw error;
  }
}

/** Nothing is said here when it does not work: the server may be why the network goes. */
async function endAccounts(world: World): Promise<void> {
  const { authority } = world.book.read();
  const present = world.link.members ?? [];
  if (authority === undefined) return;
  const ended = world.link.use(async (admin, room) => {
    for (const account of present.filter((name) => isAccountOf(authority.overlayId, name)))
      await endAccount(admin, room, account);
    const ids = authority.tokens.tokens.map(({ id }) => tokenAccountName(id));
    for (const account of [...ids, authorityAccountName(authority.overlayId)]) await deleteAccount(admin, account);
    await admin.destroyRoom(room);
  });
  const late = new Promise<void>((resolve) => setTimeout(resolve, ACCOUNTS_MS).unref());
  await Promise.race([ended, late]).catch((error: unknown) =>
    world.log.warn(`accounts are left on the XMPP server: ${error instanceof Error ? error.message : String(error)}`),
  );
}

async function takeFinalizer(network: EvioNetwork, { client }: World): Promise<void> {
  const now = await client.find(EVIO_NETWORK, network.metadata.name);
  const at = now?.metadata.finalizers?.indexOf(FINALIZER) ?? -1;
  if (at < 0) return;
  await client.patch(EVIO_NETWORK, network.metadata.name, [
    { op: 'test', path: `/metadata/finalizers/${at}`, value: FINALIZER },
    { op: 'remove', path: `/metadata/finalizers/${at}` },
  ]);
}
