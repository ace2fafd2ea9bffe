import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { holdsButForDates } from './tls-dates.ts';

describe('a server certificate whose dates do not fit the clock', () => {
  let dir: string;
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });
  const pem = (name: string) => readFileSync(join(dir, `${name}.pem`), 'utf8');
  const leaf = (name: string) => new X509Certificate(pem(name));

  function authority(name: string): void {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '10',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      '/CN=authority',
      '-addext',
      'basicConstraints=critical,CA:true',
    );
  }

  function issue(name: string, by: string, extensions: string): void {
    writeFileSync(join(dir, 'ext'), extensions);
    openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      '/CN=server',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${by}.pem`,
      '-CAkey',
      `${by}.key`,
      '-CAcreateserial',
      '-days',
      '5',
      '-extfile',
      'ext',
      '-out',
      `${name}.pem`,
    );
  }

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-dates-'));
    authority('ours');
    // The same name, another key.
    authority('theirs');
    issue('good', 'ours', 'subjectAltName=DNS:evio.example\nextendedKeyUsage=serverAuth\n');
    issue('foreign', 'theirs', 'subjectAltName=DNS:evio.example\n');
    issue('client', 'ours', 'subjectAltName=DNS:evio.example\nextendedKeyUsage=clientAuth\n');
    issue('issuer', 'ours', 'subjectAltName=DNS:evio.example\nbasicConstraints=CA:true\n');
    issue('leafless', 'good', 'subjectAltName=DNS:evio.example\n');
  });
  after(() => rmSync(dir, { recursive: true }));

  const now = () => Date.now() / 1000;

  it('is taken before its beginning, and where nobody knows the time, if all else is right', () => {
    const ours = pem('ours');
    for (const time of [undefined, 0, now() - 5 * 365 * 86_400, now()])
      expect(holdsButForDates(leaf('good'), ours, 'evio.example', time)).to.equal(true);
    expect(holdsButForDates(leaf('good'), `${pem('theirs')}${ours}`, 'evio.example', undefined)).to.equal(true);
  });

  it('is refused after its end, or its authority’s', () => {
    expect(holdsButForDates(leaf('good'), pem('ours'), 'evio.example', now() + 6 * 86_400)).to.equal(false);
  });

  it('is refused for another name, by another authority, for another purpose, as an authority, or by what is none', () => {
    const taken = (name: string, by: string, domain = 'evio.example') =>
      holdsButForDates(leaf(name), pem(by), domain, undefined);
    expect(taken('good', 'ours', 'other.example')).to.equal(false);
    expect(taken('foreign', 'ours')).to.equal(false);
    expect(taken('client', 'ours')).to.equal(false);
    expect(taken('issuer', 'ours')).to.equal(false);
    expect(taken('leafless', 'ours')).to.equal(false);
    expect(taken('leafless', 'good')).to.equal(false);
  });
});
