/** A TLS server that says what a test wants, line by line, to whoever connects: the server nobody should have. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { TestAuthority } from '../servers/certificates.ts';
import { DOMAIN } from '../servers/xmpp-server.ts';

/** What to answer to what was heard since the last answer; undefined: nothing yet. */
export type Answer = (heard: string) => string | undefined;

const decode = (text: string): string => Buffer.from(text, 'base64').toString('utf8');
const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha1', key).update(text).digest();

/** The two answers of SCRAM-SHA-1 by a server that knows the password: for what it may do after that. */
export function knowing(password: string): readonly Answer[] {
  const salt = Buffer.from('some salt');
  let [first, challenge] = ['', ''];
  return [
    (heard) => {
      const [, auth] = /<auth[^>]*>([^<]*)<\/auth>/.exec(heard) ?? [];
      if (auth === undefined) return undefined;
      first = decode(auth).slice('n,,'.length);
      challenge = `${first.slice(first.indexOf('r='))}more,s=${salt.toString('base64')},i=4096`;
      return `<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${encode(challenge)}</challenge>`;
    },
    (heard) => {
      const [, response] = /<response[^>]*>([^<]*)<\/response>/.exec(heard) ?? [];
      if (response === undefined) return undefined;
      const withoutProof = decode(response).replace(/,p=.*$/, '');
      const salted = pbkdf2Sync(password, salt, 4096, createHash('sha1').update('').digest().length, 'sha1');
      const signature = hmac(hmac(salted, 'Server Key'), `${first},${challenge},${withoutProof}`);
      return `<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${encode(`v=${signature.toString('base64')}`)}</success>`;
    },
  ];
}

export class HostileServer {
  readonly ca: string;
  readonly #directory: string;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();
  /** Everything heard from the client. */
  heard = '';
  answers: readonly Answer[] = [];

  private constructor(directory: string) {
    this.#directory = directory;
    const authority = new TestAuthority(directory);
    this.ca = authority.certificate;
    const { key, crt } = authority.issue('server', [DOMAIN]);
    this.#server = createServer({ key: readFileSync(key), cert: readFileSync(crt) }, (socket) => this.#serve(socket));
  }

  static async start(): Promise<HostileServer> {
    const server = new HostileServer(mkdtempSync(join(tmpdir(), 'evio-hostile-')));
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get service(): string {
    const address = this.#server.address();
    return `xmpps://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  /** From here on connections get these answers, one after the other. */
  script(...answers: readonly (Answer | string)[]): void {
    this.heard = '';
    this.answers = answers.map((a) => (typeof a === 'string' ? () => a : a));
  }

  #serve(socket: TLSSocket): void {
    this.#sockets.add(socket);
    const answers = [...this.answers];
    let pending = '';
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString('utf8');
      pending += chunk.toString('utf8');
      const answer = answers[0]?.(pending);
      if (answer === undefined) return;
      answers.shift();
      pending = '';
      socket.write(answer);
    });
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
