/**
 * Carries sealed records between tincan's relay socket and the WebRTC tracks (docs/wire.md §10.3, §10.4).
 * Both directions are datagrams: what does not fit is dropped, nothing waits for anything.
 */
import { connect, type Socket } from 'node:net';
import { credit, HEADER_BYTES, MAX_PAYLOAD_BYTES, RelayBatch, RelayReader } from './relay-frames.ts';
import { RTP_HEADER_BYTES } from './rtc.ts';

/** What tincan may have under way to us for one port. A track sends at once, so this only covers the way through the socket. */
const WINDOW_BYTES = 256 * 1024;
/** Credit is given back in pieces of at least this size. */
const REFILL_BYTES = WINDOW_BYTES / 4;
/** Towards tincan: beyond this much unsent, records are dropped. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const RETRY_MS = 250;
/** Batch buffers that are kept for reuse. */
const POOL_BUFFERS = 8;

/** The sending side of a connection, as the relay needs it. */
export interface PacketSender {
  /** `packet` begins with RTP_HEADER_BYTES of room. */
  send(packet: Buffer): boolean;
}

export interface RelayCounters {
  toPeers: number;
  toPeersDropped: number;
  fromPeers: number;
  fromPeersDropped: number;
}

export class Relay {
  readonly counters: RelayCounters = { toPeers: 0, toPeersDropped: 0, fromPeers: 0, fromPeersDropped: 0 };
  readonly #path: string;
  readonly #report: (message: string) => void;
  readonly #senders = new Map<number, PacketSender>();
  readonly #owed = new Map<number, number>();
  readonly #batches = new Map<number, RelayBatch>();
  readonly #pool: Buffer[] = [];
  /** For the first record of a buffer, which has no room before it. */
  readonly #scratch = Buffer.allocUnsafe(RTP_HEADER_BYTES + MAX_PAYLOAD_BYTES);
  #socket: Socket | undefined;
  #connected = false;
  #flushing = false;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(path: string, report: (message: string) => void) {
    this.#path = path;
    this.#report = report;
  }

  /** Connects, and again whenever the connection is lost, until `stop`. */
  start(): void {
    if (this.#stopped || this.#socket !== undefined) return;
    clearTimeout(this.#retry);
    const reader = new RelayReader({
      record: (port, chunk, offset, size) => this.#toPeer(port, chunk, offset, size),
      batch: (port, bytes) => this.#used(port, bytes),
    });
    const socket = connect({
      path: this.#path,
      onread: {
        buffer: () => reader.space(),
        callback: (bytes) => this.#read(reader, bytes),
      },
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.#connected = true;
      this.#owed.clear();
      for (const port of this.#senders.keys()) socket.write(credit(port, WINDOW_BYTES));
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#connected = false;
      this.#socket = undefined;
      this.#batches.clear();
      if (!this.#stopped) this.#retry = setTimeout(() => this.start(), RETRY_MS);
    });
  }

  #read(reader: RelayReader, bytes: number): boolean {
    try {
      reader.filled(bytes);
      return true;
    } catch (error) {
      this.#report(`relay socket: ${error instanceof Error ? error.message : String(error)}`);
      this.#socket?.destroy();
      return false;
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  /** From now on the port's records go to this connection. */
  attach(port: number, sender: PacketSender): void {
    const known = this.#senders.has(port);
    this.#senders.set(port, sender);
    if (!known && this.#connected) this.#socket?.write(credit(port, WINDOW_BYTES));
  }

  /** Unless another connection has taken the port in the meantime. The credit stays with the port. */
  detach(port: number, sender: PacketSender): void {
    if (this.#senders.get(port) === sender) this.#senders.set(port, NOWHERE);
  }

  /** tincan is another one: its ports have other meanings, and it knows of no credit. */
  restart(): void {
    this.#senders.clear();
    this.#owed.clear();
    this.#batches.clear();
    this.#socket?.destroy();
  }

  /** The port was removed in tincan, its credit with it. */
  forget(port: number): void {
    this.#senders.delete(port);
    this.#owed.delete(port);
    this.#batches.delete(port);
  }

  /** A packet from the peer's track, with its RTP header. */
  fromPeer(port: number, packet: Buffer): void {
    const socket = this.#socket;
    if (socket === undefined || !this.#connected || socket.writableLength > MAX_UNSENT_BYTES) {
      this.counters.fromPeersDropped++;
      return;
    }
    let batch = this.#batches.get(port);
    if (batch === undefined) {
      batch = new RelayBatch(port, this.#take());
      this.#batches.set(port, batch);
    }
    if (!batch.add(packet, RTP_HEADER_BYTES)) {
      this.#write(socket, batch);
      batch = new RelayBatch(port, this.#take());
      this.#batches.set(port, batch);
      batch.add(packet, RTP_HEADER_BYTES);
    }
    this.counters.fromPeers++;
    if (this.#flushing) return;
    // The library delivers a burst of packets in one turn of the event loop: they become one write.
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const socket = this.#socket;
    if (socket !== undefined && this.#connected) for (const batch of this.#batches.values()) this.#write(socket, batch);
    this.#batches.clear();
  }

  #write(socket: Socket, batch: RelayBatch): void {
    const bytes = batch.finish();
    socket.write(bytes, () => {
      if (this.#pool.length < POOL_BUFFERS) this.#pool.push(bytes.subarray(0));
    });
  }

  #take(): Buffer {
    const pooled = this.#pool.pop();
    if (pooled !== undefined) return Buffer.from(pooled.buffer, 0, HEADER_BYTES + MAX_PAYLOAD_BYTES);
    return Buffer.from(new ArrayBuffer(HEADER_BYTES + MAX_PAYLOAD_BYTES));
  }

  #toPeer(port: number, chunk: Buffer, offset: number, size: number): void {
    const sender = this.#senders.get(port);
    let packet: Buffer;
    if (offset >= RTP_HEADER_BYTES) {
      // What stands before the record has been used: the RTP header is written there and the record is not copied.
      packet = chunk.subarray(offset - RTP_HEADER_BYTES, offset + size);
    } else {
      chunk.copy(this.#scratch, RTP_HEADER_BYTES, offset, offset + size);
      packet = this.#scratch.subarray(0, RTP_HEADER_BYTES + size);
    }
    if (sender?.send(packet) === true) this.counters.toPeers++;
    else this.counters.toPeersDropped++;
  }

  #used(port: number, bytes: number): void {
    const owed = (this.#owed.get(port) ?? 0) + bytes;
    if (owed < REFILL_BYTES) {
      this.#owed.set(port, owed);
      return;
    }
    this.#owed.set(port, 0);
    this.#socket?.write(credit(port, owed));
  }
}

/** Records for a port without a connection are used up and lost, so that the credit is right for the next connection. */
const NOWHERE: PacketSender = { send: () => false };
