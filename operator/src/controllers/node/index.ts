/** The node controller: keys are names of Nodes, and of the EvioNodes called the same. */
import { isDeepStrictEqual } from 'node:util';
import { EVIO_NODE, type EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { NODE, type Node, type Secret } from '../../../../agent/src/kube-api/kinds.ts';
import type { KubeObject } from '../../../../agent/src/kube-api/object.ts';
import { NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { type Controller, type Watching, watch } from '../../controller.ts';
import { secretText } from '../../desired/authority.ts';
import { isSilent } from '../../desired/gateway.ts';
import { readLedger } from '../../desired/ledger.ts';
import { hasAddresses } from '../../desired/node-addresses.ts';
import { waitingPeers } from '../../desired/peer.ts';
import { transitions } from '../../events/transitions.ts';
import { AUTHORITY_SECRET, LEDGER_KEY } from '../../names.ts';
import type { World } from '../world.ts';
import { waitingFor } from './allot.ts';
import { apply } from './apply.ts';
import { decide } from './decide.ts';
import { observe } from './observe.ts';

const CONCURRENCY = 4;

/** `signals`: what wakes all nodes that is in no cache. */
export function nodeController(world: World, signals: Watching): Controller {
  const all = (): readonly string[] => [
    ...new Set(
      [...world.nodes.list(), ...world.memberCache.list(), ...world.peers.list()].map(({ metadata }) => metadata.name),
    ),
  ];
  const waiting = (): readonly string[] => {
    const view = observe('', world);
    return [...waitingFor(view), ...waitingPeers(view)];
  };
  return {
    name: 'node',
    watches: [
      watch(world.nodes, (node) => [node.metadata.name], nodeMatters),
      watch(world.memberCache, (member) => [member.metadata.name], memberMatters),
      watch(
        world.peers,
        (peer) => [peer.metadata.name],
        (after, before) => !sameObject(after, before),
      ),
      // Who carries Services for EvioPeers is chosen of those that are heard of.
      watch(
        world.nodes,
        () => (world.networks.get(NETWORK_NAME)?.spec.gateways === undefined ? [] : all()),
        (after, before) =>
          isSilent(after) !== isSilent(before) || !isDeepStrictEqual(after.metadata.labels, before.metadata.labels),
      ),
      // One that goes makes room for those that wait; one that changes does not.
      watch(world.memberCache, waiting, () => false),
      watch(
        world.networks,
        all,
        (after, before) => !sameObject(after, before) || after.metadata.generation !== before.metadata.generation,
      ),
      watch(world.secrets, all, secretMatters),
      signals,
      tellOfChanges(world),
    ],
    concurrency: CONCURRENCY,
    async reconcile(name) {
      const view = observe(name, world);
      const plan = decide(view, world.now());
      if (!plan.actions.some((action) => action.kind === 'create')) return later(await apply(view, plan, world));
      const made = await world.allotting(() => {
        const now = observe(name, world);
        return apply(now, decide(now, world.now()), world);
      });
      return later(made);
    },
  };
}

/** Wakes nobody: what a node's conditions say of a change is an Event, which only who leads writes. */
function tellOfChanges({ memberCache, nodes, events }: World): Watching {
  return {
    source: memberCache,
    known: () => [],
    start() {
      memberCache.subscribe((after, before) => {
        if (after === undefined || before === undefined) return;
        for (const { about, ...note } of transitions(before.status?.conditions, after.status?.conditions)) {
          const node = nodes.get(after.metadata.name);
          if (about === 'member') events.event(EVIO_NODE, after, note);
          else if (node !== undefined) events.event(NODE, node, note);
        }
      });
    },
  };
}

const later = (againAfterMs: number | undefined) => (againAfterMs === undefined ? undefined : { againAfterMs });

const sameObject = (a: KubeObject, b: KubeObject): boolean =>
  a.metadata.uid === b.metadata.uid && a.metadata.deletionTimestamp === b.metadata.deletionTimestamp;

/** Not a heartbeat. */
export function nodeMatters(after: Node, before: Node): boolean {
  const of = ({ metadata, spec, status }: Node) => [
    metadata.labels,
    metadata.annotations,
    spec?.taints,
    status?.addresses,
  ];
  return !sameObject(after, before) || !isDeepStrictEqual(of(after), of(before));
}

function memberMatters(after: EvioNode, before: EvioNode): boolean {
  const of = (member: EvioNode) => [
    member.metadata.ownerReferences,
    member.spec,
    member.status?.keys,
    hasAddresses(member),
  ];
  return !sameObject(after, before) || !isDeepStrictEqual(of(after), of(before));
}

/** What the ledger says of single nodes is written by their own turns. */
function secretMatters(after: Secret, before: Secret): boolean {
  if (after.metadata.name !== AUTHORITY_SECRET) return !isDeepStrictEqual(after.data, before.data);
  const of = (secret: Secret) => {
    try {
      const { parameters, revocations } = readLedger(secretText(secret, LEDGER_KEY) ?? '');
      return [parameters, revocations];
    } catch {
      return undefined;
    }
  };
  return !isDeepStrictEqual(of(after), of(before));
}
