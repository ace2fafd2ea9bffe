/**
 * docs/wire.md §9.5: a join token, one line of text that admits a machine to an overlay.
 *
 *     evio1. | base64url( flags (1) | expires (4) | authority key (32) | secret (16) | host | port (2) | domain | CA | check (4) )
 *
 * It is a secret as a whole: whoever has it may join. The secret in it names the token, is the way into its one-time account, and is
 * shown to the authority alone.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type Family, formatAddress, parseAddress } from './address.ts';
import { agreementPublicKey, hkdf, KEY_BYTES, sha256 } from './keys.ts';
import { DecodeError, Reader, u8, u16, u32 } from './reader.ts';

const PREFIX = 'evio1.';
const ANY_VERSION = /^evio[0-9]+\./;
export const SECRET_BYTES = 16;
const HASH_BYTES = 32;
const CHECK_BYTES = 4;
const PASSWORD_BYTES = 24;
/** A chain of certificates is the longest part of it. */
const TOKEN_MAX_CHARACTERS = 16 * 1024;
const CERTIFICATES_MAX = 4;

/** Bits of the flags. */
const CA_KINDS = ['public', 'certificates', 'fingerprint'] as const;
const CA_MASK = 0b11;
const STARTTLS = 0b100;
const HOST_SHIFT = 3;
const HOST_NAME = 0;
const HOST_FAMILIES: ReadonlyMap<number, Family> = new Map([
  [1, 4],
  [2, 6],
]);
const FLAGS_MASK = 0b11111;

/** Who has to have signed the server's certificate. */
export type TokenTrust =
  | { readonly kind: 'public' }
  /** DER, at most four. */
  | { readonly kind: 'certificates'; readonly certificates: readonly Uint8Array[] }
  /** SHA-256 of a certificate (DER) that the server itself shows: half a kilobyte less to paste. */
  | { readonly kind: 'fingerprint'; readonly sha256: Uint8Array };

export interface JoinToken {
  /** `xmpps://HOST:PORT` or `xmpp://HOST:PORT`. */
  readonly service: string;
  readonly domain: string;
  /** Of the overlay's authority, Ed25519, 32 bytes: what is asked is sealed to it, and its hash is the overlay's id. */
  readonly authorityKey: Uint8Array;
  /** 16 random bytes. */
  readonly secret: Uint8Array;
  /** Seconds since 1970. The authority is who decides; this is for the words when the account is gone. */
  readonly expires: number;
  readonly trusted: TokenTrust;
}

/** The token as text, without blanks. Throws RangeError for what no token can hold. */
export function encodeToken(token: JoinToken): string {
  const { tls, host, port } = splitService(token.service);
  const family = isIP(host);
  const form = family === 4 ? 1 : family === 6 ? 2 : HOST_NAME;
  const flags = CA_KINDS.indexOf(token.trusted.kind) | (tls ? 0 : STARTTLS) | (form << HOST_SHIFT);
  const body = Buffer.concat([
    u8(flags),
    u32(token.expires),
    token.authorityKey,
    token.secret,
    form === HOST_NAME ? short(host) : parseAddress(host),
    u16(port),
    // Where the host is the domain, as it mostly is for a name.
    short(token.domain === host ? '' : token.domain),
    trustBytes(token.trusted),
  ]);
  return PREFIX + Buffer.concat([body, sha256(body).subarray(0, CHECK_BYTES)]).toString('base64url');
}

/** Blanks and line breaks, as terminals put them into a long line, do not count. Throws DecodeError, which quotes nothing of it. */
export function decodeToken(input: string): JoinToken {
  if (input.length > TOKEN_MAX_CHARACTERS) throw new DecodeError('it is too long for a join token');
  const text = input.replace(/\s+/g, '');
  if (!text.startsWith(PREFIX)) {
    throw new DecodeError(
      ANY_VERSION.test(text)
        ? 'it is of another version of Evio'
        : `it is no join token: those begin with "${PREFIX}", as "evio token create" prints them`,
    );
  }
  const bytes = fromBase64Url(text.slice(PREFIX.length));
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECK_BYTES));
  if (!sha256(body).subarray(0, CHECK_BYTES).equals(bytes.subarray(body.length))) throw altered();
  try {
    return readToken(new Reader(body));
  } catch (error) {
    // The check has held: whoever made it speaks another language.
    if (error instanceof DecodeError) throw new DecodeError(`it cannot be read (${error.message})`);
    throw error;
  }
}

const altered = (): DecodeError => new DecodeError('it is altered or cut short: copy the whole line');

