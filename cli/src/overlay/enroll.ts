/** `evio node enroll`: an account, keys, a certificate, and one complete node file. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { shapeOf } from '../../../agent/src/config/leaf.ts';
import { loadNodeConfig } from '../../../agent/src/config/load.ts';
import { isObject } from '../../../agent/src/config/original.ts';
import { ConfigError } from '../../../agent/src/config/problems.ts';
import { type NodeFileInput, nodeFile } from '../../../agent/src/config/schema.ts';
import { accountPassword, admitAccount } from '../../../agent/src/io/xmpp-accounts.ts';
import { contains, isNetwork, type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { isName } from '../../../agent/src/wire/ids.ts';
import { generatePrivateKey, privateKey, rawPrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import type { Parameters } from '../../../agent/src/wire/parameters.ts';
import { Failure, UsageError } from '../failure.ts';
import type { Imported } from '../import/convert.ts';
import { putFile } from '../server/layout.ts';
import { readAdminFile, withAdmin } from './admin.ts';
import { admit, nodeFileOf, withNode } from './admit.ts';
import type { Wishes } from './allot.ts';
import { type NodeEntry, nodeOf, OverlayDirectory, parametersOf } from './book.ts';
import { nowSeconds } from './create.ts';
import { serviceFor } from './old-service.ts';
import { addRevocation } from './revoke.ts';

export interface EnrollOptions {
  readonly name: string;
  readonly dir: string;
  readonly out: string;
  readonly wishes: Wishes;
  readonly routes: readonly Prefix[];
  readonly validSeconds: number;
  /** A new certificate for a node that is enrolled; its keys come from the file at `out`. */
  readonly renew: boolean;
  /** What an old configuration of EdgeVPN.io says of this node; what `wishes` says comes first. */
  readonly from?: Imported | undefined;
  /** With `renew`: new keys, because the node's file is lost. The node gets a new id. */
  readonly newKeys: boolean;
}

export interface Enrolled {
  readonly name: string;
  readonly id: string;
  readonly addresses: readonly string[];
  readonly file: string;
  readonly validUntil: string;
  /** Lines for who enrols: what of the old configuration could not be taken. */
  readonly told: readonly string[];
}

/** What is the node's own, and stays when its certificate is renewed. */
interface Keys {
  readonly seed: Buffer;
  readonly sessionKey: Buffer;
}

export async function enroll(options: EnrollOptions): Promise<Enrolled> {
  if (!isName(options.name)) {
    throw new UsageError(
      `NAME: "${options.name}" is not allowed; allowed: lower-case letters, digits and "-", 1 to 63 of them`,
    );
  }
  const directory = new OverlayDirectory(options.dir);
  if (!directory.exists()) directory.readBook();
  return directory.locked(async () => {
    const book = directory.readBook();
    const admin = readAdminFile(book.server);
    const before = nodeOf(book, options.name);
    refuseWrongCall(options, before);
    const parameters = parametersOf(book);
    const kept = before?.state === 'enrolled' && !options.newKeys ? presentKeys(options, before) : undefined;
    const keys = kept ?? newKeys();
    const wishes = wishesOf(options, parameters, before);
    const made = admit(
      book,
      parameters,
      directory.authority(),
      {
        name: options.name,
        identityKey: rawPublicKey(privateKey('ed25519', keys.seed)),
        sessionKey: rawPublicKey(privateKey('x25519', keys.sessionKey)),
        wishes,
        routes: options.routes,
        validSeconds: options.validSeconds,
      },
      nowSeconds(),
    );

    // The book first: a serial or an address that is lost costs nothing, one that is given twice does harm.
    directory.writeBook(
      withNode(book, options.name, { ...made.entry, state: before?.state === 'enrolled' ? 'enrolled' : 'pending' }),
    );
    if (before?.state === 'enrolled' && options.newKeys) addRevocation(directory, directory.authority(), before);
    const { id, username } = made.entry;
    const password = accountPassword(directory.authority(), id);
    await withAdmin(admin, (a) => admitAccount(a, book.room, username, password));
    const account = { username, password, domain: admin.domain, ca: admin.ca };
    const { service, told } = await serviceFor(admin.service, account, options.from);
    const file: NodeFileInput = {
      ...nodeFileOf({
        name: options.name,
        parameters: book.parameters,
        revocations: directory.readRevocations(),
        certificate: made.certificate.toString('base64'),
        keys,
        account: { ...account, service, room: book.room },
        stun: [...admin.stun, ...(options.from?.file.ice?.stun ?? [])],
      }),
      ...(options.renew ? ownSections(options.out) : {}),
      ...importedSections(options.from),
    };
    putFile(options.out, `${JSON.stringify(file, null, 2)}\n`, 0o600);
    directory.writeBook(withNode(book, options.name, made.entry));
    return {
      name: options.name,
      id,
      addresses: made.entry.addresses,
      file: resolve(options.out),
      validUntil: new Date(made.entry.notAfter * 1000).toISOString(),
      told,
    };
  });
}

