/** What we know of one peer's boots, and the keys and counters between each of them and ours. */
import type { Hello } from '../wire/hello.ts';
import type { NodeId, OverlayId } from '../wire/ids.ts';
import { DecodeError } from '../wire/reader.ts';
import { type Boot, messageKey, openMessage, readSealedHeader, sealMessage } from '../wire/sealed.ts';
import type { OwnBoot } from './own-boot.ts';

/**
 * An old hello, shown again by the server, must not make us forget how far a boot's counters had come: its messages could
 * be played again. So a few boots are kept, and a message that opens tells which of them lives.
 */
export const BOOTS_KEPT = 4;

interface Half {
  readonly boot: Boot;
  sequence: bigint;
  sendCounter: bigint;
  lastReceived: bigint;
  sendKey: Buffer | undefined;
  receiveKey: Buffer | undefined;
}

export class PeerBoots {
  readonly #overlayId: OverlayId;
  readonly #own: OwnBoot;
  readonly #nodeId: NodeId;
  readonly #identityKey: Uint8Array;
  /** Oldest first; the last is current. */
  #halves: Half[] = [];

  constructor(overlayId: OverlayId, own: OwnBoot, nodeId: NodeId, identityKey: Uint8Array) {
    this.#overlayId = overlayId;
    this.#own = own;
    this.#nodeId = nodeId;
    this.#identityKey = identityKey;
  }

  /** The current boot's nonce in hex. */
  get nonce(): string | undefined {
    return nonceOf(this.#halves.at(-1));
  }

  /** False for a hello that is not newer than what we have of that boot. */
  learn(hello: Hello): boolean {
    const known = this.#find(hello.bootNonce);
    if (known !== undefined) {
      if (hello.sequence <= known.sequence) return false;
      if (!hello.ephemeralKey.equals(known.boot.ephemeralKey))
        throw new DecodeError('another ephemeral key for the same boot');
      known.sequence = hello.sequence;
      this.#makeCurrent(known);
      return true;
    }
    this.#halves.push({
      boot: { nodeId: this.#nodeId, nonce: hello.bootNonce, ephemeralKey: hello.ephemeralKey },
      sequence: hello.sequence,
      sendCounter: 0n,
      lastReceived: -1n,
      sendKey: undefined,
      receiveKey: undefined,
    });
    if (this.#halves.length > BOOTS_KEPT) this.#halves.shift();
    return true;
  }

  #find(nonce: Uint8Array): Half | undefined {
    return this.#halves.find((h) => Buffer.compare(h.boot.nonce, nonce) === 0);
  }

  #makeCurrent(half: Half): void {
    this.#halves = [...this.#halves.filter((h) => h !== half), half];
  }

  /** Sealed to the current boot; undefined while none is known. */
  seal(body: Uint8Array): Buffer | undefined {
    const half = this.#halves.at(-1);
    if (half === undefined) return undefined;
    const pair = { overlayId: this.#overlayId, sender: this.#own, recipient: half.boot };
    half.sendKey ??= messageKey(pair, this.#own.ephemeral, half.boot.ephemeralKey);
    const bytes = sealMessage(pair, half.sendKey, this.#own.identity, half.sendCounter, body);
    half.sendCounter += 1n;
    return bytes;
  }

  /** The body of a message to our boot by a boot of this peer, once; a `DecodeError` says why not. */
  open(bytes: Uint8Array): Buffer {
    const { senderNonce, counter } = readSealedHeader(bytes);
    const half = this.#find(senderNonce);
    if (half === undefined) throw new DecodeError('a message of an unknown boot');
    if (counter <= half.lastReceived) throw new DecodeError('a message that was taken before');
    const pair = { overlayId: this.#overlayId, sender: half.boot, recipient: this.#own };
    half.receiveKey ??= messageKey(pair, this.#own.ephemeral, half.boot.ephemeralKey);
    const body = openMessage(pair, half.receiveKey, this.#identityKey, bytes);
    half.lastReceived = counter;
    // It was sealed with a secret of that boot, to ours, just now: that boot lives.
    this.#makeCurrent(half);
    return body;
  }
}

const nonceOf = (half: Half | undefined): string | undefined =>
  half === undefined ? undefined : Buffer.from(half.boot.nonce).toString('hex');
