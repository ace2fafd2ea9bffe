/**
 * Who belongs to the overlay: certificates the authority signed, that hold now, that are not revoked and that no newer
 * one replaced (docs/wire.md §2).
 */
import type { Instant } from '../machine.ts';
import { type Certificate, isValidAt, parseCertificate, verifyCertificate } from '../wire/certificate.ts';
import type { Hello } from '../wire/hello.ts';
import type { NodeId } from '../wire/ids.ts';
import { DecodeError } from '../wire/reader.ts';
import { isRevoked, type Revocations, verifyRevocations } from '../wire/revocations.ts';
import { Clock } from './clock.ts';

/** An overlay has about 1,000 nodes; certificates beyond this are refused, so that no authority can fill our memory. */
export const MEMBERS_MAX = 4096;

export type Loss = 'expired' | 'revoked' | 'displaced';

/** A genuine certificate that must give way: another one has its address by a higher serial. */
export class AddressTaken extends DecodeError {
  readonly certificate: Certificate;
  readonly address: string;
  readonly owner: Certificate;

  constructor(certificate: Certificate, address: string, owner: Certificate) {
    super(`${address} is claimed with a higher serial by ${owner.name}`);
    this.certificate = certificate;
    this.address = address;
    this.owner = owner;
  }
}

export interface Admission {
  readonly certificate: Certificate;
  /** False for a certificate that we had, or that is older than the one we have. */
  readonly news: boolean;
  /** Members that claimed one of its addresses with a lower serial: they are members no longer. */
  readonly displaced: readonly Certificate[];
  /** An address of our own that it claims, with a serial higher than ours: for the others we are no member any more. */
  readonly ours: string | undefined;
}

export class Membership {
  readonly #authorityKey: Uint8Array;
  #own: Certificate;
  readonly #members = new Map<NodeId, Certificate>();
  readonly #owners = new Map<string, NodeId>();
  /**
   * The highest serial ever taken of a node: when a renewed certificate has expired, the one it replaced is not good again, however
   * long it says it holds.
   */
  readonly #newest = new Map<NodeId, bigint>();
  #revocations: Revocations | undefined;
  /** By which time certificates are judged. */
  readonly clock: Clock;

  constructor(authorityKey: Uint8Array, own: Certificate) {
    this.#authorityKey = authorityKey;
    this.#own = own;
    this.clock = new Clock(own);
  }

  /** Our own certificate was renewed. */
  setOwn(own: Certificate): void {
    this.#own = own;
    this.clock.setOwn(own);
  }

  get revocations(): Revocations | undefined {
    return this.#revocations;
  }

  get size(): number {
    return this.#members.size;
  }

  get(nodeId: NodeId): Certificate | undefined {
    return this.#members.get(nodeId);
  }

  all(): IterableIterator<Certificate> {
    return this.#members.values();
  }

  /** Takes a certificate in, or throws a `DecodeError` that says why not. */
  admit(bytes: Uint8Array, now: Instant): Admission {
    const claimed = parseCertificate(bytes);
    const known = this.#members.get(claimed.nodeId);
    // Nothing changes by it, so its signature need not be looked at: the same certificate comes again and again.
    if (known !== undefined && known.serial >= claimed.serial)
      return { certificate: known, news: false, displaced: [], ours: undefined };
    if ((this.#newest.get(claimed.nodeId) ?? 0n) > claimed.serial)
      throw new DecodeError('a certificate that was replaced by a newer one');
    const certificate = this.#verified(bytes, now);
    const ours = this.#claimed(certificate);
    const displaced = this.#claims(certificate);
    for (const { nodeId } of displaced) this.remove(nodeId);
    if (known !== undefined) this.remove(known.nodeId);
    if (this.#members.size >= MEMBERS_MAX) throw new DecodeError(`more than ${MEMBERS_MAX} members`);
    this.#members.set(certificate.nodeId, certificate);
    this.#newest.set(certificate.nodeId, certificate.serial);
    for (const { address } of certificate.addresses) this.#owners.set(address, certificate.nodeId);
    return { certificate, news: true, displaced, ours };
  }

  #verified(bytes: Uint8Array, now: Instant): Certificate {
    const certificate = verifyCertificate(bytes, this.#authorityKey);
    this.clock.observe(certificate.notBefore);
    if (!isValidAt(certificate, this.clock.seconds(now))) throw new DecodeError('a certificate that does not hold now');
    if (isRevoked(this.#revocations, certificate.nodeId, certificate.serial))
      throw new DecodeError('a certificate that was revoked');
    return certificate;
  }

  /** An address of ours that a newer certificate claims; throws when ours is the newer one. */
  #claimed(certificate: Certificate): string | undefined {
    const own = this.#own;
    const address = certificate.addresses.find((a) => own.addresses.some((b) => a.address === b.address))?.address;
    if (address !== undefined && own.serial >= certificate.serial) throw new AddressTaken(certificate, address, own);
    return address;
  }

  /** Those who must give way to this certificate; throws when it must give way itself. */
  #claims(certificate: Certificate): readonly Certificate[] {
    const others = new Set<Certificate>();
    for (const { address } of certificate.addresses) {
      const owner = this.#members.get(this.#owners.get(address) ?? '');
      if (owner === undefined || owner.nodeId === certificate.nodeId) continue;
      if (owner.serial >= certificate.serial) throw new AddressTaken(certificate, address, owner);
      others.add(owner);
    }
    return [...others];
  }

  /**
   * What a hello says the time is. Only a clock that cannot be right is compared with it, and only a member whose certificate
   * holds by its own word is heard.
   */
  hearTime({ certificate: claimed, time }: Hello, now: Instant): boolean {
    if (time === undefined || this.clock.own(now) !== undefined) return false;
    const certificate = verifyCertificate(claimed.bytes, this.#authorityKey, time);
    if (isRevoked(this.#revocations, certificate.nodeId, certificate.serial)) return false;
    this.clock.observe(certificate.notBefore);
    this.clock.hear(certificate.nodeId, time, now);
    return true;
  }

  remove(nodeId: NodeId): void {
    const certificate = this.#members.get(nodeId);
    if (certificate === undefined) return;
    this.#members.delete(nodeId);
    for (const { address } of certificate.addresses)
      if (this.#owners.get(address) === nodeId) this.#owners.delete(address);
  }

  /** Keeps a list with a higher serial, and gives those who lost their membership by it; undefined for an old list. */
  revoke(bytes: Uint8Array): readonly Certificate[] | undefined {
    const list = verifyRevocations(bytes, this.#authorityKey);
    this.clock.observe(list.issued);
    if (this.#revocations !== undefined && list.serial <= this.#revocations.serial) return undefined;
    this.#revocations = list;
    const gone = [...this.#members.values()].filter((c) => isRevoked(list, c.nodeId, c.serial));
    for (const { nodeId } of gone) this.remove(nodeId);
    return gone;
  }

  /** Removes and names those whose certificate has run out. */
  expire(now: Instant): readonly Certificate[] {
    const seconds = this.clock.seconds(now);
    const gone = [...this.#members.values()].filter((c) => !isValidAt(c, seconds));
    for (const { nodeId } of gone) this.remove(nodeId);
    return gone;
  }
}
