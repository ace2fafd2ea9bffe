/** What an authority answers to a node that renews, looked at before it is used. */
import type { NodeConfig } from '../config/node-config.ts';
import { type Certificate, verifyCertificate } from '../wire/certificate.ts';
import type { JoinedAccount, RenewedBody } from '../wire/join-message.ts';
import { type Parameters, verifyParameters } from '../wire/parameters.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { type Revocations, verifyRevocations } from '../wire/revocations.ts';

/** Verified, and each newer than the node's. */
export interface Papers {
  readonly certificate: Certificate | undefined;
  readonly parameters: Parameters | undefined;
  readonly revocations: Revocations | undefined;
  /** Where the XMPP server is, and the node's account there; undefined: as the node has it. */
  readonly account: JoinedAccount | undefined;
  /** Prefixes that the node does not exclude yet (`network.excludeRoutes`). */
  readonly excludeRoutes: readonly string[];
}

/** Throws DecodeError: it is not by the authority, or not for this node and its keys. What is no newer is left out. */
export function papersOf(answer: RenewedBody, config: NodeConfig): Papers {
  const { identity, overlay, network } = config;
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
  if (answer.account !== undefined && answer.account.username !== config.signalling.username)
    throw new DecodeError('an account of another node');
  return {
    certificate: certificate !== undefined && certificate.serial > own.serial ? certificate : undefined,
    parameters: parameters !== undefined && parameters.serial > serial ? parameters : undefined,
    revocations: read(answer.revocations, verifyRevocations),
    account: answer.account === undefined || isOf(answer.account, config) ? undefined : answer.account,
    excludeRoutes: (answer.excludeRoutes ?? []).filter((prefix) => !network.excludeRoutes.includes(prefix)),
  };
}

/** Whether the node file says the same. */
function isOf({ service, domain, password, ca, room, stun }: JoinedAccount, { signalling, ice }: NodeConfig): boolean {
  return (
    service === signalling.service.url &&
    domain === signalling.domain &&
    password === signalling.password.reveal() &&
    ca?.trim() === signalling.ca?.trim() &&
    room === signalling.room &&
    stun.join() === ice.stun.join()
  );
}
