/**
 * The client's half of SCRAM (RFC 5802, RFC 7677), as values: the password never leaves, and the server proves that it knows
 * it too. @xmpp/sasl does not look at that proof, which is why this is here.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';

export class ScramError extends Error {
  override readonly name = 'ScramError';
}

const DIGESTS = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-1': 'sha1' } as const;
export type Mechanism = keyof typeof DIGESTS;

/** Below what RFC 7677 §4 asks for a server would only make the password easy to guess. */
const ITERATIONS_MIN = 4_096;
/** Above this a server would only keep us busy: about 0.1 s. */
const ITERATIONS_MAX = 200_000;

/** The strongest mechanism offered; undefined when there is only something like PLAIN, which would show the password. */
export function chooseMechanism(offered: readonly string[]): Mechanism | undefined {
  return (['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const).find((m) => offered.includes(m));
}

/** `n,,`: no channel binding (tls-exporter is not offered by the servers we know; TLS is verified anyway). */
const GS2_HEADER = 'n,,';

export class Scram {
  readonly #digest: 'sha256' | 'sha1';
  readonly #password: string;
  readonly #nonce: string;
  readonly #firstBare: string;
  #serverSignature: Buffer | undefined;

  /** `nonce`: random printable ASCII without a comma. */
  constructor(mechanism: Mechanism, username: string, password: string, nonce: string) {
    this.#digest = DIGESTS[mechanism];
    // SASLprep (RFC 4013) up to its tables of forbidden characters: what cannot be typed is not in a password.
    this.#password = password.normalize('NFKC');
    this.#nonce = nonce;
    const name = username.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.#firstBare = `n=${name},r=${nonce}`;
  }

  first(): string {
    return GS2_HEADER + this.#firstBare;
  }

  /** Our proof, in answer to the server's challenge. */
  answer(serverFirst: string): string {
    const { r = '', s = '', i = '', m } = attributes(serverFirst);
    if (m !== undefined) throw new ScramError('the server asks for an extension of SCRAM');
    if (!r.startsWith(this.#nonce) || r.length <= this.#nonce.length)
      throw new ScramError('the server did not take up our nonce');
    const iterations = /^[0-9]{1,7}$/.test(i) ? Number(i) : 0;
    if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
      throw new ScramError(`the server asks for "${i.slice(0, 16)}" iterations`);
    const salt = Buffer.from(s, 'base64');
    if (salt.length === 0) throw new ScramError('the server sent no salt');

    const bare = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${r}`;
    const authMessage = `${this.#firstBare},${serverFirst},${bare}`;
    const length = createHash(this.#digest).update('').digest().length;
    const salted = pbkdf2Sync(this.#password, salt, iterations, length, this.#digest);
    const clientKey = this.#hmac(salted, 'Client Key');
    const signature = this.#hmac(createHash(this.#digest).update(clientKey).digest(), authMessage);
    this.#serverSignature = this.#hmac(this.#hmac(salted, 'Server Key'), authMessage);
    const proof = Buffer.from(clientKey.map((b, at) => b ^ (signature[at] ?? 0)));
    return `${bare},p=${proof.toString('base64')}`;
  }

  /** Throws unless the server knows the password too. */
  verify(serverFinal: string): void {
    const { v = '' } = attributes(serverFinal);
    const got = Buffer.from(v, 'base64');
    const want = this.#serverSignature;
    if (want === undefined || got.length !== want.length || !timingSafeEqual(got, want))
      throw new ScramError('the server could not prove that it knows the password');
  }

  #hmac(key: Uint8Array, text: string): Buffer {
    return createHmac(this.#digest, key).update(text).digest();
  }
}

function attributes(message: string): Readonly<Record<string, string>> {
  const entries = message.split(',').map((part) => [part.slice(0, 1), part.slice(2)] as const);
  return Object.fromEntries(entries.filter(([key]) => /^[a-z]$/.test(key)));
}
