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

/** Condition types of an EvioNetwork. All but Progressing and Degraded are good when True. */
export const NETWORK_CONDITION = {
  /** Everything is as the spec says, on every node. */
  Ready: 'Ready',
  /** Pods or nodes can use the network, though perhaps not on every node. */
  Available: 'Available',
  /** Something is being made or changed. */
  Progressing: 'Progressing',
  /** Something is wrong that does not heal without help; the message says what to do. */
  Degraded: 'Degraded',
  /** The XMPP server answers and takes the administrator's account. */
  SignallingReady: 'SignallingReady',
  /** TURN relays are handed out. */
  RelayReady: 'RelayReady',
  /** There are node addresses and pieces of the pod CIDRs left. */
  AddressPoolReady: 'AddressPoolReady',
  /** Every node's neighbours are those that the ring wants. */
  RingConsistent: 'RingConsistent',
  /** Every node has proven its data path. */
  DataPlaneVerified: 'DataPlaneVerified',
} as const;
export type NetworkConditionType = (typeof NETWORK_CONDITION)[keyof typeof NETWORK_CONDITION];

/** Condition types of an EvioNode. All but AddressConflict are good when True. */
export const NODE_CONDITION = {
  /** Traffic of this node and its pods passes. */
  Ready: 'Ready',
  /** The agent runs and has its enrolment. */
  AgentReady: 'AgentReady',
  /** tincan runs with the agent's configuration. */
  DataPlaneReady: 'DataPlaneReady',
  /** The agent is in the overlay's room on the XMPP server. */
  SignallingConnected: 'SignallingConnected',
  /** The node has a tunnel to each neighbour that the ring wants. */
  RingJoined: 'RingJoined',
  /** The CNI configuration is written (PodNetwork only). */
  PodNetworkReady: 'PodNetworkReady',
  /** An address range of the overlay or the pods is already in use on this node; the message names both. */
  AddressConflict: 'AddressConflict',
} as const;
export type NodeConditionType = (typeof NODE_CONDITION)[keyof typeof NODE_CONDITION];

/**
 * Reasons. The READY columns show the reason of Ready, so a reason is what a person reads first: a word for the state, not for
 * the code that found it. A condition may have a reason that is not listed here.
 */
export const REASON = {
  /** Ready: all is well. */
  Ready: 'Ready',
  /** Progressing: nothing is going on. */
  Complete: 'Complete',
  /** Degraded: nothing is wrong. */
  AsExpected: 'AsExpected',
  /** Not looked at yet. */
  Pending: 'Pending',
  /** The server's or the agents' parts are being started. */
  Deploying: 'Deploying',
  /** Nodes are joining. */
  NodesJoining: 'NodesJoining',
  /** No node matches nodeSelector. */
  NoNodes: 'NoNodes',
  /** Some nodes are not ready; the message names them. */
  NodesNotReady: 'NodesNotReady',
  /** The object is being deleted. */
  Deleting: 'Deleting',
  /** A Secret that the spec names is not there, or lacks a key. */
  SecretMissing: 'SecretMissing',
  /** A Secret has a value that cannot be used. */
  SecretInvalid: 'SecretInvalid',
  /** The XMPP server does not answer. */
  ServerUnreachable: 'ServerUnreachable',
  /** The XMPP server refuses the account. */
  ServerRefused: 'ServerRefused',
  /** The XMPP server is connected. */
  Connected: 'Connected',
  /** The agent has lost the XMPP server and tries again. */
  Disconnected: 'Disconnected',
  /** Relays answer. */
  RelaysAnswer: 'RelaysAnswer',
  /** The relay server does not answer. */
  RelayUnreachable: 'RelayUnreachable',
  /** `ice.turn` is None. */
  RelayDisabled: 'RelayDisabled',
  /** Addresses are left. */
  AddressesFree: 'AddressesFree',
  /** No address or piece of the pod CIDRs is left. */
  PoolExhausted: 'PoolExhausted',
  /** Two nodes hold the same address or overlapping pieces. */
  AddressesOverlap: 'AddressesOverlap',
  /** The ring is whole. */
  RingComplete: 'RingComplete',
  /** Tunnels that the ring wants are missing. */
  RingIncomplete: 'RingIncomplete',
  /** The data path was proven. */
  Verified: 'Verified',
  /** The data path could not be proven. */
  Unverified: 'Unverified',
  /** The agent waits for its certificate. */
  AwaitingEnrolment: 'AwaitingEnrolment',
  /** The agent cannot use the enrolment it was given. */
  EnrolmentInvalid: 'EnrolmentInvalid',
  /** The agent runs. */
  Running: 'Running',
  /** The agent has not been heard of. */
  AgentSilent: 'AgentSilent',
  /** tincan does not answer. */
  DataPlaneAbsent: 'DataPlaneAbsent',
  /** The CNI configuration is in place. */
  Configured: 'Configured',
  /** Pods have another network (HostNetwork). */
  NotWanted: 'NotWanted',
  /** A route of the node overlaps with the overlay or the pods. */
  RouteOverlaps: 'RouteOverlaps',
  /** Nothing overlaps. */
  NoConflict: 'NoConflict',
} as const;
export type Reason = (typeof REASON)[keyof typeof REASON];
