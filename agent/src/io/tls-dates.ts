/**
 * A server's certificate whose only fault is its dates, on a machine whose clock may be wrong (docs/wire.md §9). OpenSSL tells one
 * fault of several, so all the others are looked at here again; the handshake has shown that the server has the key.
 */
import { X509Certificate } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';

/** id-kp-serverAuth (RFC 5280 §4.2.1.12). */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/**
 * Whether a certificate signed directly by one of `authorities` (PEM) is for `domain`, and has not ended at `time` (seconds since
 * 1970; undefined: nobody knows). Its beginning counts as a signed time, so it is never in the future.
 */
export function holdsButForDates(
  leaf: X509Certificate,
  authorities: string,
  domain: string,
  time: number | undefined,
): boolean {
  const issuer = certificatesIn(authorities).find(
    (authority) => authority.ca && leaf.checkIssued(authority) && leaf.verify(authority.publicKey),
  );
  if (issuer === undefined || leaf.ca) return false;
  const purposes: readonly string[] | undefined = leaf.keyUsage;
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH)) return false;
  if (checkServerIdentity(domain, leaf.toLegacyObject()) !== undefined) return false;
  return time === undefined || [leaf, issuer].every(({ validTo }) => Date.parse(validTo) >= time * 1000);
}

function certificatesIn(pem: string): readonly X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((one) => new X509Certificate(one));
}
