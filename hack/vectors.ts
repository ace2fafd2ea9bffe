/**
 * test/vectors/hello.json, signal.json, credentials.json, join.json and join-token.json (docs/wire.md §11), the formats tincan does not
 * speak. The other vectors come from `cargo run --example vectors`; seeds are made as there.
 */
import { readFileSync } from 'node:fs';
import { parseEndpoint, parsePrefix } from '../agent/src/wire/address.ts';
import { encodeCertificate } from '../agent/src/wire/certificate.ts';
import { encodeHello } from '../agent/src/wire/hello.ts';
import { nodeIdOf, overlayIdOf } from '../agent/src/wire/ids.ts';
import {
  type AnswerBody,
  NO_SECRET,
  openRequest,
  type RequestBody,
  sealAnswer,
  sealRequest,
} from '../agent/src/wire/join-message.ts';
import {
  encodeToken,
  type JoinToken,
  tokenAccountName,
  tokenHash,
  tokenId,
  tokenPassword,
} from '../agent/src/wire/join-token.ts';
import { privateKey, rawPublicKey, sha256, signWith } from '../agent/src/wire/keys.ts';
import { macRulesOf } from '../agent/src/wire/mac.ts';
import { u64 } from '../agent/src/wire/reader.ts';
import { messageKey, type Pair, sealMessage } from '../agent/src/wire/sealed.ts';
import { type Credentials, sealCredentials } from '../agent/src/wire/sealed-credentials.ts';
import { type ObjectKind, type Tlv, writeObject } from '../agent/src/wire/tlv.ts';

const seed = (name: string): Buffer => sha256(Buffer.from(`evio vector ${name}`));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

interface CertificateVectors {
  readonly authorityKey: string;
  readonly cases: readonly { readonly object: string; readonly overlayId: string }[];
}

const certificates = (): CertificateVectors =>
  JSON.parse(readFileSync(new URL('../test/vectors/certificate.json', import.meta.url), 'utf8'));

/** A node of certificate.json and one boot of it. */
function node(letter: 'a' | 'b') {
  const { cases } = certificates();
  const certificate = Buffer.from(cases[letter === 'a' ? 0 : 1]?.object ?? '', 'hex');
  const identity = privateKey('ed25519', seed(`node ${letter}`));
  const ephemeral = privateKey('x25519', seed(`ephemeral ${letter}`));
  const identityKey = rawPublicKey(identity);
  return {
    certificate,
    identity,
    identityKey,
    nodeId: nodeIdOf(identityKey),
    nonce: seed(`boot ${letter}`).subarray(0, 16),
    ephemeral,
    ephemeralKey: rawPublicKey(ephemeral),
  };
}

const HELLO: ObjectKind = {
  magic: 'EVH1',
  domain: 'evio/1 hello',
  maxBytes: 1 << 16,
  required: [],
  optional: [],
  repeated: [],
};

function bent(object: Buffer, at: number): string {
  const copy = Buffer.from(object);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return hex(copy);
}

