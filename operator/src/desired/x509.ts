/**
 * The authority of the embedded server and its certificate (RFC 5280), ECDSA P-256 with SHA-256. node:crypto reads certificates and
 * makes none, and the operator's image has no openssl.
 */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** One element of DER (X.690 §8.1). */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(tag), lengthOf(content.length), content]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, ...parts);
const octets = (...parts: readonly Uint8Array[]): Buffer => der(0x04, ...parts);
const bits = (unused: number, value: Uint8Array): Buffer => der(0x03, Buffer.of(unused), value);
const TRUE = der(0x01, Buffer.of(0xff));
const FALSE_BY_DEFAULT = Buffer.alloc(0);

/** A positive number of any length, in the fewest bytes (X.690 §8.3.2): OpenSSL refuses a zero too many. */
function integer(value: Uint8Array): Buffer {
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Buffer.of(0) : value.subarray(first);
  return der(0x02, (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = (n: number): number[] => (n < 0x80 ? [n] : [...base128(n >> 7).map((b) => b | 0x80), n & 0x7f]);
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** UTCTime until 2049, then GeneralizedTime (RFC 5280 §4.1.2.5). */
function time(seconds: number): Buffer {
  const digits = new Date(seconds * 1000).toISOString().replace(/[-:T]|\.\d+/g, '');
  return digits < '2050' ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

const commonName = (text: string): Buffer =>
  sequence(set(sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(text.slice(0, 64))))));

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), critical ? TRUE : FALSE_BY_DEFAULT, octets(value));

const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' });

/** Method 1 of RFC 5280 §4.2.1.2: of the bits of the key, which are the last 65 bytes of a P-256 key's SPKI. */
const keyId = (key: KeyObject): Buffer => createHash('sha1').update(spkiOf(key).subarray(-65)).digest();

const dnsName = (name: string): Buffer => der(0x82, Buffer.from(name, 'ascii'));

export interface Validity {
  /** Seconds since 1970, like `notAfter`. */
  readonly notBefore: number;
  readonly notAfter: number;
}

interface Parts extends Validity {
  readonly serial: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly extensions: readonly Uint8Array[];
}

function certificate(parts: Parts, signer: KeyObject): string {
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(parts.serial),
    ECDSA_SHA256,
    commonName(parts.issuer),
    sequence(time(parts.notBefore), time(parts.notAfter)),
    commonName(parts.subject),
    spkiOf(parts.key),
    der(0xa3, sequence(...parts.extensions)),
  );
  const signed = sequence(body, ECDSA_SHA256, bits(0, sign('sha256', body, signer)));
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const AUTHORITY_NAME = 'Evio server authority';

export interface NewCertificate extends Validity {
  /** The XMPP domain. */
  readonly domain: string;
  /** A P-256 key. */
  readonly key: KeyObject;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
}

/** Name constraints (§4.2.1.10): the authority is worth nothing for any other name, should its key be lost. */
export function authorityCertificate({ domain, key, ...rest }: NewCertificate): string {
  const extensions = [
    extension('2.5.29.19', true, sequence(TRUE, integer(Buffer.of(0)))),
    // keyCertSign and cRLSign.
    extension('2.5.29.15', true, bits(1, Buffer.of(0x06))),
    extension('2.5.29.14', false, octets(keyId(key))),
    extension('2.5.29.30', true, sequence(der(0xa0, sequence(dnsName(domain))))),
  ];
  return certificate({ ...rest, issuer: AUTHORITY_NAME, subject: AUTHORITY_NAME, key, extensions }, key);
}

/** For the domain and the domain of its rooms. */
export function serverCertificate({ domain, key, ...rest }: NewCertificate, authority: KeyObject): string {
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    // digitalSignature.
    extension('2.5.29.15', true, bits(7, Buffer.of(0x80))),
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.14', false, octets(keyId(key))),
    extension('2.5.29.35', false, sequence(der(0x80, keyId(authority)))),
    extension('2.5.29.17', false, sequence(dnsName(domain), dnsName(`conference.${domain}`))),
  ];
  return certificate({ ...rest, issuer: AUTHORITY_NAME, subject: domain, key, extensions }, authority);
}
