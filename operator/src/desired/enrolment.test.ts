import { expect } from 'chai';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { verifyCertificate } from '../../../agent/src/wire/certificate.ts';
import { generatePrivateKey, privateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { encodeParameters, type ParametersFields, verifyParameters } from '../../../agent/src/wire/parameters.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { openCredentials } from '../../../agent/src/wire/sealed-credentials.ts';
import {
  accountOf,
  decideEnrolment,
  type EnrolmentState,
  entryOf,
  isAccountOf,
  keysHashOf,
  makeEnrolment,
  type Overlay,
  passwordOf,
  readKeys,
} from './enrolment.ts';

const AUTHORITY = privateKey('ed25519', Buffer.alloc(32, 7));
const SESSION = privateKey('x25519', Buffer.alloc(32, 9));
const NOW = 1_800_000_000;
const HOUR = 3_600;
const LIFE = 720 * HOUR;

function overlay(change: Partial<ParametersFields> = {}, revocations = ''): Overlay {
  const fields: ParametersFields = {
    name: 'default',
    serial: 1n,
    issued: NOW,
    mtu: 1400,
    ciphers: ['aes-128-gcm'],
    subnet4: parsePrefix('10.45.0.0/16'),
    topology: { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' },
    ...change,
  };
  return { authority: AUTHORITY, parameters: verifyParameters(encodeParameters(fields, AUTHORITY)), revocations };
}

const STATE: EnrolmentState = {
  member: { name: 'edge1', addresses: ['10.45.0.3/16'], podCIDRs: ['10.244.2.0/24'], services: [] },
  keys: {
    identityKey: rawPublicKey(privateKey('ed25519', Buffer.alloc(32, 8))),
    sessionKey: rawPublicKey(SESSION),
  },
  present: undefined,
  issued: undefined,
  uid: 'uid',
  overlay: overlay(),
  place: {
    service: 'xmpps://192.0.2.1:5223',
    domain: 'evio.test',
    conference: 'conference.evio.test',
    ca: 'PEM',
    stun: ['192.0.2.1:3478'],
    turn: 'xep-0215',
    cni: { attachment: 'Routed', podCIDRs: ['10.244.0.0/16'] },
    excludeRoutes: [],
  },
  lifetimeSeconds: LIFE,
};

/** As after an enrolment with this serial. */
function enrolled(state: EnrolmentState = STATE, serial = 5): EnrolmentState {
  return {
    ...state,
    present: makeEnrolment(state, serial, state.overlay.revocations, NOW),
    issued: { ...entryOf(state, NOW), serial },
  };
}

const reason = (state: EnrolmentState, now = NOW): string => {
  const verdict = decideEnrolment(state, now);
  return verdict.kind === 'issue' ? `${verdict.reason}${verdict.admit ? ' and admit' : ''}` : verdict.kind;
};

describe('an enrolment', () => {
  it('is made for the keys, name, addresses and pods of its node, and only the node can read its account', () => {
    const { present } = enrolled();
    const certificate = verifyCertificate(fromBase64(present?.certificate ?? ''), rawPublicKey(AUTHORITY), NOW);
    expect([certificate.name, certificate.serial, certificate.addresses, certificate.routes]).to.deep.equal([
      'edge1',
      5n,
      [parsePrefix('10.45.0.3/16')],
      [parsePrefix('10.244.2.0/24')],
    ]);
    expect(certificate.macs.map((m) => m.mac)).to.deep.equal(['02:45:0a:2d:00:03', '02:46:0a:f4:02:00']);
    expect([certificate.notBefore, certificate.notAfter]).to.deep.equal([NOW, NOW + LIFE]);
    expect([present?.serial, present?.notAfter]).to.deep.equal(['5', '2027-02-14T08:00:00Z']);
    const { overlayId } = STATE.overlay.parameters;
    const sealed = fromBase64(present?.credentials ?? '');
    const recipient = { overlayId, nodeId: certificate.nodeId };
    expect(openCredentials(sealed, recipient, SESSION)).to.deep.equal({
      service: 'xmpps://192.0.2.1:5223',
      domain: 'evio.test',
      username: `edge1.${overlayId.slice(0, 12)}`,
      password: passwordOf(STATE.overlay, certificate.nodeId),
      ca: 'PEM',
      room: `default-${overlayId.slice(0, 12)}@conference.evio.test`,
      stun: ['192.0.2.1:3478'],
      turn: 'xep-0215',
      cni: { attachment: 'Routed', podCIDRs: ['10.244.0.0/16'] },
    });
    expect(() => openCredentials(sealed, recipient, generatePrivateKey('x25519'))).to.throw(DecodeError);
    expect(JSON.stringify(present)).not.to.contain(passwordOf(STATE.overlay, certificate.nodeId));
  });

  it('is kept until half of its life is over, and then renewed without touching the account', () => {
    const state = enrolled();
    expect(decideEnrolment(state, NOW)).to.deep.equal({ kind: 'keep', until: NOW + LIFE / 2 });
    expect(reason(state, NOW + LIFE / 2 - 1)).to.equal('keep');
    expect(reason(state, NOW + LIFE / 2)).to.equal('HalfLifeOver');
    expect(reason(state, NOW + 10 * LIFE)).to.equal('HalfLifeOver');
  });

  it('ends sooner when certificates are to live shorter, and a longer life counts from the next one', () => {
    expect(reason({ ...enrolled(), lifetimeSeconds: 24 * HOUR }, NOW + 12 * HOUR)).to.equal('HalfLifeOver');
    expect(reason({ ...enrolled(), lifetimeSeconds: 24 * HOUR }, NOW + 12 * HOUR - 1)).to.equal('keep');
    expect(reason({ ...enrolled(), lifetimeSeconds: 10 * LIFE }, NOW + LIFE / 2)).to.equal('HalfLifeOver');
  });

  it('is made anew for each reason there is', () => {
    const state = enrolled();
    const other = rawPublicKey(privateKey('ed25519', Buffer.alloc(32, 1)));
    const cases: readonly (readonly [string, EnrolmentState])[] = [
      ['FirstEnrolment and admit', STATE],
      ['NewKeys and admit', { ...state, keys: { ...state.keys, identityKey: other } }],
      [
        'NewKeys and admit',
        { ...state, keys: { ...state.keys, sessionKey: rawPublicKey(privateKey('x25519', Buffer.alloc(32, 2))) } },
      ],
      ['NotInLedger and admit', { ...state, issued: undefined }],
      ['NotInLedger and admit', { ...state, uid: 'made anew' }],
      ['NotInLedger and admit', { ...state, issued: { ...entryOf(state, NOW), serial: 6 } }],
      [
        'OtherAuthority and admit',
        { ...state, overlay: { ...state.overlay, authority: privateKey('ed25519', Buffer.alloc(32, 3)) } },
      ],
      [
        'OtherAuthority and admit',
        { ...state, present: { ...(state.present as NonNullable<typeof state.present>), certificate: 'AAAA' } },
      ],
      ['SignallingChanged and admit', { ...state, place: { ...state.place, ca: 'another' } }],
      ['SignallingChanged and admit', { ...state, place: { ...state.place, stun: [] } }],
      ['SignallingChanged and admit', { ...state, place: { ...state.place, conference: 'rooms.evio.test' } }],
      ['AddressesChanged', { ...state, member: { ...state.member, podCIDRs: ['10.244.2.0/24', 'fd00::/64'] } }],
      ['AddressesChanged', { ...state, member: { ...state.member, services: ['10.96.0.0/12'] } }],
      ['SignallingChanged and admit', { ...state, place: { ...state.place, excludeRoutes: ['10.96.0.0/12'] } }],
      ['AddressesChanged', { ...state, member: { ...state.member, addresses: ['10.45.0.4/16'] } }],
      ['AddressesChanged', { ...state, overlay: overlay({ subnet4: parsePrefix('10.44.0.0/15'), serial: 2n }) }],
      ['ParametersChanged', { ...state, overlay: overlay({ mtu: 1300, serial: 2n }) }],
    ];
    for (const [wanted, changed] of cases) expect(reason(changed), wanted).to.equal(wanted);
  });

  it('never asks for another one right after it was made', () => {
    const grown = {
      ...STATE,
      overlay: overlay({ subnet4: parsePrefix('10.44.0.0/15'), subnet6: parsePrefix('fd45::/64') }),
    };
    for (const state of [
      STATE,
      grown,
      { ...STATE, overlay: overlay({}, 'AAAA') },
      { ...STATE, place: { ...STATE.place, ca: undefined } },
    ])
      expect(reason(enrolled(state))).to.equal('keep');
  });

  it('gets a newer revocation list without a new certificate', () => {
    const state = { ...enrolled(), overlay: overlay({}, 'TElTVA==') };
    const verdict = decideEnrolment(state, NOW);
    expect(verdict.kind === 'spread' && verdict.enrolment).to.deep.equal({ ...state.present, revocations: 'TElTVA==' });
  });

  it('is refused for keys that are none', () => {
    const key = (bytes: number, fill: number): string => Buffer.alloc(bytes, fill).toString('base64');
    const good = { identityKey: key(32, 1), sessionKey: STATE.keys.sessionKey.toString('base64') };
    expect(keysHashOf(readKeys(good))).to.match(/^[0-9a-f]{64}$/);
    for (const bad of [
      { ...good, identityKey: key(31, 1) },
      { ...good, sessionKey: key(33, 1) },
      { ...good, identityKey: '!' },
      // Of low order: whatever is sealed to it could be read by all (RFC 7748 §6.1).
      { ...good, sessionKey: key(32, 0) },
    ])
      expect(() => readKeys(bad), JSON.stringify(bad)).to.throw(DecodeError);
  });
});

describe('the names of accounts', () => {
  it('tell which cluster they are of', () => {
    const { overlayId } = STATE.overlay.parameters;
    expect(isAccountOf(overlayId, accountOf(overlayId, 'edge1'))).to.equal(true);
    expect(isAccountOf(overlayId, accountOf('0'.repeat(32), 'edge1'))).to.equal(false);
    expect(isAccountOf(overlayId, 'admin')).to.equal(false);
  });
});
