/** Whether the signed objects of a node file belong together, and to the keys beside them. */

import { contains } from '../wire/address.ts';
import { type Certificate, verifyCertificate } from '../wire/certificate.ts';
import { type Curve, privateKey, rawPublicKey } from '../wire/keys.ts';
import { type Parameters, verifyParameters } from '../wire/parameters.ts';
import { DecodeError, fromBase64 } from '../wire/reader.ts';
import { isRevoked, type Revocations, verifyRevocations } from '../wire/revocations.ts';

export interface Claims {
  readonly name: string;
  readonly parameters: string;
  readonly certificate: string;
  readonly revocations: string | undefined;
  /** Empty where the secret itself could not be read: that problem has been told already. */
  readonly seed: Uint8Array;
  readonly sessionKey: Uint8Array;
}

export interface Membership {
  readonly parameters: Parameters;
  readonly certificate: Certificate;
  readonly revocations: Revocations | undefined;
}

const day = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

/** `report` gets each problem; the result is undefined when there was one that leaves nothing to return. */
export function checkMembership(
  claims: Claims,
  nowSeconds: number,
  report: (problem: string) => void,
): Membership | undefined {
  const parameters = attempt('overlay.parameters', report, () => verifyParameters(fromBase64(claims.parameters)));
  if (parameters === undefined) return undefined;
  const certificate = attempt('identity.certificate', report, () =>
    verifyCertificate(fromBase64(claims.certificate), parameters.authorityKey),
  );
  if (certificate === undefined) return undefined;
  if (certificate.name !== claims.name) {
    report(`name: "${claims.name}" is not allowed; allowed: "${certificate.name}", the name in the certificate`);
  }
  checkKey('identity.key', 'ed25519', claims.seed, certificate.identityKey, report);
  checkKey('identity.sessionKey', 'x25519', claims.sessionKey, certificate.sessionKey, report);
  checkAddresses(certificate, parameters, report);
  checkTime(certificate, parameters, nowSeconds, report);
  const list = claims.revocations;
  const revocations =
    list === undefined
      ? undefined
      : attempt('overlay.revocations', report, () => verifyRevocations(fromBase64(list), parameters.authorityKey));
  if (isRevoked(revocations, certificate.nodeId, certificate.serial)) {
    report('identity.certificate: it is revoked by overlay.revocations; enrol the node again (evio node enroll)');
  }
  return { parameters, certificate, revocations };
}

function attempt<T>(key: string, report: (problem: string) => void, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    report(`${key}: ${error.message}; enrol the node again (evio node enroll)`);
    return undefined;
  }
}

function checkKey(
  key: string,
  curve: Curve,
  secret: Uint8Array,
  expected: Uint8Array,
  report: (problem: string) => void,
): void {
  if (secret.length === 0) return;
  if (!rawPublicKey(privateKey(curve, secret)).equals(expected)) {
    report(
      `${key}: the secret (not shown) is not the one the certificate was made for; allowed: the key of the same enrolment`,
    );
  }
}

function checkAddresses(certificate: Certificate, parameters: Parameters, report: (problem: string) => void): void {
  for (const { family, address, length } of certificate.addresses) {
    const subnet = family === 4 ? parameters.subnet4 : parameters.subnet6;
    if (subnet === undefined || subnet.length !== length || !contains(subnet, address)) {
      const allowed =
        subnet === undefined ? `no IPv${family} address` : `an address of ${subnet.address}/${subnet.length}`;
      report(`identity.certificate: its address ${address}/${length} is outside the overlay; allowed: ${allowed}`);
    }
  }
}

/**
 * The clock is never believed below the latest signed time (docs/wire.md §2): a board without a real-time clock starts in
 * 1970, and its certificate is valid all the same.
 */
function checkTime(
  certificate: Certificate,
  parameters: Parameters,
  nowSeconds: number,
  report: (problem: string) => void,
): void {
  const now = Math.max(nowSeconds, parameters.issued, certificate.notBefore);
  if (now > certificate.notAfter) {
    report(
      `identity.certificate: it expired at ${day(certificate.notAfter)} and it is ${day(now)} now; ` +
        `renew it (evio node enroll ${certificate.name} --renew)`,
    );
  }
}
