/**
 * docs/wire.md §9.6: what a machine that joins, or a node that renews or leaves, and the authority say to each other over the XMPP
 * server, which reads none of it.
 *
 *     request: EVJ1 | ephemeral key (32) | ciphertext | tag (16)      plaintext = secret (16) | signature (64) | body
 *     answer:  EVJ2 | ephemeral key (32) | ciphertext | tag (16)      plaintext = signature (64) | body
 *
 * The request is sealed to the authority's key. The answer is sealed with what only the authority has (that key) and what only who asked
 * has (the ephemeral key and the session key of the request), salted with the token's secret; and it is signed, over the request too.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { parseAddress } from './address.ts';
import { parseCertificate } from './certificate.ts';
import { idBytes, isName, type OverlayId, overlayIdOf } from './ids.ts';
import { SECRET_BYTES } from './join-token.ts';
import {
  agree,
  agreementPrivateKey,
  agreementPublicKey,
  generatePrivateKey,
  hkdf,
  KEY_BYTES,
  rawPublicKey,
  SIGNATURE_BYTES,
  sha256,
  signWith,
  verifySignature,
} from './keys.ts';
import { DecodeError, fromBase64, passes, Reader } from './reader.ts';

const REQUEST = Buffer.from('EVJ1', 'latin1');
const ANSWER = Buffer.from('EVJ2', 'latin1');
const HEADER_BYTES = 4 + KEY_BYTES;
const TAG_BYTES = 16;
/** Each key is used once. */
const NONCE = Buffer.alloc(12);
/** Where a request needs no token. */
export const NO_SECRET: Uint8Array = Buffer.alloc(SECRET_BYTES);
export const REQUEST_MAX_BYTES = 4 * 1024;
/** A chain of authorities is the longest part; a stanza has at most 64 KiB, in base64. */
export const ANSWER_MAX_BYTES = 40 * 1024;

// ---- bodies ----------------------------------------------------------------------------------------------------------

const key32 = z.string().refine(passes((text) => exactly32(fromBase64(text))));
const address = z
  .string()
  .max(45)
  .refine(passes((text) => parseAddress(text)));

/** The node's, in base64; at most 640 bytes. */
const ownCertificate = z
  .string()
  .max(856)
  .refine(passes((text) => parseCertificate(fromBase64(text))));

function exactly32(bytes: Uint8Array): void {
  if (bytes.length !== KEY_BYTES) throw new DecodeError(`a key of ${bytes.length} bytes`);
}

const REQUEST_BODY = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('join'),
    name: z.string().refine(isName),
    /** Raw public keys, 32 bytes in base64: Ed25519 and X25519. */
    identityKey: key32,
    sessionKey: key32,
    /** Wishes; one that is left out is allotted. */
    address4: address.optional(),
    address6: address.optional(),
  }),
  z.strictObject({ type: z.literal('leave'), certificate: ownCertificate }),
  z.strictObject({
    type: z.literal('renew'),
    certificate: ownCertificate,
    /** Serials of what the node has; 0: it has none. */
    parameters: z.int().min(0),
    revocations: z.int().min(0),
  }),
]);
export type RequestBody = z.infer<typeof REQUEST_BODY>;
export type JoinBody = Extract<RequestBody, { type: 'join' }>;
export type RenewBody = Extract<RequestBody, { type: 'renew' }>;
export type LeaveBody = Extract<RequestBody, { type: 'leave' }>;

const base64 = z
  .string()
  .max(5_464)
  .refine(passes((text) => fromBase64(text)));
/** What a node file needs of the server (agent/src/config/schema.ts checks their form). */
const account = z.object({
  service: z.string(),
  domain: z.string(),
  username: z.string(),
  password: z.string(),
  ca: z.string().optional(),
  room: z.string(),
  stun: z.array(z.string()).max(8),
});
export type JoinedAccount = z.infer<typeof account>;
const excludeRoutes = z.array(z.string().max(43)).max(16);

/** Why the authority says no: what is wrong with the token, the name, the address, or with itself just now. */
const REASONS = ['token', 'name', 'address', 'member', 'full', 'unavailable'] as const;
export type RefusalReason = (typeof REASONS)[number];

