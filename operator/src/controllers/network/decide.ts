/**
 * What an EvioNetwork needs: an authority, a server where it is embedded, the DaemonSets; and when it goes, all of that away again, in
 * an order. From the whole picture; the time goes in, actions come out. What its status says is in desired/network-status.ts.
 */
import { X509Certificate } from 'node:crypto';
import type { EvioNetwork, EvioNode } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { DaemonSet, Deployment, Node, Pod, Secret } from '../../../../agent/src/kube-api/kinds.ts';
import type { KubeObject } from '../../../../agent/src/kube-api/object.ts';
import type { EvioNetworkSpec } from '../../../../crds/src/evio-network.ts';
import type { Authority } from '../../desired/authority.ts';
import { isSilent } from '../../desired/gateway.ts';
import { type Ledger, settle, withParameters } from '../../desired/ledger.ts';
import type { Problem } from '../../desired/network-status.ts';
import { MANAGED_ANNOTATION } from '../../desired/node-addresses.ts';
import { parametersOf } from '../../desired/parameters.ts';
import { secretsOf } from '../../desired/server.ts';
import type { SignallingView } from '../../desired/signalling.ts';
import { COMPONENT_LABEL, FINALIZER } from '../../names.ts';

export interface NetworkView {
  readonly network: EvioNetwork;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: readonly EvioNode[];
  readonly authority: Authority | undefined;
  /** The authority's Secret is there and cannot be used. */
  readonly authorityBroken: string | undefined;
  /** Whether this process still knows the key of a Secret that is gone. */
  readonly authorityRemembered: boolean;
  readonly signalling: SignallingView;
  readonly deployment: Deployment | undefined;
  readonly agent: DaemonSet | undefined;
  readonly dataplane: DaemonSet | undefined;
  readonly cleanup: DaemonSet | undefined;
}

export type NetworkAction =
  | { readonly kind: 'add-finalizer' }
  /** `new`: a key nobody ever had; `restore`: the one this process remembers. */
  | { readonly kind: 'make-authority'; readonly how: 'new' | 'restore' }
  | { readonly kind: 'change-ledger'; readonly change: (authority: Authority) => Ledger }
  /** The secrets of the embedded server: all, or its certificate alone, which comes to its end. */
  | { readonly kind: 'make-server-secrets'; readonly what: 'all' | 'certificate' }
  | { readonly kind: 'apply-server' }
  | { readonly kind: 'delete-server' }
  /** Of a former network, whose end was not waited for: it would take away what is made now. */
  | { readonly kind: 'delete-cleanup' }
  | { readonly kind: 'apply-daemons' };

export interface NetworkPlan {
  readonly actions: readonly NetworkAction[];
  /** What keeps the authority from being used. */
  readonly problem?: Problem | undefined;
}

const DAY_SECONDS = 86_400;
/** Before its certificate ends, the server gets another one; nodes that have its authority do not notice. */
const CERTIFICATE_DAYS_LEFT = 90;

/** `now` in seconds since 1970. */
export function decide(view: NetworkView, now: number): NetworkPlan {
  const { network } = view;
  const finalizer: readonly NetworkAction[] = network.metadata.finalizers?.includes(FINALIZER)
    ? []
    : [{ kind: 'add-finalizer' }];
  const { actions, problem } = authorityPlan(view, now);
  const leftOver: readonly NetworkAction[] = stays(view.cleanup) ? [{ kind: 'delete-cleanup' }] : [];
  return {
    actions: [...finalizer, ...leftOver, ...actions, ...serverPlan(view, network.spec, now), { kind: 'apply-daemons' }],
    problem,
  };
}

// ---- the authority ---------------------------------------------------------------------------------------------------

function authorityPlan(view: NetworkView, now: number): NetworkPlan {
  const { authority, network } = view;
  const known = network.status?.authorityKey;
  if (view.authorityBroken !== undefined)
    return lost(`the Secret of the authority cannot be used (${view.authorityBroken}): restore it from a backup`);
  if (authority === undefined) {
    if (view.authorityRemembered) return { actions: [{ kind: 'make-authority', how: 'restore' }] };
    // Every node has pinned it: another one would be refused by all.
    if (known !== undefined)
      return lost(
        'the Secret of the authority is gone: restore it from a backup, or delete the EvioNetwork and make it anew, and all nodes with it',
      );
    return { actions: [{ kind: 'make-authority', how: 'new' }] };
  }
  if (known !== undefined && known !== authority.publicKey.toString('base64'))
    return lost('the Secret of the authority holds the key of another overlay: restore the right one from a backup');
  const living = livingOf(view.members);
  const change = ({ ledger, key }: Authority): Ledger =>
    settle(withParameters(ledger, parametersOf(network.spec), key, now), living, key, now);
  return { actions: change(authority) === authority.ledger ? [] : [{ kind: 'change-ledger', change }] };
}

const lost = (message: string): NetworkPlan => ({ actions: [], problem: { reason: 'AuthorityLost', message } });

/** EvioNodes that are to stay, by name. */
export const livingOf = (members: readonly EvioNode[]): ReadonlyMap<string, string> =>
  new Map(
    members.filter((m) => m.metadata.deletionTimestamp === undefined).map((m) => [m.metadata.name, m.metadata.uid]),
  );