/** The old address, unless another one is wished for, or the node has one already. */
function wishesOf({ wishes, from }: EnrollOptions, { subnet4 }: Parameters, before: NodeEntry | undefined): Wishes {
  const address4 = from?.address4;
  const has = before !== undefined && before.state !== 'revoked';
  if (address4 === undefined || wishes.address4 !== undefined || has) return wishes;
  if (subnet4 === undefined || !contains(subnet4, address4)) {
    const subnet = from?.subnet4 === undefined ? '' : `, or make the overlay with --subnet4 ${from.subnet4}`;
    const present = subnet4 === undefined ? 'the overlay has no IPv4' : `outside ${subnet4.address}/${subnet4.length}`;
    throw new UsageError(`--from: the old address ${address4} cannot be kept (${present}); give --address4${subnet}`);
  }
  return { ...wishes, address4 };
}

/** Made anew with every certificate. */
const MADE: ReadonlySet<string> = new Set(['apiVersion', 'name', 'overlay', 'identity', 'signalling', 'ice']);

/**
 * The parts of a node file that a person may have changed by hand: a new certificate must not undo that. With --new-keys the
 * present file may be lost or damaged, so only what is right is kept.
 */
function ownSections(file: string): Partial<NodeFileInput> {
  let present: unknown;
  try {
    present = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
  const shape = shapeOf(nodeFile) ?? {};
  const own = Object.entries(shape).filter(
    ([key, schema]) =>
      !MADE.has(key) && isObject(present) && Object.hasOwn(present, key) && schema.safeParse(present[key]).success,
  );
  return Object.fromEntries(own.map(([key]) => [key, Reflect.get(present as object, key)]));
}

function importedSections(from: Imported | undefined): Partial<NodeFileInput> {
  return Object.fromEntries(Object.entries(from?.file ?? {}).filter(([key]) => !MADE.has(key)));
}

function refuseWrongCall(options: EnrollOptions, before: NodeEntry | undefined): void {
  if (options.renew && before?.state !== 'enrolled') {
    throw new Failure(`node ${options.name} is not enrolled; leave out --renew`);
  }
  if (!options.renew && before?.state === 'enrolled') {
    throw new Failure(
      `node ${options.name} is enrolled already (id ${before.id}); use --renew for a new certificate, or evio overlay revoke ${options.name}`,
    );
  }
  if (!options.renew && existsSync(options.out)) {
    throw new Failure(`${options.out} is there already and may hold another node's keys; give another --out`);
  }
}

/** The keys in the node's present file: a renewed certificate is for the same node. */
function presentKeys(options: EnrollOptions, before: NodeEntry): Keys {
  if (!existsSync(options.out)) {
    throw new Failure(
      `--renew keeps the keys in the node's file, and there is no ${options.out}; give --out, or --new-keys if the file is lost`,
    );
  }
  try {
    const { identity } = loadNodeConfig(options.out, { expired: true });
    if (identity.certificate.nodeId !== before.id) {
      throw new Failure(
        `${options.out} is the file of another node (id ${identity.certificate.nodeId}); ${options.name} has id ${before.id}`,
      );
    }
    return {
      seed: Buffer.from(identity.seed.reveal()),
      sessionKey: Buffer.from(identity.sessionKey.reveal()),
    };
  } catch (error) {
    if (error instanceof ConfigError) throw new Failure(error.message);
    throw error;
  }
}

function newKeys(): Keys {
  return {
    seed: rawPrivateKey(generatePrivateKey('ed25519')),
    sessionKey: rawPrivateKey(generatePrivateKey('x25519')),
  };
}

export function parseRoute(text: string): Prefix {
  try {
    const prefix = parsePrefix(text);
    if (isNetwork(prefix)) return prefix;
  } catch {
    // Said below.
  }
  throw new UsageError(`--route: "${text}" is not allowed; allowed: a prefix without host bits, like 10.244.3.0/24`);
}