export function helloVectors(): string {
  const [a, b] = [node('a'), node('b')];
  const make = (
    name: string,
    n: typeof a,
    letter: string,
    sequence: bigint,
    candidates: readonly string[],
    time?: number,
  ) => ({
    name,
    identitySeed: hex(seed(`node ${letter}`)),
    certificate: hex(n.certificate),
    nodeId: n.nodeId,
    bootNonce: hex(n.nonce),
    ephemeralKey: hex(n.ephemeralKey),
    sequence: sequence.toString(),
    candidates,
    ...(time === undefined ? {} : { time: time.toString() }),
    object: hex(
      encodeHello({ ...n, bootNonce: n.nonce, sequence, candidates: candidates.map(parseEndpoint), time }, n.identity),
    ),
  });
  const first = make('no candidates', a, 'a', 1n, []);
  const object = Buffer.from(first.object, 'hex');

  const tlvs: readonly [Tlv, Tlv, Tlv, Tlv] = [
    { type: 1, value: a.certificate },
    { type: 2, value: a.nonce },
    { type: 3, value: a.ephemeralKey },
    { type: 4, value: u64(1n) },
  ];
  const [certificate, nonce, ephemeral, sequence] = tlvs;
  const signed = (list: readonly Tlv[], kind = HELLO, signer = a.identity) => hex(writeObject(kind, list, signer));
  const candidate = (value: string): Tlv => ({ type: 5, value: Buffer.from(value, 'hex') });
  const unsigned = a.certificate.subarray(0, -64);
  const bySelf = signWith(a.identity, Buffer.concat([Buffer.from('evio/1 certificate\0'), unsigned]));
  const selfSigned = { type: 1, value: Buffer.concat([unsigned, bySelf]) };

  return text({
    description:
      "wire.md §2, hellos, as they stand in presence and, behind EVL1, in a LAN datagram. A case's fields encode to its object; " +
      'the certificates are those of certificate.json and their authority is authorityKey.',
    authorityKey: certificates().authorityKey,
    cases: [
      first,
      make('candidates of both families', a, 'a', 2n, ['192.168.1.7:20001', '[2001:db8::7]:20001']),
      make('IPv6 only', b, 'b', (1n << 64n) - 1n, ['[fd00::2]:65535']),
      make('with the time', a, 'a', 3n, ['192.168.1.7:20001'], 1_790_000_000),
    ],
    refused: [
      { name: 'changed signature', reason: 'signature', input: bent(object, object.length - 1) },
      { name: 'changed sequence', reason: 'signature', input: bent(object, object.length - 65) },
      { name: 'signed by another node', reason: 'signature', input: signed(tlvs, HELLO, b.identity) },
      {
        name: "a certificate's domain",
        reason: 'signature',
        input: signed(tlvs, { ...HELLO, domain: 'evio/1 certificate' }),
      },
      {
        name: 'a certificate by the node itself',
        reason: 'certificate',
        input: signed([selfSigned, nonce, ephemeral, sequence]),
      },
      {
        name: 'a certificate cut short',
        reason: 'certificate',
        input: signed([{ type: 1, value: a.certificate.subarray(0, -1) }, nonce, ephemeral, sequence]),
      },
      { name: 'wrong magic', reason: 'magic', input: signed(tlvs, { ...HELLO, magic: 'EVC1' }) },
      { name: 'no boot nonce', reason: 'missing', input: signed([certificate, ephemeral, sequence]) },
      {
        name: 'a boot nonce of 15 bytes',
        reason: 'length',
        input: signed([certificate, { type: 2, value: a.nonce.subarray(1) }, ephemeral, sequence]),
      },
      {
        name: 'an ephemeral key of 31 bytes',
        reason: 'length',
        input: signed([certificate, nonce, { type: 3, value: a.ephemeralKey.subarray(1) }, sequence]),
      },
      {
        name: 'a sequence of 4 bytes',
        reason: 'length',
        input: signed([certificate, nonce, ephemeral, { type: 4, value: Buffer.alloc(4) }]),
      },
      { name: 'a sequence twice', reason: 'repeated', input: signed([...tlvs, sequence]) },
      { name: 'types out of order', reason: 'order', input: signed([certificate, ephemeral, nonce, sequence]) },
      {
        name: 'an unknown type below 128',
        reason: 'unknown type',
        input: signed([...tlvs, { type: 6, value: Buffer.alloc(1) }]),
      },
      {
        name: 'a time of 4 bytes',
        reason: 'length',
        input: signed([...tlvs, { type: 128, value: Buffer.alloc(4) }]),
      },
      { name: 'a candidate of family 5', reason: 'family', input: signed([...tlvs, candidate('054e21c0a80107')]) },
      {
        name: 'an IPv6 candidate with an IPv4 address',
        reason: 'length',
        input: signed([...tlvs, candidate('064e21c0a80107')]),
      },
      {
        name: 'an IPv4 candidate of 8 bytes',
        reason: 'length',
        input: signed([...tlvs, candidate('044e21c0a8010700')]),
      },
      {
        name: 'longer than 4,096 bytes',
        reason: 'too long',
        input: signed([...tlvs, ...new Array<Tlv>(400).fill(candidate('044e21c0a80107'))]),
      },
      { name: 'trailing byte', reason: 'length', input: `${first.object}00` },
    ],
  });
}

