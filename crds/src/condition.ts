/** Conditions in the shape of metav1.Condition, and the names that stand in them. */
import * as z from 'zod';
import { field } from './field.ts';

export const conditionStatus = ['True', 'False', 'Unknown'] as const;

export const condition = z.strictObject({
  type: field(
    z
      .string()
      .min(1)
      .max(64)
      .regex(/^[A-Za-z]+$/),
    { description: 'What the condition is about, one word.' },
  ),
  status: field(z.enum(conditionStatus), { description: 'Whether it holds; Unknown before it was looked at.' }),
  observedGeneration: field(z.int().min(0).optional(), {
    description: "The object's metadata.generation that this was said of.",
  }),
  lastTransitionTime: field(z.string().max(64), {
    description: 'When the status last changed.',
    format: 'date-time',
  }),
  reason: field(
    z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
    { description: 'Why, as one word for programs.' },
  ),
  message: field(z.string().max(4096), { description: 'Why, for people; empty when there is nothing to say.' }),
});
export type Condition = z.output<typeof condition>;

/** A list of conditions, merged by type. */
export const conditions = (description: string) =>
  field(z.array(condition).max(16).optional(), { description, listKeys: ['type'] });

/** Each name as a constant, so that a mistyped one does not compile. */
const namesOf = <T extends object>(about: T) =>
  Object.fromEntries(Object.keys(about).map((name) => [name, name])) as { readonly [K in keyof T]: K };

/** Condition types of an EvioNetwork. All but Progressing and Degraded are good when True. docs/api.md shows these texts. */
export const NETWORK_CONDITIONS = {
  Ready: 'Everything is as the spec says, on every node.',
  Available: 'Pods or nodes can use the network, though perhaps not on every node.',
  Progressing: 'Something is being made or changed.',
  Degraded: 'Something is wrong that does not heal without help; the message says what to do.',
  SignallingReady: "The XMPP server answers and takes the administrator's account.",
  RelayReady: 'TURN relays are handed out.',
  AddressPoolReady: 'There are node addresses and pieces of the pod CIDRs left.',
  RingConsistent: "Every node's neighbours are those that the ring wants.",
  DataPlaneVerified: 'Every node has proven its data path.',
} as const;
export const NETWORK_CONDITION = namesOf(NETWORK_CONDITIONS);
export type NetworkConditionType = keyof typeof NETWORK_CONDITIONS;

/** Condition types of an EvioNode. All but AddressConflict are good when True. */
export const NODE_CONDITIONS = {
  Ready: 'Traffic of this node and its pods passes.',
  AgentReady: 'The agent runs and has its enrolment.',
  DataPlaneReady: "tincan runs with the agent's configuration.",
  SignallingConnected: "The agent is in the overlay's room on the XMPP server.",
  RingJoined: 'The node has a tunnel to each neighbour that the ring wants.',
  PodNetworkReady: 'The CNI configuration is written (PodNetwork only).',
  AddressConflict:
    'An address range of the overlay or the pods is already in use on this node; the message names both.',
} as const;
export const NODE_CONDITION = namesOf(NODE_CONDITIONS);
export type NodeConditionType = keyof typeof NODE_CONDITIONS;

/** Condition types of an EvioPeer. */
export const PEER_CONDITIONS = {
  Accepted: 'It has its place on the overlay: a name and addresses.',
  Joined: 'A machine has joined as this peer. Whether it is on now is not known here.',
} as const;
export const PEER_CONDITION = namesOf(PEER_CONDITIONS);
export type PeerConditionType = keyof typeof PEER_CONDITIONS;

/**
 * Reasons. The READY columns show the reason of Ready, so a reason is what a person reads first: a word for the state, not for
 * the code that found it. A condition may have a reason that is not listed here.
 */
export const REASONS = {
  Ready: 'Ready: all is well.',
  Complete: 'Progressing: nothing is going on.',
  AsExpected: 'Degraded: nothing is wrong.',
  Pending: 'Not looked at yet.',
  Deploying: "The server's or the agents' parts are being started.",
  NodesJoining: 'Nodes are joining.',
  NoNodes: 'No node matches nodeSelector.',
  NodesNotReady: 'Some nodes are not ready; the message names them.',
  Deleting: 'The object is being deleted.',
  SecretMissing: 'A Secret that the spec names is not there, or lacks a key.',
  SecretInvalid: 'A Secret has a value that cannot be used.',
  AddressUnknown:
    'The operator cannot tell under which address nodes reach the embedded server: write signalling.embedded.host.',
  AuthorityLost: 'The key that signs certificates is gone, and members of it are there; the message says what to do.',
  ApplyFailed: 'The API server refused what the operator wrote; the message has its words.',
  ServerUnreachable: 'The XMPP server does not answer.',
  ServerRefused: 'The XMPP server refuses the account.',
  Connected: 'The XMPP server is connected.',
  Disconnected: 'The agent has lost the XMPP server and tries again.',
  RelaysAnswer: 'Relays answer.',
  RelayUnreachable: 'The relay server does not answer.',
  RelayDisabled: '`ice.turn` is None.',
  AddressesFree: 'Addresses are left.',
  PoolExhausted: 'No address or piece of the pod CIDRs is left.',
  AddressesOverlap: 'Two nodes hold the same address or overlapping pieces.',
  RingComplete: 'The ring is whole.',
  RingIncomplete: 'Tunnels that the ring wants are missing.',
  Verified: 'The data path was proven.',
  Unverified: 'The data path could not be proven.',
  AwaitingEnrolment: 'The agent waits for its certificate.',
  EnrolmentInvalid: 'The agent cannot use the enrolment it was given.',
  Running: 'The agent runs.',
  AgentSilent: 'The agent has not been heard of.',
  DataPlaneAbsent: 'tincan does not answer.',
  Configured: 'The CNI configuration is in place.',
  NotWanted: 'Pods have another network (HostNetwork).',
  RouteOverlaps: 'A route of the node overlaps with the overlay or the pods.',
  NoConflict: 'Nothing overlaps.',
  Accepted: 'The EvioPeer has its EvioNode.',
  NameTaken: 'A Node, or an EvioNode of one, has this name: give the EvioPeer another.',
  NoNetwork: 'There is no EvioNetwork.',
  Joined: 'A machine has joined as this EvioPeer.',
  NotJoined:
    'No machine has joined as this EvioPeer yet, or it has left; a token is made for it by `evio token create`.',
} as const;
export const REASON = namesOf(REASONS);
export type Reason = keyof typeof REASONS;
