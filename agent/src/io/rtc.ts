/**
 * One WebRTC connection to a peer, by node-datachannel: ICE, DTLS, and one Track used as an unreliable datagram pipe
 * (docs/wire.md §10.4).
 *
 * The library ends the process when JavaScript throws inside one of its callbacks, when a candidate comes before the description,
 * on some malformed descriptions, and when it cannot have a socket. So every callback is wrapped, there must be descriptors to spare,
 * candidates wait here, and it only ever sees descriptions and candidates that we wrote ourselves from checked parts.
 */
import { closeSync, openSync } from 'node:fs';
import type { PeerConnection, Track, Video } from 'node-datachannel';
import { formatCandidate, formatCandidateLine, parseCandidate, parseCandidateLine } from '../tunnel/candidate.ts';
import { candidatesOf, formatSdp, formatShort, parseSdp, parseShort, type SdpType } from '../tunnel/sdp.ts';
import { systemReason } from './system-error.ts';

export interface TurnServer {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

export interface IceServers {
  readonly stun: readonly { readonly host: string; readonly port: number }[];
  readonly turn: readonly TurnServer[];
}

export interface CandidatePair {
  readonly local: { readonly address: string; readonly type: string };
  readonly remote: { readonly address: string; readonly type: string };
}

export interface RtcHandlers {
  /** The own short description, without candidates. */
  description(type: SdpType, sdp: string): void;
  candidate(candidate: string): void;
  /** There are no further candidates. */
  gathered(): void;
  /** Records can be carried from now on. */
  open(): void;
  /** One RTP packet; the record begins at RTP_HEADER_BYTES. The buffer is ours to keep. */
  packet(packet: Buffer): void;
  /** Once, and not after `close()`. */
  closed(reason: string): void;
}

export interface RtcConfig {
  readonly ice: IceServers;
  /** Whether an address may be an end of this connection. */
  usable(address: string): boolean;
}

export const RTP_HEADER_BYTES = 12;
const SSRC = 0x4556494f;
const MID = '0';
/** libjuice takes two TURN servers and drops the others with a warning. */
const MAX_TURN_SERVERS = 2;
/** A peer may send this many candidates before its description, or in all. */
const MAX_REMOTE_CANDIDATES = 40;

interface Library {
  readonly PeerConnection: new (name: string, config: import('node-datachannel').RtcConfig) => PeerConnection;
  readonly Video: new (mid: string, direction: 'SendRecv') => Video;
  cleanup(): void;
}

let library: Library | undefined;

/** The native library takes 10 MB of memory: it is loaded when the first tunnel needs it. */
export async function loadRtc(): Promise<void> {
  if (library !== undefined) return;
  const loaded = await import('node-datachannel');
  library = loaded.default as unknown as Library;
}

export class RtcConnection {
  readonly #handlers: RtcHandlers;
  readonly #config: RtcConfig;
  readonly #connection: PeerConnection;
  #track: Track | undefined;
  #sequence = 0;
  #described = false;
  /** Candidates may be handed over. */
  #checking = false;
  #closed = false;
  #open = false;
  #remoteCandidates = 0;
  readonly #waiting: string[] = [];

