import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { expect } from 'chai';
import { authorityCertificate, serverCertificate } from './x509.ts';

const DOMAIN = 'evio.internal';
const NOW = Math.floor(Date.now() / 1000);
const ecKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const validity = { notBefore: NOW - 60, notAfter: NOW + 86_400 };

function pair(domain = DOMAIN, serial: Uint8Array = randomBytes(16)) {
  const [caKey, key] = [ecKey(), ecKey()];
  const ca = authorityCertificate({ ...validity, domain: DOMAIN, key: caKey, serial });
  const server = serverCertificate({ ...validity, domain, key, serial }, caKey);
  return { ca, server, key: key.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

async function greets({ ca, server, key }: ReturnType<typeof pair>, name: string): Promise<string> {
  const listener = createServer({ cert: server, key }, (socket) => socket.end('hello'));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  try {
    const { port } = listener.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, servername: name, ca });
    const [data] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return data.toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    listener.close();
  }
}

describe("the embedded server's certificate", () => {
  it('is taken by who trusts its authority, for its domain and that of its rooms only', async () => {
    const made = pair();
    expect(await greets(made, DOMAIN)).to.equal('hello');
    expect(await greets(made, `conference.${DOMAIN}`)).to.equal('hello');
    expect(await greets(made, 'other.internal')).to.equal('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await greets({ ...made, ca: pair().ca }, DOMAIN)).not.to.equal('hello');
  });

  it('is refused by all for a name that its authority was not made for', async () => {
    expect(await greets(pair('other.internal'), 'other.internal')).not.to.equal('hello');
  });

  it('is taken with each serial that 16 random bytes can be', async () => {
    for (const [begins, hex] of [
      ['00', '01'.repeat(15)],
      ['0000', 'ff'.repeat(14)],
      ['80', '00'.repeat(15)],
      ['00', '00'.repeat(15)],
    ] as const) {
      const made = pair(DOMAIN, Buffer.from(begins + hex, 'hex'));
      expect(await greets(made, DOMAIN), begins + hex).to.equal('hello');
    }
  });

  it('says what it is, and openssl reads and verifies it', () => {
    const { ca, server } = pair();
    const [authority, own] = [new X509Certificate(ca), new X509Certificate(server)];
    expect([authority.ca, own.ca, own.subjectAltName]).to.deep.equal([
      true,
      false,
      `DNS:${DOMAIN}, DNS:conference.${DOMAIN}`,
    ]);
    expect(own.checkIssued(authority) && own.verify(authority.publicKey)).to.equal(true);
    expect(Math.floor(own.validToDate.getTime() / 1000)).to.equal(validity.notAfter);
    const directory = mkdtempSync(join(tmpdir(), 'evio-x509-'));
    try {
      writeFileSync(join(directory, 'ca.crt'), ca);
      writeFileSync(join(directory, 'server.crt'), server);
      const options = [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        DOMAIN,
        '-CAfile',
        'ca.crt',
        'server.crt',
      ];
      expect(execFileSync('openssl', options, { cwd: directory }).toString()).to.equal('server.crt: OK\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('can last beyond 2049, and have a serial that begins with a high bit', () => {
    const key = ecKey();
    const serial = Buffer.alloc(16, 0xff);
    const notAfter = Date.UTC(2060, 0, 1) / 1000;
    const read = new X509Certificate(authorityCertificate({ notBefore: NOW, notAfter, domain: DOMAIN, key, serial }));
    expect([read.validToDate.getUTCFullYear(), read.serialNumber]).to.deep.equal([2060, 'FF'.repeat(16)]);
  });
});
