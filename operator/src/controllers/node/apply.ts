/** Carries out what was decided for a Node, one thing after the other; what fails is tried again from the start. */

import { type Client, isConflict, isInvalid, isNotFound } from '../../../../agent/src/kube-api/client.ts';
import { EVIO_NODE, EVIO_PEER, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { NODE } from '../../../../agent/src/kube-api/kinds.ts';
import { keyOf } from '../../../../agent/src/kube-api/object.ts';
import { accountOf, entryOf, makeEnrolment, passwordOf } from '../../desired/enrolment.ts';
import { issue } from '../../desired/ledger.ts';
import type { World } from '../world.ts';
import { selects } from './allot.ts';
import type { NodeAction, NodePlan, NodeView, Removal } from './decide.ts';
import { applyPresent } from './present.ts';

/** The next look, when something stood in the way that will have gone soon. */
const SOON_MS = 1_000;
/** A machine's clock may be set meanwhile: what is due in weeks is looked at sooner. */
const LATER_MS = 3_600_000;
/** The XMPP server is away; when it is back, all are told. */
const AWAY_MS = 10_000;

const REMOVALS: Readonly<Record<Removal, string>> = {
  NetworkGone: 'there is no EvioNetwork any more',
  PeerGone: 'its EvioPeer is gone',
  NodeGone: 'its Node is gone',
  NodeReplaced: 'its Node was deleted and made anew',
  NotSelected: 'its Node is not among those that the EvioNetwork selects',
  AddressesOverlap: 'it claims addresses of an older one; it is made anew',
};

/** Gives when to look again in any case; undefined: not before something changes. */
export async function apply(view: NodeView, { actions, again }: NodePlan, world: World): Promise<number | undefined> {
  const waits: number[] =
    again === undefined ? [] : [Math.min(LATER_MS, Math.max(SOON_MS, (again - world.now()) * 1_000))];
  for (const action of actions) {
    const wait = await carryOut(view, action, world);
    if (wait !== undefined) waits.push(wait);
  }
  return waits.length === 0 ? undefined : Math.min(...waits);
}

async function carryOut(view: NodeView, action: NodeAction, world: World): Promise<number | undefined> {
  const { client, events } = world;
  const { name } = view;
  const [node, member] = [view.nodes.get(name), view.members.get(name)];
  switch (action.kind) {
    case 'note':
      if (action.about === 'node' && node !== undefined) events.event(NODE, node, action.note);
      if (action.about === 'member' && member !== undefined) events.event(EVIO_NODE, member, action.note);
      return undefined;
    case 'create':
      try {
        const made = await client.create(EVIO_NODE, action.member);
        world.members.leave(made);
        world.log.info(`node ${name}: ${[...made.spec.addresses, ...made.spec.podCIDRs].join(', ')}`);
        return undefined;
      } catch (error) {
        if (isConflict(error)) return SOON_MS;
        throw error;
      }
    case 'delete':
      return remove(view, action.uid, action.reason, world);
    case 'apply':
      return member !== undefined && (await applyPresent(world, member, action.member)) ? undefined : SOON_MS;
    case 'patch-node':
      return patchNode(name, action, world);
    case 'issue':
      return member === undefined ? SOON_MS : enrol(member, action, world);
  }
}

async function remove(view: NodeView, uid: string, reason: Removal, world: World): Promise<number | undefined> {
  const { client } = world;
  const { name } = view;
  if (await hasGround(view, reason, client)) return SOON_MS;
  try {
    await client.delete(EVIO_NODE, name, { uid });
  } catch (error) {
    if (isConflict(error)) return SOON_MS;
    throw error;
  }
  world.members.gone(name);
  world.log.info(`node ${name}: its EvioNode goes: ${REMOVALS[reason]}`);
  return SOON_MS;
}

/** A cache that is behind must not cost a node its addresses: whether what it is there for is gone is asked of the API server. */
async function hasGround({ name, network, members }: NodeView, reason: Removal, client: Client): Promise<boolean> {
  const owners = members.get(name)?.metadata.ownerReferences ?? [];
  switch (reason) {
    case 'NodeGone': {
      const there = await client.find(NODE, name);
      const owner = owners.find(({ kind }) => kind === NODE.kind);
      // Whether it is selected is another question, and none for a machine that joined by a token.
      return there !== undefined && (owner === undefined || there.metadata.uid === owner.uid);
    }
    case 'NotSelected': {
      const there = await client.find(NODE, name);
      return there !== undefined && network !== undefined && selects(network, there);
    }
    case 'PeerGone': {
      const there = await client.find(EVIO_PEER, name);
      const is = there !== undefined && there.metadata.deletionTimestamp === undefined;
      return is && owners.some(({ uid }) => uid === there.metadata.uid);
    }
    default:
      return false;
  }
}

async function patchNode(
  name: string,
  { status, node }: Extract<NodeAction, { kind: 'patch-node' }>,
  { client, log }: World,
): Promise<number | undefined> {
  try {
    if (status !== undefined) await client.patch(NODE, name, status, 'status');
    if (node !== undefined) await client.patch(NODE, name, node);
    log.info(`node ${name}: InternalIP is the overlay address`);
    return undefined;
  } catch (error) {
    // Somebody else changed its taints meanwhile, or it is gone.
    if (isInvalid(error) || isConflict(error) || isNotFound(error)) return SOON_MS;
    throw error;
  }
}

async function enrol(
  present: EvioNode,
  { member, state, reason, admit }: Extract<NodeAction, { kind: 'issue' }>,
  world: World,
): Promise<number | undefined> {
  const { overlay } = state;
  const name = keyOf(member);
  const entry = entryOf(state, world.now());
  if (admit) {
    const account = accountOf(overlay.parameters.overlayId, state.member.name);
    if (!(await world.link.admit(account, passwordOf(overlay, entry.id)))) return AWAY_MS;
  }
  let serial = 0;
  const now = world.now();
  const { ledger } = await world.book.change((authority) => {
    const issued = issue(authority.ledger, name, entry, highestSerial(world) + 1, authority.key, now);
    serial = issued.serial;
    return issued.ledger;
  });
  const enrolment = makeEnrolment(state, serial, ledger.revocations, now);
  // Of one that is gone the network's controller revokes what was just issued.
  if (!(await applyPresent(world, present, { ...member, spec: { ...member.spec, enrolment } }))) return SOON_MS;
  world.log.info(`node ${name}: certificate ${serial} until ${enrolment.notAfter} (${reason})`);
  const note = `certificate ${serial}, until ${enrolment.notAfter}`;
  world.events.event(EVIO_NODE, present, { type: 'Normal', reason: 'Enrolled', action: 'Enrol', note });
  return undefined;
}

/** Of all certificates that stand in the cluster. */
function highestSerial({ members }: World): number {
  const serials = [...members.all().values()].map((m) => Number(m.spec.enrolment?.serial ?? 0));
  return Math.max(0, ...serials.filter(Number.isSafeInteger));
}
