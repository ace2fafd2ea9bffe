import { expect } from 'chai';
import fc from 'fast-check';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { privateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { isRevoked, verifyRevocations } from '../../../agent/src/wire/revocations.ts';
import {
  EMPTY_LEDGER,
  type Issued,
  issue,
  type Ledger,
  ownerOf,
  REVOKED_MAX,
  readLedger,
  settle,
  withParameters,
  writeLedger,
} from './ledger.ts';

const KEY = privateKey('ed25519', Buffer.alloc(32, 7));
const NOW = 1_800_000_000;
const DAY = 86_400;

const id = (n: number): string => n.toString(16).padStart(4, '0').repeat(8);
const entry = (n: number, uid = `uid-${n}`): Omit<Issued, 'serial'> => ({
  uid,
  id: id(n),
  notAfter: NOW + 30 * DAY,
  account: `n${n}`,
  sealed: '',
});
const list = (of: Ledger) => verifyRevocations(fromBase64(of.revocations), rawPublicKey(KEY));

const PARAMETERS = {
  name: 'default',
  mtu: 1400,
  ciphers: ['aes-128-gcm', 'chacha20-poly1305'],
  subnet4: parsePrefix('10.45.0.0/16'),
  topology: { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' },
} as const;

describe("the authority's ledger", () => {
  it('gives each certificate a serial of its own, and those ascend', () => {
    const first = issue(EMPTY_LEDGER, 'a', entry(1), 1, KEY, NOW);
    const second = issue(first.ledger, 'b', entry(2), 1, KEY, NOW);
    const again = issue(second.ledger, 'a', entry(1), 1, KEY, NOW);
    expect([first.serial, second.serial, again.serial]).to.deep.equal([1, 2, 3]);
    expect(again.ledger.issued.a?.serial).to.equal(3);
    expect(again.ledger.revocations).to.equal('');
  });

  it('goes on above what is in the cluster when it came from a backup', () => {
    expect(issue({ ...EMPTY_LEDGER, nextSerial: 4 }, 'a', entry(1), 17, KEY, NOW).serial).to.equal(17);
  });

  it('voids the certificates of a node that is gone, or was made anew, and of no other', () => {
    let of = issue(EMPTY_LEDGER, 'a', entry(1), 1, KEY, NOW).ledger;
    of = issue(of, 'b', entry(2), 1, KEY, NOW).ledger;
    of = issue(of, 'c', entry(3), 1, KEY, NOW).ledger;
    const settled = settle(
      of,
      new Map([
        ['a', 'uid-1'],
        ['b', 'another'],
      ]),
      KEY,
      NOW,
    );
    expect(Object.keys(settled.issued)).to.deep.equal(['a']);
    const signed = list(settled);
    expect([isRevoked(signed, id(1), 1n), isRevoked(signed, id(2), 2n), isRevoked(signed, id(3), 3n)]).to.deep.equal([
      false,
      true,
      true,
    ]);
    // The same keys may come again with a fresh certificate.
    expect(isRevoked(signed, id(3), 4n)).to.equal(false);
    expect(settle(settled, new Map([['a', 'uid-1']]), KEY, NOW + 1)).to.equal(settled);
  });

  it('voids the old keys of a node that has new ones', () => {
    const of = issue(EMPTY_LEDGER, 'a', entry(1), 1, KEY, NOW).ledger;
    const next = issue(of, 'a', { ...entry(9), uid: 'uid-1' }, 1, KEY, NOW);
    expect(isRevoked(list(next.ledger), id(1), 1n)).to.equal(true);
    expect(isRevoked(list(next.ledger), id(9), BigInt(next.serial))).to.equal(false);
  });

  it('forgets what has ended by itself, and keeps its list within what a list may be', () => {
    let of = EMPTY_LEDGER;
    for (let n = 1; n <= REVOKED_MAX + 20; n++) {
      of = issue(of, `n${n}`, { ...entry(n), notAfter: NOW + n * DAY }, 1, KEY, NOW).ledger;
    }
    of = settle(of, new Map(), KEY, NOW);
    expect(list(of).revoked).to.have.length(REVOKED_MAX);
    expect(of.revoked.some((r) => r.id === id(1))).to.equal(false);
    const late = issue(of, 'z', { ...entry(4_000), notAfter: NOW + 999 * DAY }, 1, KEY, NOW).ledger;
    const later = settle(late, new Map(), KEY, NOW + 100 * DAY);
    expect(later.revoked.every((r) => r.notAfter >= NOW + 100 * DAY)).to.equal(true);
    expect(later.listSerial).to.be.greaterThan(of.listSerial);
  });

  it('signs parameters anew only when they change, with a higher serial', () => {
    const first = withParameters(EMPTY_LEDGER, PARAMETERS, KEY, NOW);
    expect(withParameters(first, PARAMETERS, KEY, NOW + 999)).to.equal(first);
    const second = withParameters(first, { ...PARAMETERS, mtu: 1300 }, KEY, NOW + 5);
    const [a, b] = [first, second].map((of) => verifyParameters(fromBase64(of.parameters)));
    expect([a?.serial, b?.serial, b?.mtu, b?.issued]).to.deep.equal([1n, 2n, 1300, NOW + 5]);
    expect(withParameters(second, PARAMETERS, KEY, NOW + 6)).not.to.equal(second);
  });

  it('knows whose keys these are, so that no node takes those of another', () => {
    const of = issue(EMPTY_LEDGER, 'a', entry(1), 1, KEY, NOW).ledger;
    expect(ownerOf(of, id(1), 'b')).to.equal('a');
    expect(ownerOf(of, `${id(1).slice(0, 16)}${'f'.repeat(16)}`, 'b')).to.equal('a');
    expect(ownerOf(of, id(1), 'a')).to.equal(undefined);
    expect(ownerOf(of, id(2), 'b')).to.equal(undefined);
  });

  it('can be written and read, and a damaged one is one kind of error', () => {
    const of = issue(EMPTY_LEDGER, 'constructor', entry(1), 1, KEY, NOW).ledger;
    expect(readLedger(writeLedger(of))).to.deep.equal(of);
    for (const bad of ['', '{}', 'null', '[]', '{"version":2}', writeLedger(of).slice(0, -2)])
      expect(() => readLedger(bad), bad).to.throw(DecodeError, 'a ledger');
  });

  it('never gives a serial twice, and nobody who is gone stays valid, whatever happens', () => {
    const step = fc.record({ node: fc.integer({ min: 0, max: 5 }), what: fc.constantFrom('issue', 'new-keys', 'go') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let of = EMPTY_LEDGER;
        const living = new Map<string, string>();
        const serials: number[] = [];
        const ended: { readonly id: string; readonly serial: number }[] = [];
        const keys = new Map<string, number>();
        let next = 10;
        for (const [at, { node, what }] of steps.entries()) {
          const name = `n${node}`;
          const before = of.issued[name];
          if (what === 'go') {
            living.delete(name);
            of = settle(of, living, KEY, NOW + at);
            if (before !== undefined) ended.push(before);
            continue;
          }
          if (what === 'new-keys' || !keys.has(name)) {
            keys.set(name, next++);
            if (before !== undefined) ended.push(before);
          }
          living.set(name, living.get(name) ?? `${name}-${at}`);
          const made = issue(of, name, entry(keys.get(name) as number, living.get(name)), 1, KEY, NOW + at);
          of = made.ledger;
          serials.push(made.serial);
        }
        expect(new Set(serials).size).to.equal(serials.length);
        expect(serials).to.deep.equal([...serials].sort((a, b) => a - b));
        const signed = of.revocations === '' ? undefined : list(of);
        for (const { id: nodeId, serial } of ended) expect(isRevoked(signed, nodeId, BigInt(serial))).to.equal(true);
        for (const { id: nodeId, serial } of Object.values(of.issued))
          expect(isRevoked(signed, nodeId, BigInt(serial))).to.equal(false);
      }),
      { numRuns: 50 },
    );
  });
});
