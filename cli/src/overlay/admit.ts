/** What a node gets when it is admitted to an overlay: addresses, a certificate, and its entry in the address book. Pure. */

import type { KeyObject } from 'node:crypto';
import type { NodeFileInput } from '../../../agent/src/config/schema.ts';
import { type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { encodeCertificate } from '../../../agent/src/wire/certificate.ts';
import { nodeIdOf } from '../../../agent/src/wire/ids.ts';
import { macRulesOf } from '../../../agent/src/wire/mac.ts';
import type { Parameters } from '../../../agent/src/wire/parameters.ts';
import { overlaps } from '../../../agent/src/wire/pool.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { Failure, UsageError } from '../failure.ts';
import { type AddressOption, allot, type Wishes } from './allot.ts';
import { type Book, type NodeEntry, nodeOf } from './book.ts';

export interface Admission {
  readonly name: string;
  /** Raw public keys: Ed25519 and X25519. */
  readonly identityKey: Uint8Array;
  readonly sessionKey: Uint8Array;
  readonly wishes: Wishes;
  /** Prefixes behind the node; none: those it has. */
  readonly routes: readonly Prefix[];
  readonly validSeconds: number;
  /** How the command line calls a wish for an address. */
  readonly option?: AddressOption | undefined;
}

export interface Admitted {
  /** Signed. */
  readonly certificate: Buffer;
  readonly entry: NodeEntry;
}

/**
 * A node that is in the book keeps its addresses unless it wishes for others. `now` in seconds since 1970. Throws UsageError or Failure,
 * in one line that says what to give instead.
 */
export function admit(
  book: Book,
  parameters: Parameters,
  authority: KeyObject,
  admission: Admission,
  now: number,
): Admitted {
  const { name, identityKey, sessionKey, wishes, validSeconds, option } = admission;
  const before = nodeOf(book, name);
  const keep =
    before !== undefined &&
    before.state !== 'revoked' &&
    wishes.address4 === undefined &&
    wishes.address6 === undefined;
  const addresses = keep
    ? before.addresses.map(parsePrefix)
    : allot(parameters, wishes, takenAddresses(book, name), option);
  const routes =
    admission.routes.length === 0 && before !== undefined ? before.routes.map(parsePrefix) : admission.routes;
  refuseRoutes(book, name, routes, parameters);
  const serial = BigInt(book.nextSerial);
  const notAfter = now + validSeconds;
  let certificate: Buffer;
  try {
    certificate = encodeCertificate(
      {
        overlayId: parameters.overlayId,
        identityKey,
        sessionKey,
        name,
        addresses,
        routes,
        macs: macRulesOf(addresses, routes, serial),
        serial,
        notBefore: now,
        notAfter,
      },
      authority,
    );
  } catch (error) {
    if (error instanceof DecodeError || error instanceof RangeError) {
      throw new Failure(`cannot make a certificate for ${name}: ${error.message}; give fewer --route`);
    }
    throw error;
  }
  const text = (prefixes: readonly Prefix[]): string[] => prefixes.map((p) => `${p.address}/${p.length}`);
  return {
    certificate,
    entry: {
      id: nodeIdOf(identityKey),
      username: `${name}.${book.name}`,
      addresses: text(addresses),
      routes: text(routes),
      serial: book.nextSerial,
      certificate: certificate.toString('base64'),
      notAfter,
      state: 'enrolled',
    },
  };
}

function takenAddresses(book: Book, except: string): ReadonlySet<string> {
  return new Set(
    Object.entries(book.nodes)
      .filter(([name, node]) => name !== except && node.state !== 'revoked')
      .flatMap(([, node]) => node.addresses.map((a) => a.split('/')[0] as string)),
  );
}

/** Two nodes with one prefix would both answer for it, and a prefix over the subnet would take the nodes' own addresses. */
function refuseRoutes(book: Book, name: string, routes: readonly Prefix[], parameters: Parameters): void {
  const others = Object.entries(book.nodes)
    .filter(([other, node]) => other !== name && node.state !== 'revoked')
    .flatMap(([other, node]) => node.routes.map((route) => ({ whose: `node ${other}`, prefix: parsePrefix(route) })));
  const own = [parameters.subnet4, parameters.subnet6].flatMap((prefix) =>
    prefix === undefined ? [] : [{ whose: 'the overlay', prefix }],
  );
  for (const route of routes) {
    const hit = [...others, ...own].find(({ prefix }) => overlaps(prefix, route));
    if (hit !== undefined) {
      throw new UsageError(
        `--route: ${route.address}/${route.length} overlaps ${hit.prefix.address}/${hit.prefix.length} of ${hit.whose}; give another prefix`,
      );
    }
  }
}

/** The book with this node, and its serial used up. */
export function withNode(book: Book, name: string, entry: NodeEntry): Book {
  const nextSerial = Math.max(book.nextSerial, entry.serial + 1);
  return { ...book, nextSerial, nodes: { ...book.nodes, [name]: entry } };
}

/** What the schema allows. */
export const STUN_MAX = 8;

export interface NodeFileParts {
  readonly name: string;
  /** Signed, in base64. */
  readonly parameters: string;
  readonly revocations: string | undefined;
  readonly certificate: string;
  /** Raw private keys. */
  readonly keys: { readonly seed: Uint8Array; readonly sessionKey: Uint8Array };
  readonly account: {
    readonly service: string;
    readonly domain: string;
    readonly username: string;
    readonly password: string;
    readonly ca?: string | undefined;
    readonly room: string;
  };
  readonly stun: readonly string[];
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** What every node file has; what a person may add to it is not in here. */
export function nodeFileOf({ name, parameters, revocations, certificate, keys, account, stun }: NodeFileParts) {
  const { service, domain, username, password, ca, room } = account;
  return {
    apiVersion: 'evio/1',
    name,
    overlay: { parameters, ...(revocations === undefined ? {} : { revocations }) },
    identity: { key: base64(keys.seed), sessionKey: base64(keys.sessionKey), certificate },
    signalling: { service, domain, username, password, ...(ca === undefined ? {} : { ca }), room },
    ice: { stun: [...new Set(stun)].slice(0, STUN_MAX) },
  } satisfies NodeFileInput;
}