export function signalVectors(): string {
  const nodes = { a: node('a'), b: node('b') };
  const overlayId = certificates().cases[0]?.overlayId ?? '';
  const side = (letter: 'a' | 'b') => ({
    identitySeed: hex(seed(`node ${letter}`)),
    nodeId: nodes[letter].nodeId,
    nonce: hex(nodes[letter].nonce),
    ephemeralSeed: hex(seed(`ephemeral ${letter}`)),
    ephemeralKey: hex(nodes[letter].ephemeralKey),
  });
  const make = (name: string, from: 'a' | 'b', to: 'a' | 'b', counter: bigint, body: string) => {
    const pair: Pair = { overlayId, sender: nodes[from], recipient: nodes[to] };
    const key = messageKey(pair, nodes[from].ephemeral, nodes[to].ephemeralKey);
    const message = sealMessage(pair, key, nodes[from].identity, counter, Buffer.from(body));
    return {
      name,
      overlayId,
      sender: side(from),
      recipient: side(to),
      counter: counter.toString(),
      key: hex(key),
      body: hex(Buffer.from(body)),
      message: hex(message),
    };
  };
  const first = make('the first message', 'a', 'b', 0n, '{"type":"bye","tunnel":"0123456789abcdef"}');
  const back = make('the other direction', 'b', 'a', 7n, '{"type":"udp","udp":["203.0.113.9:20001"]}');
  const message = Buffer.from(first.message, 'hex');
  const [key, body] = [Buffer.from(first.key, 'hex'), Buffer.from(first.body, 'hex')];
  const pair: Pair = { overlayId, sender: nodes.a, recipient: nodes.b };
  const elsewhere: Pair = { ...pair, overlayId: '00'.repeat(16) };
  const header = message.subarray(0, 76);
  const noSignature = message.subarray(0, 76 + 64 + 16 - 1);

  return text({
    description:
      'wire.md §9.2, sealed messages between two boots of the nodes of hello.json. refused: inputs that the recipient of the ' +
      'first case does not take as a message of its sender.',
    cases: [first, back, make('the last counter', 'a', 'b', (1n << 64n) - 1n, '{}')],
    refused: [
      { name: 'wrong magic', reason: 'magic', input: bent(message, 3) },
      { name: 'another sender', reason: 'pair', input: bent(message, 4) },
      { name: 'another recipient', reason: 'pair', input: bent(message, 20) },
      { name: 'another sender nonce', reason: 'pair', input: bent(message, 36) },
      { name: 'another recipient nonce', reason: 'pair', input: bent(message, 52) },
      { name: 'another counter', reason: 'seal', input: bent(message, 75) },
      { name: 'changed ciphertext', reason: 'seal', input: bent(message, 76) },
      { name: 'changed tag', reason: 'seal', input: bent(message, message.length - 1) },
      { name: 'the other direction', reason: 'pair', input: back.message },
      {
        name: "the recipient's own signature",
        reason: 'signature',
        input: hex(sealMessage(pair, key, nodes.b.identity, 0n, body)),
      },
      {
        name: 'a signature for another overlay',
        reason: 'signature',
        input: hex(sealMessage(elsewhere, key, nodes.a.identity, 0n, body)),
      },
      { name: 'no room for a signature', reason: 'cut short', input: hex(noSignature) },
      {
        name: 'a body of 16 KiB and one byte',
        reason: 'too long',
        input: hex(Buffer.concat([header, Buffer.alloc(64 + 16 * 1024 + 1 + 16)])),
      },
      { name: 'trailing byte', reason: 'seal', input: `${first.message}00` },
    ],
  });
}

