/** `evio overlay create` and `evio overlay update`. */

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { type LongDistance, parseLongDistance } from '../../../agent/src/long-distance.ts';
import { formatAddress, isNetwork, networkOf, type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { isName } from '../../../agent/src/wire/ids.ts';
import {
  encodeParameters,
  MTU_AUTO,
  MTU_MAX,
  MTU_MIN,
  type Parameters,
  type Topology,
  verifyParameters,
} from '../../../agent/src/wire/parameters.ts';
import { Failure, UsageError } from '../failure.ts';
import { readAdminFile, withAdmin } from './admin.ts';
import { OverlayDirectory, parametersOf } from './book.ts';

export interface CreateOptions {
  readonly name: string;
  readonly dir: string;
  /** Path of the administrator file. */
  readonly server: string;
  readonly subnet4: Prefix | undefined;
  readonly subnet6: Prefix | undefined;
  readonly mtu: number;
  readonly topology: Topology;
}

/** AES first: where a CPU lacks the instructions for it, tincan puts ChaCha20 first in its own list. */
const CIPHERS = ['aes-128-gcm', 'chacha20-poly1305'] as const;

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

export async function createOverlay(
  options: CreateOptions,
): Promise<{ readonly directory: OverlayDirectory; readonly parameters: Parameters; readonly room: string }> {
  if (!isName(options.name)) {
    throw new UsageError(
      `NAME: "${options.name}" is not allowed; allowed: lower-case letters, digits and "-", 1 to 63 of them`,
    );
  }
  if (options.subnet4 === undefined && options.subnet6 === undefined) {
    throw new UsageError('--subnet4 and --subnet6: one of them must be there');
  }
  const admin = readAdminFile(options.server);
  const directory = new OverlayDirectory(options.dir);
  return directory.locked(async () => {
    if (directory.exists()) {
      throw new Failure(
        `${directory.dir} holds overlay ${directory.readBook().name} already; change it with evio overlay update, or give another --dir`,
      );
    }
    const room = `${options.name}@${admin.conference}`;
    // Nothing is written before the server has let us in.
    const key = await withAdmin(admin, async (a) => {
      // A key without an address book is what an interrupted create left: the room may be its own.
      const authority = directory.makeAuthority();
      let made = false;
      try {
        made = await a.createRoom(room);
      } catch (error) {
        if (!authority.found && error instanceof XmppError && error.problem === 'refused') directory.removeAuthority();
        throw error;
      }
      if (made || authority.found) return authority.key;
      directory.removeAuthority();
      throw new Failure(`the server has a room ${room} already, of another overlay of this name; choose another name`);
    });
    const bytes = encodeParameters(
      {
        name: options.name,
        serial: 1n,
        issued: nowSeconds(),
        mtu: options.mtu,
        ciphers: CIPHERS,
        subnet4: options.subnet4,
        subnet6: options.subnet6,
        topology: options.topology,
      },
      key,
    );
    directory.writeBook({
      apiVersion: 'evio-overlay/1',
      name: options.name,
      server: resolve(options.server),
      room,
      parameters: bytes.toString('base64'),
      nextSerial: 1,
      nodes: {},
    });
    return { directory, parameters: verifyParameters(bytes), room };
  });
}

/** New parameters with a higher serial; what is undefined stays. */
export async function updateOverlay(
  dir: string,
  mtu: number | undefined,
  change: Partial<Topology>,
): Promise<Parameters> {
  const directory = new OverlayDirectory(dir);
  return directory.locked(async () => {
    const book = directory.readBook();
    const key = directory.authority();
    const before = parametersOf(book);
    const defined = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const bytes = encodeParameters(
      {
        ...before,
        serial: before.serial + 1n,
        issued: nowSeconds(),
        mtu: mtu ?? before.mtu,
        topology: { ...before.topology, ...defined },
      },
      key,
    );
    directory.writeBook({ ...book, parameters: bytes.toString('base64') });
    return verifyParameters(bytes);
  });
}

/** `none`, or a prefix with room for at least two nodes. */
export function parseSubnet(option: string, text: string, family: 4 | 6): Prefix | undefined {
  if (text === 'none') return undefined;
  if (family === 6 && text === 'auto') return uniqueLocal();
  const example = family === 4 ? '10.45.0.0/16' : 'fd12:3456:789a::/64';
  const refuse = (): never => {
    const auto = family === 6 ? '"auto", ' : '';
    throw new UsageError(`${option}: "${text}" is not allowed; allowed: ${auto}"none", or a subnet like ${example}`);
  };
  let prefix: Prefix;
  try {
    prefix = parsePrefix(text);
  } catch {
    return refuse();
  }
  if (prefix.family !== family || prefix.length < 8 || prefix.length > (family === 4 ? 30 : 126)) return refuse();
  if (!isNetwork(prefix)) {
    const meant = networkOf(prefix);
    throw new UsageError(`${option}: "${text}" has host bits; allowed: ${meant.address}/${meant.length}`);
  }
  return prefix;
}

/** RFC 4193 §3.2: fd, 40 random bits, and subnet 0. */
function uniqueLocal(): Prefix {
  const bytes = Buffer.concat([Buffer.of(0xfd), randomBytes(5), Buffer.alloc(10)]);
  return { family: 6, address: formatAddress(bytes), length: 64 };
}

export function parseMtu(text: string): number {
  if (text === 'auto') return MTU_AUTO;
  const mtu = Number(text);
  if (!/^[0-9]+$/.test(text) || mtu < MTU_MIN || mtu > MTU_MAX) {
    throw new UsageError(
      `--mtu: "${text}" is not allowed; allowed: "auto", or a whole number from ${MTU_MIN} to ${MTU_MAX}`,
    );
  }
  return mtu;
}

export function longDistanceOf(text: string): LongDistance {
  const longDistance = parseLongDistance(text);
  if (longDistance !== undefined) return longDistance;
  throw new UsageError(
    `--long-distance: "${text}" is not allowed; allowed: "auto", a whole number from 0 to 64, or "auto:" and such a number`,
  );
}
