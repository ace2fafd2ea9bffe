/**
 * docs/wire.md §9.4: how a node reaches the signalling server, sealed to the node's session key. In a cluster it stands in the spec of
 * the node's EvioNode, which many may read.
 *
 *     EVS1 | ephemeral key (32) | ciphertext | tag (16)
 *     plaintext = JSON
 *
 * Anybody can seal: that the authority's own operator did is for the place where it is read to say (only the operator writes specs).
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { idBytes, type NodeId, type OverlayId } from './ids.ts';
import { agree, generatePrivateKey, hkdf, KEY_BYTES, rawPublicKey } from './keys.ts';
import { DecodeError } from './reader.ts';

const MAGIC = Buffer.from('EVS1', 'latin1');
const HEADER_BYTES = MAGIC.length + KEY_BYTES;
const TAG_BYTES = 16;
/** A chain of authorities is the longest part; an object of the cluster has at most 1.5 MB. */
export const CREDENTIALS_MAX_BYTES = 64 * 1024;
/** The key is used once. */
const NONCE = Buffer.alloc(12);
const STUN_MAX = 8;
const FAMILIES = 2;
const EXCLUDED_MAX = 16;

/** As in the node file (agent/src/config/schema.ts), where their form is checked. */
export interface Credentials {
  /** `xmpps://HOST:PORT` or `xmpp://HOST:PORT`. */
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  /** PEM; undefined: public authorities. */
  readonly ca?: string | undefined;
  /** `NAME@CONFERENCE-DOMAIN`. */
  readonly room: string;
  /** At most eight `HOST:PORT`. */
  readonly stun: readonly string[];
  /** Undefined: `xep-0215`. */
  readonly turn?: 'xep-0215' | 'none' | undefined;
  /** What pods get; undefined: routed. No secret, but it belongs to one enrolment. */
  readonly cni?: PodAttachment | undefined;
  /** Prefixes within which the node sets no route (`network.excludeRoutes`): its cluster's Services. Undefined: none. */
  readonly excludeRoutes?: readonly string[] | undefined;
}

export interface PodAttachment {
  readonly attachment: 'Routed' | 'Flat';
  /** The cluster's, in CIDR notation, one per family at most: what is on-link for a pod that is attached flat. */
  readonly podCIDRs: readonly string[];
}

/** The node they are for. */
export interface Recipient {
  readonly overlayId: OverlayId;
  readonly nodeId: NodeId;
}

/** `sessionKey` is the node's raw public one (X25519); `ephemeral` is drawn anew but in tests. Throws DecodeError for a key that is none. */
export function sealCredentials(
  credentials: Credentials,
  recipient: Recipient,
  sessionKey: Uint8Array,
  ephemeral: KeyObject = generatePrivateKey('x25519'),
): Buffer {
  const { service, domain, username, password, ca, room, stun, turn, cni, excludeRoutes } = credentials;
  // What is undefined stays out.
  const plaintext = Buffer.from(
    JSON.stringify({ service, domain, username, password, ca, room, stun, turn, cni, excludeRoutes }),
  );
  const header = Buffer.concat([MAGIC, rawPublicKey(ephemeral)]);
  const key = sealingKey(recipient, agree(ephemeral, sessionKey));
  const cipher = createCipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  cipher.setAAD(header, { plaintextLength: plaintext.length });
  const sealed = Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  if (sealed.length > CREDENTIALS_MAX_BYTES)
    throw new RangeError(`credentials of ${sealed.length} bytes, at most ${CREDENTIALS_MAX_BYTES} are allowed`);
  return sealed;
}

/** `sessionKey` is the node's private one. Throws DecodeError. */
export function openCredentials(input: Uint8Array, recipient: Recipient, sessionKey: KeyObject): Credentials {
  if (input.length > CREDENTIALS_MAX_BYTES) throw new DecodeError(`credentials of ${input.length} bytes`);
  if (input.length < HEADER_BYTES + TAG_BYTES) throw new DecodeError('credentials cut short');
  const bytes = Buffer.from(input);
  const header = bytes.subarray(0, HEADER_BYTES);
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new DecodeError('no EVS1 credentials');
  const end = bytes.length - TAG_BYTES;
  const key = sealingKey(recipient, agree(sessionKey, header.subarray(MAGIC.length)));
  const decipher = createDecipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAAD(header, { plaintextLength: end - HEADER_BYTES });
  decipher.setAuthTag(bytes.subarray(end));
  let plaintext: Buffer;
  try {
    plaintext = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, end)), decipher.final()]);
  } catch {
    throw new DecodeError('credentials that are sealed to another node, or changed');
  }
  return readCredentials(plaintext.toString());
}

function sealingKey({ overlayId, nodeId }: Recipient, shared: Uint8Array): Buffer {
  const info = Buffer.concat([Buffer.from('evio/1 credentials', 'ascii'), idBytes(overlayId), idBytes(nodeId)]);
  return hkdf(shared, 'evio/1', info, 32);
}

/** Unknown keys are left: a newer operator may say more than this agent understands. */
function readCredentials(json: string): Credentials {
  const value = parse(json);
  const text = (key: string): string => {
    const found = value[key];
    if (typeof found !== 'string') throw new DecodeError(`credentials without ${key}`);
    return found;
  };
  const stun = texts(value.stun, STUN_MAX);
  if (stun === undefined) throw new DecodeError(`credentials without a list stun of at most ${STUN_MAX}`);
  const { turn } = value;
  if (turn !== undefined && turn !== 'xep-0215' && turn !== 'none')
    throw new DecodeError('credentials with another turn');
  const excludeRoutes = value.excludeRoutes === undefined ? undefined : texts(value.excludeRoutes, EXCLUDED_MAX);
  if (value.excludeRoutes !== undefined && excludeRoutes === undefined)
    throw new DecodeError(`credentials without a list excludeRoutes of at most ${EXCLUDED_MAX}`);
  return {
    service: text('service'),
    domain: text('domain'),
    username: text('username'),
    password: text('password'),
    ...(value.ca === undefined ? {} : { ca: text('ca') }),
    room: text('room'),
    stun,
    ...(turn === undefined ? {} : { turn }),
    ...(value.cni === undefined ? {} : { cni: readAttachment(value.cni) }),
    ...(excludeRoutes === undefined ? {} : { excludeRoutes }),
  };
}

function readAttachment(value: unknown): PodAttachment {
  const { attachment, podCIDRs } =
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  const prefixes = texts(podCIDRs, FAMILIES);
  if ((attachment !== 'Routed' && attachment !== 'Flat') || prefixes === undefined)
    throw new DecodeError('credentials with a cni that is none');
  return { attachment, podCIDRs: prefixes };
}

function texts(value: unknown, max: number): readonly string[] | undefined {
  return Array.isArray(value) && value.length <= max && value.every((one) => typeof one === 'string')
    ? value
    : undefined;
}

function parse(json: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // What is no JSON may still be a secret: it is not quoted.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DecodeError('credentials that are no JSON object');
  return value as Readonly<Record<string, unknown>>;
}