export function credentialsVectors(): string {
  const overlayId = certificates().cases[0]?.overlayId ?? '';
  const full: Credentials = {
    service: 'xmpps://203.0.113.5:5223',
    domain: 'evio.internal',
    username: 'edge-1.default',
    password: 'correct horse battery staple',
    ca: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
    room: 'default@rooms.evio.internal',
    stun: ['203.0.113.5:3478', '[2001:db8::5]:3478'],
  };
  const { ca: _, ...withoutCa } = full;
  const cni = { attachment: 'Flat', podCIDRs: ['10.244.0.0/16', 'fd00:10:244::/48'] } as const;
  const make = (name: string, letter: 'a' | 'b', credentials: Credentials) => {
    const session = privateKey('x25519', seed(`session ${letter}`));
    const { nodeId, ephemeral } = node(letter);
    const sealed = sealCredentials(credentials, { overlayId, nodeId }, rawPublicKey(session), ephemeral);
    return {
      name,
      overlayId,
      nodeId,
      sessionSeed: hex(seed(`session ${letter}`)),
      sessionKey: hex(rawPublicKey(session)),
      ephemeralSeed: hex(seed(`ephemeral ${letter}`)),
      plaintext: hex(Buffer.from(JSON.stringify(credentials))),
      sealed: hex(sealed),
    };
  };
  const first = make('with an authority and STUN', 'a', full);
  const other = make('for another node, public authorities, no STUN', 'b', { ...withoutCa, stun: [] });
  const sealed = Buffer.from(first.sealed, 'hex');
  const wrong = (credentials: object) => make('', 'a', { ...full, ...credentials } as Credentials).sealed;

  return text({
    description:
      'wire.md §9.4, credentials sealed to the session key of the nodes of hello.json. refused: inputs that the node of the first case ' +
      'does not take.',
    cases: [first, other, make('without TURN, flat pods', 'a', { ...full, turn: 'none', cni })],
    refused: [
      { name: 'wrong magic', reason: 'magic', input: bent(sealed, 3) },
      { name: 'another ephemeral key', reason: 'seal', input: bent(sealed, 4) },
      { name: 'changed ciphertext', reason: 'seal', input: bent(sealed, 36) },
      { name: 'changed tag', reason: 'seal', input: bent(sealed, sealed.length - 1) },
      {
        name: 'an ephemeral key of low order',
        reason: 'key',
        input: hex(Buffer.concat([sealed.subarray(0, 4), Buffer.alloc(32), sealed.subarray(36)])),
      },
      { name: 'for another node', reason: 'seal', input: other.sealed },
      { name: 'a password that is no text', reason: 'plaintext', input: wrong({ password: 7 }) },
      { name: 'no room', reason: 'plaintext', input: wrong({ room: undefined }) },
      { name: 'nine STUN servers', reason: 'plaintext', input: wrong({ stun: new Array(9).fill('203.0.113.5:3478') }) },
      { name: 'another kind of TURN', reason: 'plaintext', input: wrong({ turn: 'always' }) },
      { name: 'an attachment nobody knows', reason: 'plaintext', input: wrong({ cni: { ...cni, attachment: 'x' } }) },
      { name: 'three families', reason: 'plaintext', input: wrong({ cni: { ...cni, podCIDRs: ['a', 'b', 'c'] } }) },
      { name: 'trailing byte', reason: 'seal', input: `${first.sealed}00` },
    ],
  });
}

/** A self-signed P-256 certificate, "CN = Test ca", as openssl makes them. */
const CERTIFICATE = Buffer.from(
  'MIIBeTCCAR+gAwIBAgIUFws+q0jIfY4eTjfb4BAbklupaO4wCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHVGVzdCBjYTAeFw0yNjEx' +
    'MzAxMjE1MjNaFw00NjExMjUxMjE1MjNaMBIxEDAOBgNVBAMMB1Rlc3QgY2EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASeEG1A' +
    'tnvIFXhFudk1NJn/OScyefMup3UspoKfnqmmFOJste1Wf69LuLZ3Ey7BxDFZAb1FF9EU1K/o0AL1j3g/o1MwUTAdBgNVHQ4EFgQU' +
    'aoy0kY6JKay1k9EUUpVGdGyBPoowHwYDVR0jBBgwFoAUaoy0kY6JKay1k9EUUpVGdGyBPoowDwYDVR0TAQH/BAUwAwEB/zAKBggq' +
    'hkjOPQQDAgNIADBFAiBGPV4IVCYJhgmO3Cd2s3r9w3B2n0Q8oTxdGM7+RxsheQIhAON5ma50U3bIWPDrEoZEIOA3x8mkAdEZtb9u' +
    'muElMzGO',
  'base64',
);

