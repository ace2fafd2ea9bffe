/** The server's TLS certificate: brought by the administrator, or signed by an authority made here for this domain alone. */

import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { Failure, UsageError } from '../failure.ts';
import { mustRun } from '../process.ts';
import { newDirectory } from './layout.ts';
import { conferenceOf } from './settings.ts';

const CA_DAYS = 3650;
/** What browsers call the longest sensible life of a server's certificate; `evio server init` makes a new one each time. */
const SERVER_DAYS = 825;

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** PEM of our own authority; undefined when the certificate was brought. */
  readonly ca: string | undefined;
}

/**
 * Critical name constraints (RFC 5280 §4.2.1.10): the authority is worth nothing for any other name, should its key be lost.
 */
function opensslConfig(domain: string): string {
  return `[req]
distinguished_name = name
prompt = no
[name]
CN = Evio server authority
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:${domain}
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:${domain}, DNS:${conferenceOf(domain)}
`;
}

const openssl = (what: string, args: readonly string[], cwd: string): Promise<string> =>
  mustRun(what, 'openssl', args, { cwd, missing: 'run: apt-get install openssl' });

const NEW_KEY = ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out'];

/** Makes what is missing in `dir` (0700): the authority once, the server's certificate anew. */
export async function makeTls(dir: string, domain: string): Promise<TlsFiles> {
  newDirectory(dir, 0o700);
  const file = (name: string): string => join(dir, name);
  writeFileSync(file('openssl.cnf'), opensslConfig(domain));
  try {
    if (!existsSync(file('ca.key')) || !existsSync(file('ca.crt'))) {
      await openssl('cannot make the authority', [...NEW_KEY, 'ca.key'], dir);
      chmodSync(file('ca.key'), 0o600);
      await openssl(
        'cannot make the authority',
        [
          'req',
          '-x509',
          '-new',
          '-sha256',
          '-key',
          'ca.key',
          '-days',
          String(CA_DAYS),
          '-config',
          'openssl.cnf',
          '-extensions',
          'ca',
          '-out',
          'ca.crt',
        ],
        dir,
      );
    }
    await openssl('cannot make the server certificate', [...NEW_KEY, 'server.key'], dir);
    chmodSync(file('server.key'), 0o600);
    await openssl(
      'cannot make the server certificate',
      [
        'req',
        '-new',
        '-sha256',
        '-key',
        'server.key',
        '-subj',
        `/CN=${domain.slice(0, 64)}`,
        '-config',
        'openssl.cnf',
        '-out',
        'server.csr',
      ],
      dir,
    );
    await openssl(
      'cannot make the server certificate',
      [
        'x509',
        '-req',
        '-sha256',
        '-in',
        'server.csr',
        '-CA',
        'ca.crt',
        '-CAkey',
        'ca.key',
        '-set_serial',
        `0x${serial()}`,
        '-days',
        String(SERVER_DAYS),
        '-extfile',
        'openssl.cnf',
        '-extensions',
        'server',
        '-out',
        'server.crt',
      ],
      dir,
    );
    // The server shows its authority as well: a join token then names it by its hash, and is short.
    appendFileSync(file('server.crt'), readFileSync(file('ca.crt')));
  } finally {
    rmSync(file('openssl.cnf'), { force: true });
    rmSync(file('server.csr'), { force: true });
  }
  return { certificate: file('server.crt'), key: file('server.key'), ca: readFileSync(file('ca.crt'), 'utf8') };
}

/** 20 octets at most, positive (RFC 5280 §4.1.2.2). */
const serial = (): string =>
  randomBytes(16)
    .toString('hex')
    .replace(/^[0-9a-f]/, '7');

/** A certificate that was brought: the key must be its own, and it must be for the domain. */
export function takeTls(certificate: string, key: string, domain: string): TlsFiles {
  const read = (option: string, path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new UsageError(`${option}: cannot read ${path}: ${systemReason(error)}`);
    }
  };
  const pem = read('--cert', certificate);
  const keyPem = read('--key', key);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(pem);
  } catch {
    throw new UsageError(`--cert: ${certificate} is no PEM certificate`);
  }
  let fits = false;
  try {
    fits = leaf.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // Said below: a key that cannot be read does not fit either.
  }
  if (!fits) throw new UsageError(`--key: ${key} is not the private key of ${certificate}`);
  if (leaf.checkHost(domain) === undefined) {
    throw new UsageError(
      `--cert: ${certificate} is for ${leaf.subjectAltName ?? leaf.subject}; it must be for ${domain}`,
    );
  }
  if (Date.parse(leaf.validTo) < Date.now()) throw new Failure(`--cert: ${certificate} expired on ${leaf.validTo}`);
  return { certificate, key, ca: undefined };
}
