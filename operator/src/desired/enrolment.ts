/**
 * What makes a node a member: its certificate, the overlay's parameters, and its account on the XMPP server, sealed to the key the
 * node made for itself. Decided anew from what there is; the time goes in.
 */
import type { KeyObject } from 'node:crypto';
import { accountPassword } from '../../../agent/src/io/xmpp-accounts.ts';
import { type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { type Certificate, encodeCertificate, verifyCertificate } from '../../../agent/src/wire/certificate.ts';
import { type NodeId, nodeIdOf, type OverlayId } from '../../../agent/src/wire/ids.ts';
import { agree, generatePrivateKey, KEY_BYTES, rawPublicKey, sha256 } from '../../../agent/src/wire/keys.ts';
import { macRulesOf } from '../../../agent/src/wire/mac.ts';
import type { Parameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { type PodAttachment, sealCredentials } from '../../../agent/src/wire/sealed-credentials.ts';
import type { Enrolment } from '../../../crds/src/evio-node.ts';
import type { Issued } from './ledger.ts';

/** Raw public keys of 32 bytes. */
export interface NodeKeys {
  readonly identityKey: Buffer;
  readonly sessionKey: Buffer;
}

/** How nodes reach the signalling server; the same for all. */
export interface SignallingPlace {
  /** `xmpps://HOST:PORT` or `xmpp://HOST:PORT`. */
  readonly service: string;
  readonly domain: string;
  /** Domain of its rooms. */
  readonly conference: string;
  /** PEM; undefined: public authorities. */
  readonly ca: string | undefined;
  /** `HOST:PORT`, at most eight. */
  readonly stun: readonly string[];
  readonly turn: 'xep-0215' | 'none';
  /** What pods get; undefined: they have another network. */
  readonly cni: PodAttachment | undefined;
  /** Within what nodes of the cluster set no routes: the addresses of Services, which kube-proxy has there. */
  readonly excludeRoutes: readonly string[];
}

export interface Member {
  readonly name: string;
  /** As in the EvioNode's spec. */
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
  /** Service CIDRs that it carries for EvioPeers. */
  readonly services: readonly string[];
}

/** The overlay as its nodes know it. */
export interface Overlay {
  readonly authority: KeyObject;
  readonly parameters: Parameters;
  /** Signed, in base64; empty while nobody is revoked. */
  readonly revocations: string;
}

/** An external server may have several clusters: the overlay's id keeps their rooms and accounts apart. */
const MARK_CHARACTERS = 12;

export const roomOf = (id: OverlayId, name: string, conference: string): string =>
  `${name}-${id.slice(0, MARK_CHARACTERS)}@${conference}`;

/** Without the domain. */
export const accountOf = (id: OverlayId, member: string): string => `${member}.${id.slice(0, MARK_CHARACTERS)}`;

export const isAccountOf = (id: OverlayId, account: string): boolean =>
  account.endsWith(`.${id.slice(0, MARK_CHARACTERS)}`);

/** What an agent wrote into its status: 32 bytes each, and a session key with which a secret can be shared. Throws DecodeError. */
export function readKeys(told: { readonly identityKey: string; readonly sessionKey: string }): NodeKeys {
  const keys = { identityKey: fromBase64(told.identityKey), sessionKey: fromBase64(told.sessionKey) };
  for (const key of [keys.identityKey, keys.sessionKey])
    if (key.length !== KEY_BYTES) throw new DecodeError(`a public key of ${key.length} bytes`);
  agree(generatePrivateKey('x25519'), keys.sessionKey);
  return keys;
}

export const keysHashOf = (keys: NodeKeys): string => sha256(keys.identityKey, keys.sessionKey).toString('hex');

/** Of what is sealed for a node, without its password, which follows from the authority and the node id. */
export function sealedHash(place: SignallingPlace, room: string, account: string): string {
  const { service, domain, ca = '', stun, turn, cni, excludeRoutes } = place;
  // What is not there is not counted, so that an upgrade enrols nobody anew.
  const more = excludeRoutes.length === 0 ? [] : [excludeRoutes];
  const parts = [service, domain, ca, stun, turn, cni, room, account, ...more];
  return sha256(Buffer.from(JSON.stringify(parts))).toString('hex');
}

/** The prefix length of a certificate's address is that of the overlay's subnet, also after the subnet has grown. */
function addressesIn(parameters: Parameters, addresses: readonly string[]): readonly Prefix[] {
  return addresses.map(parsePrefix).map((prefix) => {
    const subnet = prefix.family === 4 ? parameters.subnet4 : parameters.subnet6;
    return subnet === undefined ? prefix : { ...prefix, length: subnet.length };
  });
}

const routesOf = ({ podCIDRs, services }: Member): readonly Prefix[] => [...podCIDRs, ...services].map(parsePrefix);

export interface EnrolmentState {
  readonly member: Member;
  readonly keys: NodeKeys;
  /** What stands in the spec. */
  readonly present: Enrolment | undefined;
  /** What the ledger says was issued for this EvioNode. */
  readonly issued: Issued | undefined;
  /** Of the EvioNode. */
  readonly uid: string;
  readonly overlay: Overlay;
  readonly place: SignallingPlace;
  /** Of a certificate. */
  readonly lifetimeSeconds: number;
}

export type EnrolmentVerdict =
  /** Nothing to do before `until` (seconds since 1970). */
  | { readonly kind: 'keep'; readonly until: number }
  /** The same certificate with the newest revocation list. */
  | { readonly kind: 'spread'; readonly enrolment: Enrolment; readonly until: number }
  /** A new certificate. `admit`: the account must be made, or get another password, before it is handed out. */
  | { readonly kind: 'issue'; readonly reason: IssueReason; readonly admit: boolean };

export type IssueReason =
  | 'FirstEnrolment'
  | 'NewKeys'
  | 'NotInLedger'
  | 'OtherAuthority'
  | 'AddressesChanged'
  | 'ParametersChanged'
  | 'SignallingChanged'
  | 'HalfLifeOver';

/** `now` in seconds since 1970. */
export function decideEnrolment(state: EnrolmentState, now: number): EnrolmentVerdict {
  const { present, overlay } = state;
  if (present === undefined) return { kind: 'issue', reason: 'FirstEnrolment', admit: true };
  const certificate = certificateIn(present, overlay);
  const reason = certificate === undefined ? 'OtherAuthority' : whyAnew(state, present, certificate, now);
  if (certificate === undefined || reason !== undefined) {
    // The account's password follows from the node id: while that stays, so does the account.
    const admit = reason !== 'HalfLifeOver' && reason !== 'ParametersChanged' && reason !== 'AddressesChanged';
    return { kind: 'issue', reason: reason ?? 'OtherAuthority', admit };
  }
  const until = renewalOf(certificate, state.lifetimeSeconds);
  if ((present.revocations ?? '') === overlay.revocations) return { kind: 'keep', until };
  return { kind: 'spread', enrolment: withRevocations(present, overlay.revocations), until };
}

function certificateIn(present: Enrolment, overlay: Overlay): Certificate | undefined {
  try {
    return verifyCertificate(fromBase64(present.certificate), rawPublicKey(overlay.authority));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

const same = (a: readonly Prefix[], b: readonly Prefix[]): boolean => {
  const text = (list: readonly Prefix[]): string =>
    list
      .map((p) => `${p.address}/${p.length}`)
      .sort()
      .join();
  return text(a) === text(b);
};

function whyAnew(
  { member, keys, issued, uid, overlay, place, lifetimeSeconds }: EnrolmentState,
  present: Enrolment,
  certificate: Certificate,
  now: number,
): IssueReason | undefined {
  const { parameters } = overlay;
  const id = nodeIdOf(keys.identityKey);
  if (present.keysHash !== keysHashOf(keys) || certificate.nodeId !== id) return 'NewKeys';
  if (issued?.uid !== uid || issued.id !== id || String(issued.serial) !== present.serial) return 'NotInLedger';
  const account = accountOf(parameters.overlayId, member.name);
  if (issued.sealed !== sealedHash(place, roomOf(parameters.overlayId, parameters.name, place.conference), account))
    return 'SignallingChanged';
  if (
    certificate.name !== member.name ||
    !same(certificate.addresses, addressesIn(parameters, member.addresses)) ||
    !same(certificate.routes, routesOf(member))
  )
    return 'AddressesChanged';
  if (present.overlayParameters !== parameters.bytes.toString('base64')) return 'ParametersChanged';
  return now >= renewalOf(certificate, lifetimeSeconds) ? 'HalfLifeOver' : undefined;
}

/** Half of the certificate's life, or of what is now wanted where that is shorter. */
function renewalOf({ notBefore, notAfter }: Certificate, lifetimeSeconds: number): number {
  return notBefore + Math.floor(Math.min(notAfter - notBefore, lifetimeSeconds) / 2);
}

function withRevocations(enrolment: Enrolment, revocations: string): Enrolment {
  const { revocations: _, ...others } = enrolment;
  return revocations === '' ? others : { ...others, revocations };
}

/** What the ledger has to hold before `makeEnrolment` is called; its serial comes from there. */
export function entryOf(state: EnrolmentState, now: number): Omit<Issued, 'serial'> {
  const { overlayId, name } = state.overlay.parameters;
  const account = accountOf(overlayId, state.member.name);
  return {
    uid: state.uid,
    id: nodeIdOf(state.keys.identityKey),
    notAfter: now + state.lifetimeSeconds,
    account,
    sealed: sealedHash(state.place, roomOf(overlayId, name, state.place.conference), account),
  };
}

/** Of a node's account. */
export const passwordOf = (overlay: Overlay, id: NodeId): string => accountPassword(overlay.authority, id);

/** Throws RangeError or DecodeError when the certificate would be too large. */
export function makeEnrolment(
  { member, keys, overlay, place, lifetimeSeconds }: EnrolmentState,
  serial: number,
  revocations: string,
  now: number,
): Enrolment {
  const { authority, parameters } = overlay;
  const { overlayId } = parameters;
  const addresses = addressesIn(parameters, member.addresses);
  const routes = routesOf(member);
  const nodeId = nodeIdOf(keys.identityKey);
  const notAfter = now + lifetimeSeconds;
  const certificate = encodeCertificate(
    {
      overlayId,
      identityKey: keys.identityKey,
      sessionKey: keys.sessionKey,
      name: member.name,
      addresses,
      routes,
      macs: macRulesOf(addresses, routes, BigInt(serial)),
      serial: BigInt(serial),
      notBefore: now,
      notAfter,
    },
    authority,
  );
  const credentials = sealCredentials(
    {
      service: place.service,
      domain: place.domain,
      username: accountOf(overlayId, member.name),
      password: passwordOf(overlay, nodeId),
      ca: place.ca,
      room: roomOf(overlayId, parameters.name, place.conference),
      stun: place.stun,
      turn: place.turn,
      cni: place.cni,
      ...(place.excludeRoutes.length === 0 ? {} : { excludeRoutes: place.excludeRoutes }),
    },
    { overlayId, nodeId },
    keys.sessionKey,
  );
  return withRevocations(
    {
      overlayParameters: parameters.bytes.toString('base64'),
      certificate: certificate.toString('base64'),
      serial: String(serial),
      notAfter: new Date(notAfter * 1000).toISOString().replace('.000', ''),
      credentials: credentials.toString('base64'),
      keysHash: keysHashOf(keys),
    },
    revocations,
  );
}