export function tokenVectors(): string {
  const authorityKey = rawPublicKey(privateKey('ed25519', seed('authority')));
  const make = (name: string, change: Partial<JoinToken>) => {
    const token: JoinToken = {
      service: 'xmpps://203.0.113.10:5223',
      domain: 'evio.example.org',
      authorityKey,
      secret: seed(`token ${name}`).subarray(0, 16),
      expires: 1_790_000_000,
      trusted: { kind: 'fingerprint', sha256: sha256(CERTIFICATE) },
      ...change,
    };
    const { trusted, secret } = token;
    const id = tokenId(secret);
    return {
      name,
      service: token.service,
      domain: token.domain,
      authorityKey: hex(token.authorityKey),
      secret: hex(secret),
      expires: token.expires,
      trust: trusted.kind,
      certificates: trusted.kind === 'certificates' ? trusted.certificates.map(hex) : [],
      fingerprint: trusted.kind === 'fingerprint' ? hex(trusted.sha256) : '',
      token: encodeToken(token),
      id,
      hash: tokenHash(secret),
      account: tokenAccountName(id),
      password: tokenPassword(secret),
    };
  };
  const first = make('an IPv4 server that shows its authority', {});
  const body = Buffer.from(first.token.slice('evio1.'.length), 'base64url').subarray(0, -4);
  /** With the right check, so that what is inside is looked at. */
  const checked = (bytes: Buffer): string =>
    `evio1.${Buffer.concat([bytes, sha256(bytes).subarray(0, 4)]).toString('base64url')}`;
  const changed = (at: number, value: number): string => {
    const copy = Buffer.from(body);
    copy[at] = value;
    return checked(copy);
  };
  const portAt = 1 + 4 + 32 + 16 + 4;
  return text({
    description: 'wire.md §9.5, join tokens. A case is text both ways. refused: texts that are no token.',
    cases: [
      first,
      make('a name that is the domain, a public authority', {
        service: 'xmpps://evio.example.org:5223',
        trusted: { kind: 'public' },
      }),
      make('IPv6 and STARTTLS', { service: 'xmpp://[2001:db8::10]:5222' }),
      make('a certificate in it', { trusted: { kind: 'certificates', certificates: [CERTIFICATE] } }),
    ],
    refused: [
      {
        name: 'a changed character',
        reason: 'check',
        input: `${first.token.slice(0, -1)}${first.token.endsWith('A') ? 'B' : 'A'}`,
      },
      { name: 'cut short', reason: 'check', input: first.token.slice(0, -8) },
      { name: 'nothing but its beginning', reason: 'check', input: 'evio1.' },
      { name: 'another version', reason: 'version', input: first.token.replace('evio1', 'evio2') },
      { name: 'no prefix', reason: 'prefix', input: first.token.slice('evio1.'.length) },
      { name: 'padding', reason: 'check', input: `${first.token}=` },
      { name: 'a flag that nobody knows', reason: 'flags', input: changed(0, (body[0] ?? 0) | 0x20) },
      { name: 'a fourth kind of trust', reason: 'flags', input: changed(0, (body[0] ?? 0) | 0b11) },
      { name: 'a third family', reason: 'flags', input: changed(0, (body[0] ?? 0) | 0b11000) },
      {
        name: 'an authority key that is none',
        reason: 'key',
        input: checked(Buffer.concat([body.subarray(0, 5), Buffer.alloc(32, 0xff), body.subarray(37)])),
      },
      {
        name: 'port 0',
        reason: 'port',
        input: checked(Buffer.concat([body.subarray(0, portAt), Buffer.alloc(2), body.subarray(portAt + 2)])),
      },
      { name: 'a trailing byte', reason: 'trailing', input: checked(Buffer.concat([body, Buffer.alloc(1)])) },
      {
        name: 'a certificate that is none',
        reason: 'certificate',
        input: encodeToken({
          service: first.service,
          domain: first.domain,
          authorityKey,
          secret: Buffer.alloc(16),
          expires: 0,
          trusted: { kind: 'certificates', certificates: [CERTIFICATE.subarray(0, -1)] },
        }),
      },
    ],
  });
}

