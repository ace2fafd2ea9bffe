/** docs/wire.md §9.3: what agents say to each other, through the room or over the overlay. An allow-list: anything else is refused. */
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { parseEndpoint } from './address.ts';
import { DecodeError, fromBase64, passes } from './reader.ts';
import { BODY_MAX_BYTES } from './sealed.ts';

/** Of one peer, so that probing what it lists stays bounded (docs/wire.md §6.4). */
export const CANDIDATES_MAX = 16;
export const GOSSIP_MAX = 20;

const tunnel = z.string().regex(/^[0-9a-f]{16}$/);
const sdp = z.string().min(1).max(12_000);
const udp = z.array(z.string().max(47).refine(passes(parseEndpoint), 'not "address:port"')).max(CANDIDATES_MAX);
const kind = z.enum(['successor', 'predecessor', 'long-distance', 'on-demand', 'static']);
const kinds = z
  .array(kind)
  .max(kind.options.length)
  .refine((list) => new Set(list).size === list.length, 'a kind twice');
/** A certificate has at most 640 bytes (docs/wire.md §2). */
const certificate = z.string().max(856).refine(passes(fromBase64), 'not base64');

const BODY = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('offer'), tunnel, sdp, udp, kinds }),
  z.strictObject({ type: z.literal('answer'), tunnel, sdp, udp }),
  z.strictObject({
    type: z.literal('candidate'),
    tunnel,
    candidate: z.string().max(1_000),
    mid: z.string().max(64),
  }),
  z.strictObject({ type: z.literal('udp'), udp }),
  z.strictObject({ type: z.literal('edge'), kinds }),
  z.strictObject({ type: z.literal('refuse'), tunnel, reason: z.enum(['busy', 'limit', 'policy']) }),
  z.strictObject({ type: z.literal('bye'), tunnel }),
  z.strictObject({ type: z.literal('members'), certificates: z.array(certificate).max(GOSSIP_MAX) }),
]);

export type Body = z.infer<typeof BODY>;
export type BodyOf<T extends Body['type']> = Extract<Body, { type: T }>;
export type BodyKind = z.infer<typeof kind>;

/** A value that came as JSON already, as the control socket's `message` event has it. */
export function parseBody(value: unknown): Body {
  const result = BODY.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new DecodeError(`a body that is not allowed: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

export function decodeBody(bytes: Uint8Array): Body {
  if (bytes.length > BODY_MAX_BYTES) throw new DecodeError(`a body of ${bytes.length} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new DecodeError('a body that is no JSON');
  }
  return parseBody(value);
}

export function encodeBody(body: Body): Buffer {
  const bytes = Buffer.from(JSON.stringify(body), 'utf8');
  if (bytes.length > BODY_MAX_BYTES) throw new RangeError(`a body of ${bytes.length} bytes`);
  return bytes;
}
