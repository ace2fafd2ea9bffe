/**
 * The end of an EvioNetwork. First the agents clean their nodes, which they do when they see that it goes; then everything goes, and last
 * the finalizer. Whatever cannot be reached is left: the finalizer always comes off.
 */
import { endAccount } from '../../../../agent/src/io/xmpp-accounts.ts';
import { isAccountOf } from '../../desired/enrolment.ts';
import { releaseSteps } from '../../desired/node-addresses.ts';
import { EVIO_NETWORK, EVIO_NODE, type EvioNetwork } from '../../kinds.ts';
import { isConflict, isInvalid, isNotFound, type PatchStep } from '../../kube/client.ts';
import { DAEMON_SET, DEPLOYMENT, NODE, SECRET } from '../../kube/kinds.ts';
import { AGENT, AUTHORITY_SECRET, DATAPLANE, FINALIZER, SERVER } from '../../names.ts';
import type { World } from '../world.ts';
import { managedNodes, type NetworkView, removalStep } from './decide.ts';

const LOOK_MS = 1_000;
/** Of an external server's accounts; they are worth nothing once the authority is gone. */
const ACCOUNTS_MS = 8_000;

/** Gives when to look again; undefined when it is over. */
export async function remove(view: NetworkView, world: World): Promise<number | undefined> {
  const { network } = view;
  const { client, log } = world;
  if (!network.metadata.finalizers?.includes(FINALIZER)) return undefined;
  const step = removalStep(view, world.now());
  if (step.kind === 'wait') return LOOK_MS;
  await client.delete(DAEMON_SET, world.key(AGENT), { propagation: 'Background' });
  await client.delete(DAEMON_SET, world.key(DATAPLANE), { propagation: 'Background' });
  if (network.spec.signalling.external !== undefined) await endAccounts(world);
  world.link.want(undefined);
  world.relay.want(undefined);
  await client.delete(DEPLOYMENT, world.key(SERVER), { propagation: 'Background' });
  for (const member of view.members) await client.delete(EVIO_NODE, member.metadata.name, { uid: member.metadata.uid });
  for (const node of managedNodes(view.nodes.values())) {
    const steps = releaseSteps(node);
    await release(world, node.metadata.name, steps.status, 'status');
    await release(world, node.metadata.name, steps.node);
  }
  await client.delete(SECRET, world.key(SERVER));
  await client.delete(SECRET, world.key(AUTHORITY_SECRET));
  world.book.forget();
  await takeFinalizer(network, world);
  log.info('the EvioNetwork is gone, and what was made for it');
  return undefined;
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