/** Unknown keys are left: a newer authority may say more than this machine understands. */
const ANSWER_BODY = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('joined'),
    parameters: base64,
    certificate: base64,
    revocations: base64.optional(),
    /** `network.excludeRoutes` of the node file: the machine is to be a node of a cluster, which has Services of its own. */
    excludeRoutes: excludeRoutes.optional(),
    account,
  }),
  z.object({
    type: z.literal('renewed'),
    /** Each is there when the node needs another than it has. */
    certificate: base64.optional(),
    parameters: base64.optional(),
    revocations: base64.optional(),
    /** As a machine that joins now would be told, where the authority knows it: the node looks whether it has others. */
    excludeRoutes: excludeRoutes.optional(),
    account: account.optional(),
  }),
  z.object({
    type: z.literal('left'),
    /** Of the revocation list that voids the certificate. */
    serial: z.int().min(1),
  }),
  z.object({ type: z.literal('refused'), reason: z.enum(REASONS), message: z.string().max(300) }),
]);
export type AnswerBody = z.infer<typeof ANSWER_BODY>;
export type JoinedBody = Extract<AnswerBody, { type: 'joined' }>;
export type RenewedBody = Extract<AnswerBody, { type: 'renewed' }>;
export type RefusedBody = Extract<AnswerBody, { type: 'refused' }>;

function readBody<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // It may hold secrets: it is not quoted.
    throw new DecodeError('a body that is no JSON');
  }
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  throw new DecodeError(`a body without a usable ${checked.error.issues[0]?.path.join('.') || 'type'}`);
}

const writeBody = (body: RequestBody | AnswerBody): Buffer => Buffer.from(JSON.stringify(body));

// ---- keys ------------------------------------------------------------------------------------------------------------

/** The name of the account by which the authority answers. It has no dot, unlike those of nodes. */
export const authorityAccountName = (id: OverlayId): string => `authority-${id.slice(0, 12)}`;

function sealingKey(what: string, overlayId: OverlayId, input: Uint8Array, salt: Uint8Array | string): Buffer {
  return hkdf(input, salt, Buffer.concat([Buffer.from(`evio/1 ${what}`, 'ascii'), idBytes(overlayId)]), 32);
}

function seal(key: Uint8Array, header: Buffer, plaintext: Buffer): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  cipher.setAAD(header, { plaintextLength: plaintext.length });
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function unseal(key: Uint8Array, bytes: Buffer, what: string): Buffer {
  const end = bytes.length - TAG_BYTES;
  const header = bytes.subarray(0, HEADER_BYTES);
  const decipher = createDecipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAAD(header, { plaintextLength: end - HEADER_BYTES });
  decipher.setAuthTag(bytes.subarray(end));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, end)), decipher.final()]);
  } catch {
    throw new DecodeError(`${what} whose seal does not open`);
  }
}

function ephemeralOf(input: Uint8Array, magic: Buffer, max: number, what: string): Buffer {
  if (input.length > max) throw new DecodeError(`${what} of ${input.length} bytes`);
  if (input.length < HEADER_BYTES + TAG_BYTES) throw new DecodeError(`${what} cut short`);
  const header = Buffer.from(input).subarray(0, HEADER_BYTES);
  if (!header.subarray(0, magic.length).equals(magic)) throw new DecodeError(`no ${magic.toString('latin1')} ${what}`);
  return header.subarray(magic.length);
}

// ---- the request -----------------------------------------------------------------------------------------------------

/** What was asked, for who has to open the answer. */
export interface Asked {
  readonly bytes: Buffer;
  readonly ephemeral: KeyObject;
  readonly secret: Uint8Array;
}

/** The signature binds the request to this authority and to this ephemeral key, so that nobody else can have it answered. */
function requestWords(authorityKey: Uint8Array, ephemeral: Uint8Array, secret: Uint8Array, body: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from('evio/1 join request\0', 'ascii'),
    authorityKey,
    ephemeral,
    sha256(secret),
    sha256(body),
  ]);
}

/**
 * `authorityKey` is the raw public one (Ed25519); `identity` the private Ed25519 key of the node that the body speaks of; `secret` the
 * token's, `NO_SECRET` without one; `ephemeral` is drawn anew but in tests.
 */
export function sealRequest(
  body: RequestBody,
  authorityKey: Uint8Array,
  identity: KeyObject,
  secret: Uint8Array,
  ephemeral: KeyObject = generatePrivateKey('x25519'),
): Asked {
  const text = writeBody(body);
  const ephemeralKey = rawPublicKey(ephemeral);
  const signature = signWith(identity, requestWords(authorityKey, ephemeralKey, secret, text));
  const shared = agree(ephemeral, agreementPublicKey(authorityKey));
  const key = sealingKey('join request', overlayIdOf(authorityKey), shared, 'evio/1');
  const bytes = seal(key, Buffer.concat([REQUEST, ephemeralKey]), Buffer.concat([secret, signature, text]));
  if (bytes.length > REQUEST_MAX_BYTES) throw new RangeError(`a request of ${bytes.length} bytes`);
  return { bytes, ephemeral, secret };
}

