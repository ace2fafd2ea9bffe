/** The EvioNode of a machine that joins by a token: whether there is room for it, and that it is made, or gets the machine's keys. */
import { isConflict } from '../../../../agent/src/kube-api/client.ts';
import { EVIO_NODE, type EvioNetwork, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import type { JoinBody, OpenedRequest, RefusalReason } from '../../../../agent/src/wire/join-message.ts';
import type { JoinedMachine } from '../../../../crds/src/evio-node.ts';
import { type Allotment, allot, type Shortage } from '../../desired/allotment.ts';
import { poolsOf } from '../../desired/parameters.ts';
import { memberCalled } from '../../desired/register.ts';
import { claimOf, memberObject, shortageOf, waitingFor } from '../node/allot.ts';
import { applyPresent } from '../node/present.ts';
import type { World } from '../world.ts';

export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

/** Why a machine cannot join, for all that its token says; looked at before a use is written down. */
export function whyNoRoom(
  world: World,
  network: EvioNetwork,
  { name, address4, address6 }: JoinBody,
  peer: string | undefined,
): Refusal | undefined {
  if (address4 !== undefined || address6 !== undefined)
    return { reason: 'address', message: '--address: in a cluster the operator allots addresses; leave it out' };
  if (peer === undefined && network.spec.mode === 'PodNetwork')
    return {
      reason: 'member',
      message:
        'the EvioNetwork is of the mode PodNetwork, whose nodes the DaemonSets run: join the cluster with a kubelet alone, or as a peer (evio token create --peer NAME)',
    };
  if (memberCalled({ members: world.members.all() }, name) !== undefined) return undefined;
  if (peer !== undefined) return { reason: 'member', message: noPeer(peer) };
  const found = allotmentFor(world, network, name);
  return typeof found === 'string' ? noRoom(found, network) : undefined;
}

const noPeer = (name: string): string =>
  `there is no EvioPeer ${name}, or it has no place on the overlay yet: kubectl get eviopeers says why`;

const noRoom = (shortage: Shortage, network: EvioNetwork): Refusal => ({
  reason: 'full',
  message: shortageOf(shortage, poolsOf(network.spec)),
});

/** Makes the EvioNode, or writes the machine's keys into the one that waits for it. Undefined: it is there. */
export function machineMember(
  world: World,
  network: EvioNetwork,
  name: string,
  { identityKey, sessionKey }: Pick<OpenedRequest, 'identityKey' | 'sessionKey'>,
  peer: string | undefined,
  now: number,
): Promise<Refusal | undefined> {
  const machine: JoinedMachine = {
    identityKey: identityKey.toString('base64'),
    sessionKey: sessionKey.toString('base64'),
    joined: new Date(now * 1000).toISOString().replace('.000Z', 'Z'),
  };
  // What is allotted to one has to be seen by the next: here and in the node controller it is one at a time.
  return world.allotting(async () => {
    const present = memberCalled({ members: world.members.all() }, name);
    if (present !== undefined) return adopt(world, present, machine);
    if (peer !== undefined) return { reason: 'unavailable', message: noPeer(peer) };
    const allotment = allotmentFor(world, network, name);
    if (typeof allotment === 'string') return noRoom(allotment, network);
    const parts = { name, memberName: name, owner: undefined, machine };
    try {
      world.members.leave(await world.client.create(EVIO_NODE, memberObject(parts, allotment, undefined)));
    } catch (error) {
      if (!isConflict(error)) throw error;
      return { reason: 'unavailable', message: `an EvioNode ${name} has just been made` };
    }
    return undefined;
  });
}

async function adopt(world: World, present: EvioNode, machine: JoinedMachine): Promise<Refusal | undefined> {
  const { spec, metadata } = present;
  if (spec.machine !== undefined) {
    const same = spec.machine.identityKey === machine.identityKey && spec.machine.sessionKey === machine.sessionKey;
    return same ? undefined : { reason: 'name', message: `another machine is ${spec.memberName} meanwhile` };
  }
  const owner = metadata.ownerReferences?.[0];
  const parts = { name: metadata.name, memberName: spec.memberName, owner, machine };
  if (await applyPresent(world, present, memberObject(parts, spec, spec.enrolment))) return undefined;
  return { reason: 'unavailable', message: `the EvioNode ${metadata.name} has just been deleted` };
}

/** After all Nodes that wait: they were there first. */
function allotmentFor(world: World, network: EvioNetwork, name: string): Allotment | Shortage {
  const members = world.members.all();
  const nodes = new Map(world.nodes.list().map((node): [string, Node] => [node.metadata.name, node]));
  const waiting = waitingFor({ network, nodes, members }).filter((one) => one !== name);
  const book = [...members.values()].map(claimOf);
  const { granted, refused } = allot(poolsOf(network.spec), book, [...waiting, name]);
  return granted.get(name) ?? refused.get(name) ?? 'addresses';
}