// ---- the embedded server ---------------------------------------------------------------------------------------------

function serverPlan(
  { signalling, deployment }: NetworkView,
  spec: EvioNetworkSpec,
  now: number,
): readonly NetworkAction[] {
  if (spec.signalling.external !== undefined)
    return deployment === undefined && signalling.server === undefined ? [] : [{ kind: 'delete-server' }];
  const due = secretsDue(signalling.server, now);
  const made: readonly NetworkAction[] = due === undefined ? [] : [{ kind: 'make-server-secrets', what: due }];
  // Without an address there is nothing to listen on.
  return signalling.host === undefined ? made : [...made, { kind: 'apply-server' }];
}

export function secretsDue(secret: Secret | undefined, now: number): 'all' | 'certificate' | undefined {
  const secrets = secret && secretsOf(secret);
  if (secrets === undefined) return 'all';
  const ends = (pem: string): number => new X509Certificate(pem).validToDate.getTime() / 1000;
  try {
    const soon = now + CERTIFICATE_DAYS_LEFT * DAY_SECONDS;
    if (ends(secrets.ca) < soon) return 'all';
    const own = new X509Certificate(secrets.certificate);
    return ends(secrets.certificate) < soon || !own.checkIssued(new X509Certificate(secrets.ca))
      ? 'certificate'
      : undefined;
  } catch {
    return 'all';
  }
}

// ---- the end ---------------------------------------------------------------------------------------------------------

/** What is left of the network, and how far its end is. */
export interface RemovalView {
  readonly network: EvioNetwork;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly agent: DaemonSet | undefined;
  readonly cleanup: DaemonSet | undefined;
  readonly dataplane: DaemonSet | undefined;
  readonly server: Deployment | undefined;
  /** Of the workloads. */
  readonly pods: readonly Pod[];
}

export type RemovalStep =
  | { readonly kind: 'wait'; readonly for: string }
  /** Nobody puts back what is taken away, nor writes to it any more. */
  | { readonly kind: 'delete-workloads' }
  | { readonly kind: 'clean-nodes' }
  /** The nodes are clean, which is noted on the network. */
  | { readonly kind: 'note-clean' }
  | { readonly kind: 'delete-cleanup' }
  | { readonly kind: 'remove-rest' };

/** However the nodes fare, the network can go after this. */
export const CLEAN_MAX_SECONDS = 90;
/** A DaemonSet that nobody has looked at for so long has no controller. */
const UNSEEN_SECONDS = 10;

export const CLEAN_ANNOTATION = 'evio.io/nodes-clean';

/** One step further, from what is there; so an operator that starts anew in the middle goes on where the last one was. */
export function removalStep(view: RemovalView, now: number): RemovalStep {
  const { network, cleanup } = view;
  const late = !(now - secondsOf(network.metadata.deletionTimestamp) < CLEAN_MAX_SECONDS);
  const running = (component: string): boolean =>
    !late && view.pods.some((pod) => podIs(pod, component) && isHeard(view, pod));
  if ([view.agent, view.dataplane, view.server].some(stays)) return { kind: 'delete-workloads' };
  if (network.metadata.annotations?.[CLEAN_ANNOTATION] === undefined) {
    if (['agent', 'dataplane', 'server'].some(running))
      return { kind: 'wait', for: 'agents, tincan and the server to end' };
    if (cleanup === undefined) return { kind: 'clean-nodes' };
    return late || (stays(cleanup) && isDone(view, cleanup, now))
      ? { kind: 'note-clean' }
      : { kind: 'wait', for: 'the nodes to be clean' };
  }
  if (stays(cleanup)) return { kind: 'delete-cleanup' };
  return running('cleanup') ? { kind: 'wait', for: 'the last of it to go' } : { kind: 'remove-rest' };
}

/** One that is being deleted may be held up by somebody else, or by pods of nodes that are away. */
const stays = <T extends KubeObject>(workload: T | undefined): workload is T =>
  workload !== undefined && workload.metadata.deletionTimestamp === undefined;

const secondsOf = (time: string | undefined): number => Date.parse(time ?? '') / 1000;

const podIs = (pod: Pod, component: string): boolean => pod.metadata.labels?.[COMPONENT_LABEL] === component;

/** A node that is away cannot say that a pod has ended. */
function isHeard({ nodes }: RemovalView, pod: Pod): boolean {
  const node = nodes.get(pod.spec?.nodeName ?? '');
  return node !== undefined && !isSilent(node);
}

function isDone({ nodes }: RemovalView, { metadata, status }: DaemonSet, now: number): boolean {
  if (status?.observedGeneration === undefined || status.observedGeneration !== metadata.generation)
    return now - secondsOf(metadata.creationTimestamp) >= UNSEEN_SECONDS;
  const away = [...nodes.values()].filter(isSilent).length;
  return status.numberReady >= status.desiredNumberScheduled - away;
}

/** Nodes whose addresses we wrote. */
export const managedNodes = (nodes: Iterable<Node>): readonly Node[] =>
  [...nodes].filter((node) => node.metadata.annotations?.[MANAGED_ANNOTATION] !== undefined);
