/**
 * How a node of a cluster becomes a member: it tells its public keys in the status of its EvioNode, the operator answers with an enrolment
 * in the spec, and the node makes its node file of that. What was taken once is enough to start from, without the cluster. Pure.
 *
 * The authority of the first enrolment is pinned: who can write the spec later cannot bring the node into an overlay of his own unseen.
 */
import type { Enrolment, EvioNode } from '../../../crds/src/evio-node.ts';
import { checkMembership } from '../config/membership.ts';
import { problemsOf } from '../config/problems.ts';
import { type NodeFileInput, nodeFile } from '../config/schema.ts';
import { formatPrefix, isWithin } from '../wire/address.ts';
import { nodeIdOf } from '../wire/ids.ts';
import { privateKey, rawPublicKey, sha256 } from '../wire/keys.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { type Credentials, openCredentials } from '../wire/sealed-credentials.ts';

/** Raw private keys, 32 bytes each. */
export interface OwnKeys {
  /** Ed25519 seed. */
  readonly identity: Uint8Array;
  /** X25519. */
  readonly session: Uint8Array;
}

/** base64, as in EvioNode.status. */
export interface PublicKeys {
  readonly identityKey: string;
  readonly sessionKey: string;
}

export interface Place {
  readonly runDir: string;
  /** Of the node: what it remembers of its peers. */
  readonly stateDir: string;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  readonly switch: 'tincan' | 'ovs';
}

/** What pods on this node get; kept beside the node file, because it is needed without the cluster too. */
export interface PodSettings {
  readonly attachment: 'Routed' | 'Flat';
  /** This node's pieces. */
  readonly subnets: readonly string[];
  /** The cluster's. */
  readonly podCIDRs: readonly string[];
  /** The node's overlay addresses, without prefix lengths. */
  readonly gateways: readonly string[];
  readonly mtu: number;
}

/** What a node runs with. */
export interface Enrolled {
  /** The certificate's. */
  readonly serial: string;
  /** The node file's text, without revocations and with them. */
  readonly papers: string;
  readonly file: string;
  /** base64; undefined: nobody is revoked. */
  readonly revocations: string | undefined;
  /** Undefined: pods have another network (HostNetwork). */
  readonly pods: PodSettings | undefined;
  /** base64. */
  readonly authorityKey: string;
}

export type Reading =
  /** Nothing there, or made for keys that this node no longer has: the operator will answer. */
  | { readonly kind: 'awaiting'; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'enrolled'; readonly enrolled: Enrolled };

export function publicKeys({ identity, session }: OwnKeys): PublicKeys {
  const text = (key: Buffer): string => key.toString('base64');
  return {
    identityKey: text(rawPublicKey(privateKey('ed25519', identity))),
    sessionKey: text(rawPublicKey(privateKey('x25519', session))),
  };
}

/** SHA-256 in hex of both keys, by which an enrolment says whom it is for. */
export function keysHash({ identityKey, sessionKey }: PublicKeys): string {
  return sha256(Buffer.from(identityKey, 'base64'), Buffer.from(sessionKey, 'base64')).toString('hex');
}

/** `pinned` is the authority key in base64 that was taken first, and where it is kept. */
export function readEnrolment(
  node: EvioNode | undefined,
  own: OwnKeys,
  place: Place,
  pinned: { readonly authorityKey: string | undefined; readonly file: string },
): Reading {
  if (node === undefined)
    return { kind: 'awaiting', message: 'the operator has not made the EvioNode of this node yet' };
  const { enrolment } = node.spec;
  if (enrolment === undefined)
    return { kind: 'awaiting', message: 'the operator has not answered the keys of this node yet' };
  if (enrolment.keysHash !== keysHash(publicKeys(own)))
    return {
      kind: 'awaiting',
      message: 'the enrolment is for former keys of this node; the operator will make another',
    };
  try {
    return read(node, enrolment, own, place, pinned);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return refused(error.message);
  }
}

const refused = (why: string): Reading => ({ kind: 'refused', message: `the enrolment is not taken: ${why}` });

