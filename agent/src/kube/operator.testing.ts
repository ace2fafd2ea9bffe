/** The operator's part for tests: an authority that enrols the keys a node has told. */
import type { EvioNode } from '../../../crds/src/evio-node.ts';
import { parsePrefix } from '../wire/address.ts';
import { encodeCertificate } from '../wire/certificate.ts';
import { nodeIdOf } from '../wire/ids.ts';
import { privateKey } from '../wire/keys.ts';
import { macRulesOf } from '../wire/mac.ts';
import { encodeParameters, type Parameters, verifyParameters } from '../wire/parameters.ts';
import { encodeRevocations, type Revocation } from '../wire/revocations.ts';
import { type Credentials, sealCredentials } from '../wire/sealed-credentials.ts';
import { keysHash, type PublicKeys } from './enrolment.ts';

export interface Membership {
  readonly name: string;
  readonly serial: number;
  readonly keys: PublicKeys;
  readonly credentials: Credentials;
  readonly addresses?: readonly string[];
  /** Empty: HostNetwork. */
  readonly podCIDRs?: readonly string[];
  readonly revoked?: readonly Revocation[];
}

export class TestOperator {
  readonly #authority;
  readonly parameters: Parameters;

  constructor(seed = 1, name = 'default') {
    this.#authority = privateKey('ed25519', Buffer.alloc(32, seed));
    const bytes = encodeParameters(
      {
        name,
        serial: 1n,
        issued: 1_790_000_000,
        mtu: 1400,
        ciphers: ['aes-128-gcm', 'chacha20-poly1305'],
        subnet4: parsePrefix('10.45.0.0/16'),
        topology: { successors: 2, longDistance: 'auto', onDemand: 4, fullMesh: 'auto' },
      },
      this.#authority,
    );
    this.parameters = verifyParameters(bytes);
  }

  certificate(member: Membership): Buffer {
    const { name, serial, keys, addresses = ['10.45.0.3/16'], podCIDRs = ['10.244.3.0/24'] } = member;
    const [prefixes, routes] = [addresses.map(parsePrefix), podCIDRs.map(parsePrefix)];
    const notBefore = Math.floor(Date.now() / 1000) - 60;
    return encodeCertificate(
      {
        overlayId: this.parameters.overlayId,
        identityKey: Buffer.from(keys.identityKey, 'base64'),
        sessionKey: Buffer.from(keys.sessionKey, 'base64'),
        name,
        addresses: prefixes,
        routes,
        macs: macRulesOf(prefixes, routes, BigInt(serial)),
        serial: BigInt(serial),
        notBefore,
        notAfter: notBefore + 30 * 86_400,
      },
      this.#authority,
    );
  }

  spec(member: Membership): EvioNode['spec'] {
    const { keys, serial, credentials, revoked, addresses = ['10.45.0.3/16'], podCIDRs = ['10.244.3.0/24'] } = member;
    const nodeId = nodeIdOf(Buffer.from(keys.identityKey, 'base64'));
    const { overlayId } = this.parameters;
    const sealed = sealCredentials(credentials, { overlayId, nodeId }, Buffer.from(keys.sessionKey, 'base64'));
    const list =
      revoked && encodeRevocations({ serial: BigInt(serial), issued: 1_790_000_000, revoked }, this.#authority);
    return {
      network: 'default',
      memberName: member.name,
      addresses: [...addresses],
      podCIDRs: [...podCIDRs],
      enrolment: {
        overlayParameters: this.parameters.bytes.toString('base64'),
        certificate: this.certificate(member).toString('base64'),
        ...(list === undefined ? {} : { revocations: list.toString('base64') }),
        serial: String(serial),
        notAfter: '2030-01-01T00:00:00Z',
        credentials: sealed.toString('base64'),
        keysHash: keysHash(keys),
      },
    };
  }

  node(member: Membership): EvioNode {
    return { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNode', metadata: { name: 'n' }, spec: this.spec(member) };
  }
}
