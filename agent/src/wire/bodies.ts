/** docs/wire.md §9.3: what agents say to each other, through the room or over the overlay. An allow-list: anything else is refused. */
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { parseAddress, parseEndpoint } from './address.ts';
import { isNodeId } from './ids.ts';
import { DecodeError, fromBase64, passes } from './reader.ts';
import { BODY_MAX_BYTES } from './sealed.ts';
import { OBJECT_MAX_BYTES } from './tlv.ts';

/** Of one peer, so that probing what it lists stays bounded (docs/wire.md §6.4). */
export const CANDIDATES_MAX = 16;
export const GOSSIP_MAX = 20;
/** In one message of a tunnel. */
export const ICE_CANDIDATES_MAX = 20;
/** Kinds of what may happen to a frame at one station of a trace. */
export const TRACE_COUNTS_MAX = 16;
/** tincan's hop limit is 64; no route of an overlay in order has so many. */
export const TRACE_STATIONS_MAX = 16;
export const TRACE_FRAMES_MAX = 20;

const tunnel = z.string().regex(/^[0-9a-f]{16}$/);
/** A short description (docs/wire.md §9.3); what is in it is read where it is used. */
const sdp = z.string().min(1).max(4_096);
const udp = z.array(z.string().max(47).refine(passes(parseEndpoint), 'not "address:port"')).max(CANDIDATES_MAX);
const kind = z.enum(['successor', 'predecessor', 'long-distance', 'on-demand', 'static']);
const kinds = z
  .array(kind)
  .max(kind.options.length)
  .refine((list) => new Set(list).size === list.length, 'a kind twice');

const base64 = (most: number) => z.string().max(most).refine(passes(fromBase64), 'not base64');
/** A certificate has at most 640 bytes (docs/wire.md §2). */
const certificate = base64(856);
/** What stands before the @ of a node's account (RFC 7622 §3.3): of no other server, and no room. */
const account = z
  .string()
  .max(1_023)
  .regex(/^[^"&'/:<>@\s]+$/);
export const isAccount = (text: string | undefined): boolean => account.safeParse(text).success;

const nodeId = z.string().refine(isNodeId, 'no node id');

const trace = tunnel;
const hop = z.strictObject({ peer: nodeId, path: z.enum(['direct', 'webrtc', 'none']), relayed: z.boolean() });
const count = z.number().int().min(0);
const counted = z.strictObject({
  counts: z
    .record(z.string().regex(/^[a-zA-Z]{1,32}$/), count)
    .refine((counts) => Object.keys(counts).length <= TRACE_COUNTS_MAX, 'too many counts'),
  cameBy: hop.nullable(),
  leftBy: hop.nullable(),
});

const address = z.string().max(45).refine(passes(parseAddress), 'no address');
const kernel = z
  .strictObject({
    echoIn: count,
    replyOut: count,
    link: z
      .strictObject({ name: z.string().regex(/^[\x21-\x7e]{1,15}$/), sent: count, received: count, dropped: count })
      .nullable(),
  })
  .nullable();
/** Why a station cannot say what it is asked. */
const refusal = z.enum(['old', 'busy', 'away']);
/** Of another node, shown to people: no control characters. */
const line = z.string().regex(/^[\x20-\x7e]{1,200}$/);

const BODY = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('offer'), tunnel, sdp, udp, kinds }),
  z.strictObject({ type: z.literal('answer'), tunnel, sdp, udp }),
  z.strictObject({
    type: z.literal('candidates'),
    tunnel,
    candidates: z.array(z.string().max(128)).max(ICE_CANDIDATES_MAX),
  }),
  z.strictObject({ type: z.literal('udp'), udp }),
  z.strictObject({ type: z.literal('edge'), kinds }),
  z.strictObject({ type: z.literal('refuse'), tunnel, reason: z.enum(['busy', 'limit', 'policy']) }),
  z.strictObject({ type: z.literal('bye'), tunnel }),
  z.strictObject({
    type: z.literal('members'),
    certificates: z.array(certificate).max(GOSSIP_MAX),
    after: nodeId.optional(),
  }),
  z.strictObject({ type: z.literal('members-after'), after: nodeId }),
  z.strictObject({ type: z.literal('introduce'), account }),
  z.strictObject({
    type: z.literal('hello'),
    hello: base64(4 * Math.ceil(OBJECT_MAX_BYTES / 3)),
    account: account.optional(),
  }),
  z.strictObject({
    type: z.literal('trace-watch'),
    trace,
    destination: nodeId,
    bytes: z.number().int().min(60).max(1_000),
    cameBy: nodeId.optional(),
    behind: address.optional(),
  }),
  z.strictObject({ type: z.literal('trace-next'), trace, next: hop.nullable() }),
  z.strictObject({ type: z.literal('trace-read'), trace }),
  z.strictObject({
    type: z.literal('trace-told'),
    trace,
    there: counted,
    back: counted,
    kernel,
  }),
  z.strictObject({ type: z.literal('trace-refused'), trace, reason: z.enum([...refusal.options, 'unknown']) }),
  z.strictObject({
    type: z.literal('trace-begin'),
    trace,
    from: address,
    to: address,
    frames: z.number().int().min(1).max(TRACE_FRAMES_MAX),
  }),
  z.strictObject({ type: z.literal('trace-begun'), trace }),
  z.strictObject({
    type: z.literal('trace-station'),
    trace,
    at: z
      .number()
      .int()
      .min(0)
      .max(TRACE_STATIONS_MAX - 1),
    id: nodeId,
    /** False: it did not say by whom it would send on, and `next` is nothing. */
    said: z.boolean(),
    next: hop.nullable(),
    told: z.strictObject({ there: counted, back: counted, kernel }).nullable(),
    refused: refusal.nullable(),
  }),
  z.strictObject({
    type: z.literal('trace-ended'),
    trace,
    frames: z.number().int().min(0).max(TRACE_FRAMES_MAX),
    bytes: z.number().int().min(60).max(1_000),
    stations: z.number().int().min(1).max(TRACE_STATIONS_MAX),
    unsendable: line.nullable(),
    ovs: z.boolean(),
  }),
]);

export type Body = z.infer<typeof BODY>;
export type BodyOf<T extends Body['type']> = Extract<Body, { type: T }>;
const TRACE = [
  ...(['trace-watch', 'trace-next', 'trace-read', 'trace-told', 'trace-refused'] as const),
  ...(['trace-begin', 'trace-begun', 'trace-station', 'trace-ended'] as const),
] as const;
const OTHER = ['members', 'members-after', 'introduce', 'hello', ...TRACE] as const;
/** What the stations of a trace say to each other. */
export type TraceTalk = BodyOf<(typeof TRACE)[number]>;
/** What tunnels say to each other. */
export type TunnelTalk = Exclude<Body, { type: (typeof OTHER)[number] }>;

export function isTunnelBody(body: Body): body is TunnelTalk {
  return !(OTHER as readonly string[]).includes(body.type);
}

export function isTraceBody(body: Body): body is TraceTalk {
  return (TRACE as readonly string[]).includes(body.type);
}

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
