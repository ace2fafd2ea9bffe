/** What an authority answers to a node that renews, looked at before it is used. */
import type { NodeConfig } from '../config/node-config.ts';
import { type Certificate, verifyCertificate } from '../wire/certificate.ts';
import type { RenewedBody } from '../wire/join-message.ts';
import { type Parameters, verifyParameters } from '../wire/parameters.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { type Revocations, verifyRevocations } from '../wire/revocations.ts';

/** Verified, and each newer than the node's. */
export interface Papers {
  readonly certificate: Certificate | undefined;
  readonly parameters: Parameters | undefined;
  readonly revocations: Revocations | undefined;
}

/** Throws DecodeError: it is not by the authority, or not for this node and its keys. What is no newer is left out. */
export function papersOf(answer: RenewedBody, { identity, overlay }: NodeConfig): Papers {
  const own = identity.certificate;
  const { authorityKey, serial } = overlay.parameters;
  const read = <T>(text: string | undefined, verify: (bytes: Buffer, key: Uint8Array) => T): T | undefined =>
    text === undefined ? undefined : verify(fromBase64(text), authorityKey);
  const certificate = read(answer.certificate, verifyCertificate);
  const parameters = read(answer.parameters, verifyParameters);
  if (
    certificate !== undefined &&
    (certificate.nodeId !== own.nodeId ||
      certificate.name !== own.name ||
      !Buffer.from(certificate.sessionKey).equals(own.sessionKey))
  )
    throw new DecodeError('a certificate of another node');
  return {
    certificate: certificate !== undefined && certificate.serial > own.serial ? certificate : undefined,
    parameters: parameters !== undefined && parameters.serial > serial ? parameters : undefined,
    revocations: read(answer.revocations, verifyRevocations),
  };
}