  /** `loadRtc` must have ended. Throws when the library refuses the configuration, and without descriptors to spare. */
  constructor(name: string, config: RtcConfig, handlers: RtcHandlers) {
    if (library === undefined) throw new Error('the WebRTC library is not loaded');
    spareDescriptors();
    this.#handlers = handlers;
    this.#config = config;
    this.#connection = new library.PeerConnection(name, {
      iceServers: [
        ...config.ice.stun.map(({ host, port }) => ({ hostname: host, port })),
        ...config.ice.turn.slice(0, MAX_TURN_SERVERS).map(({ host, port, username, password }) => ({
          hostname: host,
          port,
          username,
          password,
          relayType: 'TurnUdp' as const,
        })),
      ],
      disableAutoNegotiation: true,
      forceMediaTransport: true,
    });
    const connection = this.#connection;
    connection.onLocalDescription((sdp, type) =>
      this.#guard(() => {
        if (type === 'offer' || type === 'answer') this.#localDescription(type, sdp);
      }),
    );
    connection.onLocalCandidate((line) => this.#guard(() => this.#localCandidate(line)));
    connection.onStateChange((state) =>
      this.#guard(() => {
        if (state === 'failed' || state === 'closed' || state === 'disconnected') this.#fail(`connection ${state}`);
      }),
    );
    connection.onGatheringStateChange((state) =>
      this.#guard(() => {
        if (state !== 'complete') return;
        // Each kind of callback has a queue of its own: candidates found earlier may still wait in theirs for this turn.
        setImmediate(() => {
          if (!this.#closed) this.#handlers.gathered();
        });
      }),
    );
    connection.onTrack((track) => this.#guard(() => this.#useTrack(track)));
  }

  /** Records can be carried. */
  get isOpen(): boolean {
    return this.#open;
  }

  offer(): void {
    this.#attempt('offer', () => {
      const { Video } = library as Library;
      const video = new Video(MID, 'SendRecv');
      video.addVideoCodec(96, 'VP8');
      this.#useTrack(this.#connection.addTrack(video));
      this.#connection.setLocalDescription('offer');
    });
  }

  /** Takes the peer's offer and answers it. Nothing is sent to the peer before `proceed`. */
  answer(sdp: string): void {
    if (this.#describe(sdp, 'offer')) this.#attempt('answer', () => this.#connection.setLocalDescription('answer'));
  }

  /** Takes the peer's answer to our offer. */
  accept(sdp: string): void {
    if (this.#describe(sdp, 'answer')) this.proceed();
  }

  /**
   * Begins to check the peer's candidates. An answerer must wait until its answer has arrived: the library at the other end takes a
   * connection that comes before the answer, does not know the certificate's fingerprint yet, and fails for good.
   */
  proceed(): void {
    this.#checking = true;
    this.#flushCandidates();
  }

  /** A candidate that cannot be used is left out; true if it was taken. */
  addCandidate(text: string): boolean {
    const candidate = parseCandidate(text);
    if (candidate === undefined || !this.#config.usable(candidate.address)) return false;
    if (this.#remoteCandidates >= MAX_REMOTE_CANDIDATES) return false;
    this.#remoteCandidates++;
    this.#waiting.push(formatCandidateLine(candidate));
    this.#flushCandidates();
    return true;
  }

  /**
   * Sends one record. `packet` has RTP_HEADER_BYTES of room before the record, which are overwritten; the library copies it, so the
   * buffer is free again at once. False: it was not sent and is lost, as any datagram may be.
   */
  send(packet: Buffer): boolean {
    const track = this.#track;
    if (track === undefined || !this.#open) return false;
    packet.writeUInt16BE(0x8060, 0);
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(0, 4);
    packet.writeUInt32BE(SSRC, 8);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    try {
      return track.sendMessageBinary(packet);
    } catch {
      return false;
    }
  }

  /** What ICE chose, once connected. */
  selected(): CandidatePair | null {
    if (this.#closed) return null;
    try {
      const pair = this.#connection.getSelectedCandidatePair();
      if (pair === null) return null;
      const { local, remote } = pair;
      return {
        local: { address: socketAddress(local.address, local.port), type: local.type },
        remote: { address: socketAddress(remote.address, remote.port), type: remote.type },
      };
    } catch {
      return null;
    }
  }

  /** Closes explicitly: the native connection lives on while its callbacks are referenced, and each one holds a UDP socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    for (const part of [this.#track, this.#connection]) {
      try {
        part?.close();
      } catch {
        // It was closed by itself in the meantime.
      }
    }
    this.#track = undefined;
  }

  #describe(sdp: string, type: SdpType): boolean {
    if (this.#closed || this.#described) return false;
    const parsed = parseShort(sdp);
    if ('refused' in parsed) {
      this.#fail(`${type} refused: ${parsed.refused}`);
      return false;
    }
    return this.#attempt(`remote ${type}`, () => {
      this.#connection.setRemoteDescription(formatSdp(parsed, type), type);
      this.#described = true;
      for (const candidate of candidatesOf(sdp)) this.addCandidate(candidate);
    });
  }

  #flushCandidates(): void {
    if (!this.#described || !this.#checking) return;
    for (const candidate of this.#waiting.splice(0)) {
      try {
        this.#connection.addRemoteCandidate(candidate, MID);
      } catch {
        // One candidate the library does not like costs that candidate only.
      }
    }
  }

  #localDescription(type: SdpType, sdp: string): void {
    const parsed = parseSdp(sdp, type);
    if ('refused' in parsed) this.#fail(`the library's ${type}: ${parsed.refused}`);
    else this.#handlers.description(type, formatShort(parsed));
  }

  #localCandidate(line: string): void {
    const candidate = parseCandidateLine(line);
    if (candidate === undefined || !this.#config.usable(candidate.address)) return;
    this.#handlers.candidate(formatCandidate(candidate));
  }

  #useTrack(track: Track): void {
    if (this.#track !== undefined) {
      track.close();
      return;
    }
    this.#track = track;
    track.onOpen(() =>
      this.#guard(() => {
        if (this.#open) return;
        this.#open = true;
        this.#handlers.open();
      }),
    );
    track.onClosed(() => this.#guard(() => this.#fail('track closed')));
    track.onError((error) => this.#guard(() => this.#fail(`track: ${error}`)));
    track.onMessage((packet) => {
      // Not through #guard: this runs for every packet.
      if (this.#closed || packet.length <= RTP_HEADER_BYTES) return;
      try {
        this.#handlers.packet(packet);
      } catch (error) {
        this.#fail(`packet: ${String(error)}`);
      }
    });
  }

  /** An exception that leaves a callback of the library ends the process. */
  #guard(run: () => void): void {
    if (this.#closed) return;
    try {
      run();
    } catch (error) {
      this.#fail(String(error));
    }
  }

  #attempt(what: string, run: () => void): boolean {
    if (this.#closed) return false;
    try {
      run();
      return true;
    } catch (error) {
      this.#fail(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
  }

  /** Reports on a later turn: `answer` and the like are called while the caller handles another event. */
  #fail(reason: string): void {
    if (this.#closed) return;
    this.close();
    setImmediate(() => this.#handlers.closed(reason));
  }
}

/** A connection takes one socket, the first of all a few more; what resolves names has its own for a moment. */
const SPARE_DESCRIPTORS = 8;

/** Throws when a connection could not have its socket: the library would end the process. */
function spareDescriptors(): void {
  const open: number[] = [];
  try {
    while (open.length < SPARE_DESCRIPTORS) open.push(openSync('/dev/null', 'r'));
  } catch (error) {
    throw new Error(`${systemReason(error)}: raise the limit of open files (ulimit -n, LimitNOFILE=)`);
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

function socketAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