export function joinVectors(): string {
  const authority = privateKey('ed25519', seed('authority'));
  const authorityKey = rawPublicKey(authority);
  const make = (
    name: string,
    letter: 'a' | 'b',
    requestBody: RequestBody,
    answerBody: AnswerBody,
    secret: Uint8Array,
  ) => {
    const asked = sealRequest(
      requestBody,
      authorityKey,
      privateKey('ed25519', seed(`node ${letter}`)),
      secret,
      privateKey('x25519', seed(`ephemeral ${letter}`)),
    );
    const answer = sealAnswer(
      answerBody,
      openRequest(asked.bytes, authority),
      authority,
      privateKey('x25519', seed('ephemeral authority')),
    );
    return {
      name,
      authoritySeed: hex(seed('authority')),
      identitySeed: hex(seed(`node ${letter}`)),
      sessionSeed: hex(seed(`session ${letter}`)),
      secret: hex(secret),
      requestEphemeralSeed: hex(seed(`ephemeral ${letter}`)),
      answerEphemeralSeed: hex(seed('ephemeral authority')),
      requestBody: hex(Buffer.from(JSON.stringify(requestBody))),
      request: hex(asked.bytes),
      answerBody: hex(Buffer.from(JSON.stringify(answerBody))),
      answer: hex(answer),
    };
  };
  const publicOf = (curve: 'ed25519' | 'x25519', name: string): string =>
    rawPublicKey(privateKey(curve, seed(name))).toString('base64');
  const secret = seed('token').subarray(0, 16);
  const addresses = [parsePrefix('10.45.0.7/16')];
  const certificate = encodeCertificate(
    {
      overlayId: overlayIdOf(authorityKey),
      identityKey: rawPublicKey(privateKey('ed25519', seed('node a'))),
      sessionKey: rawPublicKey(privateKey('x25519', seed('session a'))),
      name: 'pi1',
      addresses,
      routes: [],
      macs: macRulesOf(addresses, [], 1n),
      serial: 1n,
      notBefore: 1_790_000_000,
      notAfter: 1_790_003_600,
    },
    authority,
  ).toString('base64');
  const joining: RequestBody = {
    type: 'join',
    name: 'pi1',
    identityKey: publicOf('ed25519', 'node a'),
    sessionKey: publicOf('x25519', 'session a'),
    address4: '10.45.0.7',
  };
  const joined: AnswerBody = {
    type: 'joined',
    parameters: 'RVZQMQ==',
    certificate,
    account: {
      service: 'xmpps://203.0.113.10:5223',
      domain: 'evio.example.org',
      username: 'pi1.lab',
      password: 'correct horse battery staple',
      room: 'lab@conference.evio.example.org',
      stun: ['203.0.113.10:3478'],
    },
  };
  const first = make('a machine joins', 'a', joining, joined, secret);
  const refusal: AnswerBody = { type: 'refused', reason: 'token', message: 'the token was used already' };
  const [request, answer] = [Buffer.from(first.request, 'hex'), Buffer.from(first.answer, 'hex')];
  const asking = (body: object): string =>
    hex(
      sealRequest(
        body as RequestBody,
        authorityKey,
        privateKey('ed25519', seed('node a')),
        secret,
        privateKey('x25519', seed('ephemeral a')),
      ).bytes,
    );
  const wrongAnswer = (body: object): string => make('', 'a', joining, body as AnswerBody, secret).answer;
  const lowOrder = (bytes: Buffer): string =>
    hex(Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(32), bytes.subarray(36)]));
  const elsewhere = sealRequest(
    joining,
    rawPublicKey(privateKey('ed25519', seed('node b'))),
    privateKey('ed25519', seed('node a')),
    secret,
    privateKey('x25519', seed('ephemeral a')),
  );
  return text({
    description:
      'wire.md §9.6, requests and answers by the authority of certificate.json. refused: requests that the authority of the ' +
      'first case does not take; refusedAnswers: answers that who asked in it does not take.',
    cases: [
      first,
      make(
        'a machine is refused',
        'b',
        { ...joining, identityKey: publicOf('ed25519', 'node b'), sessionKey: publicOf('x25519', 'session b') },
        refusal,
        secret,
      ),
      make('a node leaves', 'a', { type: 'leave', certificate }, { type: 'left', serial: 3 }, NO_SECRET),
      make(
        'a node renews',
        'a',
        { type: 'renew', certificate, parameters: 1, revocations: 0 },
        { type: 'renewed', certificate, revocations: 'RVZSMQ==' },
        NO_SECRET,
      ),
    ],
    refused: [
      { name: 'wrong magic', reason: 'magic', input: bent(request, 3) },
      { name: 'another ephemeral key', reason: 'seal', input: bent(request, 4) },
      { name: 'changed ciphertext', reason: 'seal', input: bent(request, 36) },
      { name: 'changed tag', reason: 'seal', input: bent(request, request.length - 1) },
      { name: 'an ephemeral key of low order', reason: 'key', input: lowOrder(request) },
      { name: 'to another authority', reason: 'seal', input: hex(elsewhere.bytes) },
      {
        name: 'keys of another node',
        reason: 'signature',
        input: asking({ ...joining, identityKey: publicOf('ed25519', 'node b') }),
      },
      { name: 'prefixes behind the node', reason: 'body', input: asking({ ...joining, routes: ['10.244.0.0/16'] }) },
      { name: 'trailing byte', reason: 'seal', input: `${first.request}00` },
    ],
    refusedAnswers: [
      { name: 'wrong magic', reason: 'magic', input: bent(answer, 3) },
      { name: 'another ephemeral key', reason: 'seal', input: bent(answer, 4) },
      { name: 'changed tag', reason: 'seal', input: bent(answer, answer.length - 1) },
      { name: 'an ephemeral key of low order', reason: 'key', input: lowOrder(answer) },
      { name: 'a reason nobody knows', reason: 'body', input: wrongAnswer({ ...refusal, reason: 'mood' }) },
      { name: 'no account', reason: 'body', input: wrongAnswer({ ...joined, account: undefined }) },
      { name: 'trailing byte', reason: 'seal', input: `${first.answer}00` },
    ],
  });
}