export interface OpenedRequest {
  readonly body: RequestBody;
  /** Of who asks: the body was signed by this one. */
  readonly identityKey: Buffer;
  readonly sessionKey: Buffer;
  readonly secret: Buffer;
  readonly ephemeralKey: Buffer;
  readonly digest: Buffer;
}

/** `authority` is its private key. Throws DecodeError. */
export function openRequest(input: Uint8Array, authority: KeyObject): OpenedRequest {
  const ephemeralKey = ephemeralOf(input, REQUEST, REQUEST_MAX_BYTES, 'request');
  const bytes = Buffer.from(input);
  const authorityKey = rawPublicKey(authority);
  const shared = agree(agreementPrivateKey(authority), ephemeralKey);
  const key = sealingKey('join request', overlayIdOf(authorityKey), shared, 'evio/1');
  const reader = new Reader(unseal(key, bytes, 'a request'));
  const secret = Buffer.from(reader.take(SECRET_BYTES));
  const signature = reader.take(SIGNATURE_BYTES);
  const text = reader.rest();
  const body = readBody(REQUEST_BODY, text);
  const { identityKey, sessionKey } = keysOf(body);
  if (!verifySignature(identityKey, requestWords(authorityKey, ephemeralKey, secret, text), signature))
    throw new DecodeError("a request without its sender's signature");
  // What cannot be answered is not decided.
  agree(generatePrivateKey('x25519'), sessionKey);
  return { body, identityKey, sessionKey, secret, ephemeralKey, digest: sha256(bytes) };
}

function keysOf(body: RequestBody): { readonly identityKey: Buffer; readonly sessionKey: Buffer } {
  if (body.type === 'join')
    return { identityKey: fromBase64(body.identityKey), sessionKey: fromBase64(body.sessionKey) };
  const { identityKey, sessionKey } = parseCertificate(fromBase64(body.certificate));
  return { identityKey: Buffer.from(identityKey), sessionKey: Buffer.from(sessionKey) };
}

// ---- the answer ------------------------------------------------------------------------------------------------------

const answerWords = (digest: Uint8Array, body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('evio/1 join answer\0', 'ascii'), digest, sha256(body)]);

/** `ephemeral` is drawn anew but in tests. */
export function sealAnswer(
  body: AnswerBody,
  { ephemeralKey, sessionKey, secret, digest }: OpenedRequest,
  authority: KeyObject,
  ephemeral: KeyObject = generatePrivateKey('x25519'),
): Buffer {
  const text = writeBody(body);
  const shared = Buffer.concat([agree(agreementPrivateKey(authority), ephemeralKey), agree(ephemeral, sessionKey)]);
  const key = sealingKey('join answer', overlayIdOf(rawPublicKey(authority)), shared, secret);
  const plaintext = Buffer.concat([signWith(authority, answerWords(digest, text)), text]);
  const bytes = seal(key, Buffer.concat([ANSWER, rawPublicKey(ephemeral)]), plaintext);
  if (bytes.length > ANSWER_MAX_BYTES) throw new RangeError(`an answer of ${bytes.length} bytes`);
  return bytes;
}

/** `sessionKey` is the private one of the request's. Throws DecodeError. */
export function openAnswer(
  input: Uint8Array,
  { bytes: request, ephemeral, secret }: Asked,
  authorityKey: Uint8Array,
  sessionKey: KeyObject,
): AnswerBody {
  const theirs = ephemeralOf(input, ANSWER, ANSWER_MAX_BYTES, 'answer');
  const shared = Buffer.concat([agree(ephemeral, agreementPublicKey(authorityKey)), agree(sessionKey, theirs)]);
  const key = sealingKey('join answer', overlayIdOf(authorityKey), shared, secret);
  const reader = new Reader(unseal(key, Buffer.from(input), 'an answer'));
  const signature = reader.take(SIGNATURE_BYTES);
  const text = reader.rest();
  if (!verifySignature(authorityKey, answerWords(sha256(request), text), signature))
    throw new DecodeError("an answer without the authority's signature");
  return readBody(ANSWER_BODY, text);
}
