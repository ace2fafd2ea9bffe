/** A certificate authority and server certificates for tests, made by openssl in a directory of the caller. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

const newKey = (file: string): void =>
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);

export class TestAuthority {
  readonly #directory: string;
  /** PEM. */
  readonly certificate: string;

  constructor(directory: string, name = 'ca') {
    this.#directory = directory;
    const [key, crt] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
    newKey(key);
    openssl('req', '-x509', '-new', '-key', key, '-subj', `/CN=Test ${name}`, '-days', '2', '-out', crt);
    this.certificate = readFileSync(crt, 'utf8');
    this.#name = name;
  }

  readonly #name: string;

  /** Files of a key and a certificate for these names or addresses; `expired`: it was valid for one day, years ago. */
  issue(file: string, names: readonly string[], expired = false): { readonly key: string; readonly crt: string } {
    const at = (suffix: string) => join(this.#directory, `${file}.${suffix}`);
    const ca = (suffix: string) => join(this.#directory, `${this.#name}.${suffix}`);
    newKey(at('key'));
    openssl('req', '-new', '-key', at('key'), '-subj', `/CN=${names[0]}`, '-out', at('csr'));
    writeFileSync(at('ext'), `subjectAltName=${names.map((n) => `${isIP(n) === 0 ? 'DNS' : 'IP'}:${n}`).join(',')}\n`);
    if (expired) this.#issueExpired(at, ca);
    else
      openssl(
        ...['x509', '-req', '-in', at('csr'), '-CA', ca('crt'), '-CAkey', ca('key'), '-CAcreateserial'],
        ...['-days', '2', '-extfile', at('ext'), '-out', at('crt')],
      );
    return { key: at('key'), crt: at('crt') };
  }

  /** `openssl x509` of Debian 12 cannot set dates, `openssl ca` can. */
  #issueExpired(at: (suffix: string) => string, ca: (suffix: string) => string): void {
    writeFileSync(at('db'), '');
    writeFileSync(
      at('cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('db')}\nnew_certs_dir=${this.#directory}\nrand_serial=yes\n` +
        'default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n',
    );
    openssl(
      ...['ca', '-batch', '-notext', '-config', at('cnf'), '-in', at('csr'), '-cert', ca('crt'), '-keyfile', ca('key')],
      ...['-startdate', '20200101000000Z', '-enddate', '20200102000000Z', '-extfile', at('ext'), '-out', at('crt')],
    );
  }
}
