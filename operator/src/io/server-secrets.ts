/** New secrets of the embedded server: this is where they are drawn. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { DOMAIN, type ServerSecrets } from '../desired/server.ts';
import { authorityCertificate, serverCertificate } from '../desired/x509.ts';

const DAY_SECONDS = 86_400;
const CA_DAYS = 3_650;
/** What browsers call the longest sensible life of a server's certificate. */
const SERVER_DAYS = 825;
/** For nodes whose clock is a little behind. */
const LEEWAY_SECONDS = 3_600;

const secret = (): string => randomBytes(24).toString('base64url');
const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

function lasting(now: number, days: number) {
  // The first bit of a serial is zero, and the number is not (RFC 5280 §4.1.2.2).
  const serial = Buffer.concat([Buffer.of(1), randomBytes(15)]);
  return { serial, notBefore: now - LEEWAY_SECONDS, notAfter: now + days * DAY_SECONDS };
}

/** `now` in seconds since 1970. */
export function newServerSecrets(now: number): ServerSecrets {
  const caKey = newKey();
  const ca = authorityCertificate({ ...lasting(now, CA_DAYS), domain: DOMAIN, key: caKey });
  const base = { adminPassword: secret(), turnSecret: secret(), ca, caKey: pem(caKey) };
  return { ...base, ...newCertificate(caKey, now) };
}

/** Everything else stays, so that no node notices. */
export function renewCertificate(secrets: ServerSecrets, now: number): ServerSecrets {
  return { ...secrets, ...newCertificate(createPrivateKey(secrets.caKey), now) };
}

function newCertificate(caKey: KeyObject, now: number) {
  const key = newKey();
  return {
    certificate: serverCertificate({ ...lasting(now, SERVER_DAYS), domain: DOMAIN, key }, caKey),
    key: pem(key),
  };
}