function read(
  node: EvioNode,
  enrolment: Enrolment,
  own: OwnKeys,
  place: Place,
  pinned: { readonly authorityKey: string | undefined; readonly file: string },
): Reading {
  const problems: string[] = [];
  const membership = checkMembership(
    {
      name: node.spec.memberName,
      parameters: enrolment.overlayParameters,
      certificate: enrolment.certificate,
      revocations: enrolment.revocations,
      seed: own.identity,
      sessionKey: own.session,
    },
    // Whether it has expired shows when others are heard: the clock may be what is wrong.
    0,
    (problem) => problems.push(problem),
  );
  if (membership === undefined || problems.length > 0) return refused(problems.join('; '));
  const { parameters, certificate } = membership;
  const authorityKey = parameters.authorityKey.toString('base64');
  if (pinned.authorityKey !== undefined && pinned.authorityKey !== authorityKey)
    return refused(
      `it is of another authority (${authorityKey}) than the one this node has known (${pinned.authorityKey}); if that is meant, remove ${pinned.file} on this node and delete its evio-agent pod`,
    );
  if (certificate.serial.toString() !== enrolment.serial)
    return refused(`its certificate has serial ${certificate.serial}, not ${enrolment.serial}`);
  const sealed = fromBase64(enrolment.credentials);
  const { overlayId } = parameters;
  const nodeId = nodeIdOf(certificate.identityKey);
  const credentials = openCredentials(sealed, { overlayId, nodeId }, privateKey('x25519', own.session));

  // The addresses of Services that a node carries for others are none for its pods.
  const { excludeRoutes = [] } = credentials;
  const subnets = certificate.routes.filter((route) => !isWithin(route, excludeRoutes)).map(formatPrefix);
  const { attachment, podCIDRs } = credentials.cni ?? { attachment: 'Routed', podCIDRs: [] };
  const compose = (revocations: string | undefined): NodeFileInput => ({
    ...nodeFileOf(node.spec.memberName, { ...enrolment, revocations }, own, place, credentials),
    ...(excludeRoutes.length === 0 ? {} : { network: { excludeRoutes: [...excludeRoutes] } }),
    // tincan's firewall has to know what pods reach by their own addresses.
    ...(subnets.length === 0 ? {} : { pods: { overlayCIDRs: [...podCIDRs] } }),
  });
  const input = compose(enrolment.revocations);
  const checked = nodeFile.safeParse(input);
  if (!checked.success) return refused(problemsOf(nodeFile, input, checked.error).join('; '));
  const gateways = certificate.addresses.map(({ address }) => address);
  return {
    kind: 'enrolled',
    enrolled: {
      serial: enrolment.serial,
      papers: text(compose(undefined)),
      file: text(input),
      revocations: enrolment.revocations,
      pods: subnets.length === 0 ? undefined : { attachment, subnets, podCIDRs, gateways, mtu: parameters.mtu },
      authorityKey,
    },
  };
}

const text = (file: NodeFileInput): string => `${JSON.stringify(file, null, 2)}\n`;

function nodeFileOf(
  name: string,
  enrolment: Pick<Enrolment, 'overlayParameters' | 'certificate' | 'revocations'>,
  own: OwnKeys,
  place: Place,
  credentials: Credentials,
): NodeFileInput {
  const { service, domain, username, password, ca, room, stun, turn } = credentials;
  const { overlayParameters: parameters, certificate, revocations } = enrolment;
  return {
    apiVersion: 'evio/1',
    name,
    overlay: { parameters, ...(revocations === undefined ? {} : { revocations }) },
    identity: {
      key: Buffer.from(own.identity).toString('base64'),
      sessionKey: Buffer.from(own.session).toString('base64'),
      certificate,
    },
    signalling: { service, domain, username, password, ...(ca === undefined ? {} : { ca }), room },
    ice: { stun: [...stun], ...(turn === undefined ? {} : { turn }) },
    switch: place.switch,
    runDir: place.runDir,
    stateDir: place.stateDir,
    log: { level: place.logLevel, format: 'text' },
  };
}