function readToken(reader: Reader): JoinToken {
  const flags = reader.u8();
  const kind = CA_KINDS[flags & CA_MASK];
  const form = (flags >> HOST_SHIFT) & 0b11;
  if (kind === undefined || (flags & ~FLAGS_MASK) !== 0) throw new DecodeError(`flags ${flags}`);
  const expires = reader.u32();
  const authorityKey = Buffer.from(reader.take(KEY_BYTES));
  agreementPublicKey(authorityKey);
  const secret = Buffer.from(reader.take(SECRET_BYTES));
  const host = readHost(reader, form);
  const port = reader.u16();
  if (port === 0) throw new DecodeError('port 0');
  const domain = readShort(reader) || host;
  if (domain === '') throw new DecodeError('no domain');
  const trusted = readTrust(reader, kind);
  reader.end();
  const scheme = (flags & STARTTLS) === 0 ? 'xmpps' : 'xmpp';
  const service = `${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  return { service, domain, authorityKey, secret, expires, trusted };
}

function readHost(reader: Reader, form: number): string {
  if (form === HOST_NAME) {
    const name = readShort(reader);
    if (!/^[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?$/.test(name)) throw new DecodeError('a host that is none');
    return name;
  }
  const family = HOST_FAMILIES.get(form);
  if (family === undefined) throw new DecodeError(`a host of form ${form}`);
  return formatAddress(reader.take(family === 4 ? 4 : 16));
}

function readTrust(reader: Reader, kind: TokenTrust['kind']): TokenTrust {
  if (kind === 'public') return { kind };
  if (kind === 'fingerprint') return { kind, sha256: Buffer.from(reader.take(HASH_BYTES)) };
  const count = reader.u8();
  if (count === 0 || count > CERTIFICATES_MAX) throw new DecodeError(`${count} certificates`);
  const certificates = Array.from({ length: count }, () => Buffer.from(reader.take(reader.u16())));
  for (const certificate of certificates) pemOf(certificate);
  return { kind, certificates };
}

function trustBytes(trusted: TokenTrust): Buffer {
  if (trusted.kind === 'public') return Buffer.alloc(0);
  if (trusted.kind === 'fingerprint') return Buffer.from(trusted.sha256);
  const { certificates } = trusted;
  if (certificates.length === 0 || certificates.length > CERTIFICATES_MAX)
    throw new RangeError(`${certificates.length} certificates; a token holds 1 to ${CERTIFICATES_MAX}`);
  return Buffer.concat([u8(certificates.length), ...certificates.flatMap((one) => [u16(one.length), one])]);
}

/** PEM of a certificate in DER. Throws DecodeError. */
export function pemOf(der: Uint8Array): string {
  try {
    return new X509Certificate(der).toString();
  } catch {
    throw new DecodeError('a certificate that is none');
  }
}

function splitService(service: string): { readonly tls: boolean; readonly host: string; readonly port: number } {
  const [, scheme, v6, name, port] = /^(xmpps?):\/\/(?:\[([^\]]+)\]|([^:]+)):([0-9]+)$/.exec(service) ?? [];
  if (port === undefined) throw new RangeError(`"${service}" is no service like xmpps://HOST:PORT`);
  return { tls: scheme === 'xmpps', host: v6 ?? name ?? '', port: Number(port) };
}

/** At most 255 bytes, with their number before them. */
function short(text: string): Buffer {
  const bytes = Buffer.from(text, 'ascii');
  return Buffer.concat([u8(bytes.length), bytes]);
}

function readShort(reader: Reader): string {
  const text = reader.take(reader.u8()).toString('latin1');
  if (!/^[-.:A-Za-z0-9]*$/.test(text)) throw new DecodeError('a name with other characters');
  return text;
}

/** Node's own decoder skips what it does not know. */
function fromBase64Url(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw altered();
  return bytes;
}

// ---- what follows from the secret ----------------------------------------------------------------------------------

const digest = (what: string, secret: Uint8Array): Buffer => sha256(Buffer.from(`evio/1 ${what}\0`, 'ascii'), secret);

/** What a token is called: 16 hex characters that tell nothing of its secret. */
export const tokenId = (secret: Uint8Array): string => digest('token id', secret).toString('hex', 0, 8);

/** What the authority keeps of it, in hex. The secret has 128 random bits, so that one hash is enough. */
export const tokenHash = (secret: Uint8Array): string => digest('token', secret).toString('hex');

/** Of the one-time account. Accounts of nodes have a dot in their names. */
export const tokenAccountName = (id: string): string => `join-${id}`;

/** The XMPP server learns this password when the account is made, and of the secret nothing. */
export function tokenPassword(secret: Uint8Array): string {
  return hkdf(secret, 'evio/1', Buffer.from('join account', 'ascii'), PASSWORD_BYTES).toString('base64url');
}
