/**
 * What the authority has signed, kept beside its key in the same Secret: written before what it tells of is handed out, and only if
 * nobody else wrote meanwhile. So a serial never comes twice, and a node that is gone is revoked also by an operator that was not
 * there when it went.
 */
import type { KeyObject } from 'node:crypto';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import type { NodeId } from '../../../agent/src/wire/ids.ts';
import { encodeParameters, type ParametersFields, verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { encodeRevocations } from '../../../agent/src/wire/revocations.ts';

const issued = z.strictObject({
  /** Of the EvioNode: one that was deleted and made anew is another. */
  uid: z.string(),
  id: z.string(),
  serial: z.int().min(1),
  /** Seconds since 1970. */
  notAfter: z.int(),
  /** Name of the XMPP account, without the domain. */
  account: z.string(),
  /** SHA-256 of what was sealed for the node, in hex; it cannot be read back. */
  sealed: z.string(),
});
/** The newest certificate of a node. */
export type Issued = z.infer<typeof issued>;

const revoked = z.strictObject({ id: z.string(), serial: z.int().min(1), notAfter: z.int() });
export type Revoked = z.infer<typeof revoked>;

const ledger = z.strictObject({
  version: z.literal(1),
  nextSerial: z.int().min(1),
  /** Signed, in base64; empty before the first. */
  parameters: z.string(),
  /** The newest certificates, by the Node's name. */
  issued: z.record(z.string(), issued),
  /** Without those that have ended by themselves. */
  revoked: z.array(revoked),
  /** Serial of the newest revocation list; 0 before the first. */
  listSerial: z.int().min(0),
  /** That list, signed, in base64; empty before the first. */
  revocations: z.string(),
});
export type Ledger = z.infer<typeof ledger>;

export const EMPTY_LEDGER: Ledger = {
  version: 1,
  nextSerial: 1,
  parameters: '',
  issued: {},
  revoked: [],
  listSerial: 0,
  revocations: '',
};

/** A list of 4,096 bytes (docs/wire.md §2) has room for so many. */
export const REVOKED_MAX = 140;

/** Throws DecodeError. */
export function readLedger(text: string): Ledger {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DecodeError('a ledger that is no JSON');
  }
  const checked = ledger.safeParse(value);
  if (!checked.success)
    throw new DecodeError(`a ledger without a usable ${checked.error.issues[0]?.path.join('.') || 'content'}`);
  return checked.data;
}

export const writeLedger = (of: Ledger): string => JSON.stringify(of);

/** A node's name may be one that every object knows: `constructor`. */
export function issuedTo({ issued: all }: Ledger, node: string): Issued | undefined {
  return Object.hasOwn(all, node) ? all[node] : undefined;
}

/** The ledger with these parameters, signed anew only where they differ; the ledger itself where they do not. `now` in seconds. */
export function withParameters(
  of: Ledger,
  wanted: Omit<ParametersFields, 'serial' | 'issued'>,
  key: KeyObject,
  now: number,
): Ledger {
  const present = of.parameters === '' ? undefined : verifyParameters(fromBase64(of.parameters));
  const sign = (fields: ParametersFields): Buffer => encodeParameters(fields, key);
  if (
    present !== undefined &&
    sign({ ...wanted, serial: present.serial, issued: present.issued }).equals(present.bytes)
  )
    return of;
  const next = sign({ ...wanted, serial: (present?.serial ?? 0n) + 1n, issued: now });
  return { ...of, parameters: next.toString('base64') };
}

/**
 * Voids what was issued to nodes that are gone (`living`: the uid of each EvioNode that is not being deleted, by name), and forgets
 * what has ended by itself. The ledger itself where nothing changes.
 */
export function settle(of: Ledger, living: ReadonlyMap<string, string>, key: KeyObject, now: number): Ledger {
  const entries = Object.entries(of.issued);
  const stay = entries.filter(([name, { uid }]) => living.get(name) === uid);
  const gone = entries.filter(([name, { uid }]) => living.get(name) !== uid).map(([, entry]) => entry);
  if (gone.length === 0) return of;
  return withRevoked({ ...of, issued: Object.fromEntries(stay) }, gone, key, now);
}

/**
 * Takes the next serial for a node's certificate. `atLeast`: above every serial that is seen in the cluster, for a ledger that was
 * restored from a backup. What was issued for other keys, or to a Node that was deleted since, is voided.
 */
export function issue(
  of: Ledger,
  node: string,
  entry: Omit<Issued, 'serial'>,
  atLeast: number,
  key: KeyObject,
  now: number,
): { readonly ledger: Ledger; readonly serial: number } {
  const serial = Math.max(of.nextSerial, atLeast);
  const before = issuedTo(of, node);
  const next = { ...of, nextSerial: serial + 1, issued: { ...of.issued, [node]: { ...entry, serial } } };
  const replaced = before !== undefined && (before.id !== entry.id || before.uid !== entry.uid);
  return { ledger: replaced ? withRevoked(next, [before], key, now) : next, serial };
}

function withRevoked(of: Ledger, gone: readonly Revoked[], key: KeyObject, now: number): Ledger {
  const highest = new Map<string, Revoked>();
  for (const { id, serial, notAfter } of [...of.revoked, ...gone]) {
    const other = highest.get(id);
    highest.set(id, {
      id,
      serial: Math.max(serial, other?.serial ?? 0),
      notAfter: Math.max(notAfter, other?.notAfter ?? 0),
    });
  }
  const standing = [...highest.values()].filter((r) => r.notAfter >= now);
  // Those that end last stay: the others are harmful for the shortest time.
  const kept = standing.sort((a, b) => b.notAfter - a.notAfter || (a.id < b.id ? -1 : 1)).slice(0, REVOKED_MAX);
  const listSerial = of.listSerial + 1;
  const revocations = encodeRevocations(
    {
      serial: BigInt(listSerial),
      issued: now,
      revoked: kept.map(({ id, serial }) => ({ nodeId: id, serial: BigInt(serial) })),
    },
    key,
  );
  return { ...of, revoked: kept, listSerial, revocations: revocations.toString('base64') };
}

/** Who, other than `node`, has these keys: a certificate for them would void that node's own (docs/wire.md §2, the higher serial wins). */
export function ownerOf(of: Ledger, id: NodeId, node: string): string | undefined {
  // The ring position is the first half of the id: two nodes cannot share that either.
  const label = id.slice(0, 16);
  return Object.entries(of.issued).find(([name, entry]) => name !== node && entry.id.slice(0, 16) === label)?.[0];
}
