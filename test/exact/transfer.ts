/** The tool of test/load that compares what arrives with what was sent: its receivers, its senders, and what they say. */
import { join, resolve } from 'node:path';
import { attempt, start, until } from '../demo/shell.ts';

const TRANSFER = join(process.env.CARGO_TARGET_DIR ?? resolve('target'), 'release/transfer');
const PORT = 7001;
/** The longest transfer at the slowest pace, and a stall that it may have. */
const LONGEST_MS = 600_000;

/** What each packet has besides its plain IP header. */
export type Header = 'record-route' | 'timestamp' | 'destination-options' | 'hop-by-hop';

/** A TCP transfer, as the tool says it. */
export interface Stream {
  readonly sent: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Segments that the kernel sent again. */
  readonly resent?: number;
  readonly arrived: {
    readonly bytes: number;
    /** Position of the first byte that is another one than was sent. */
    readonly firstDifference: number | null;
    readonly longestPauseMs: number;
    readonly error: string | null;
  };
}

/** A row of numbered datagrams; `sent` are all of them. */
export interface Datagrams {
  readonly sent: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly arrived: {
    readonly received: number;
    readonly bytes: number;
    readonly duplicated: number;
    readonly reordered: number;
    readonly damaged: number;
    readonly firstDamage: { readonly number: number | null; readonly size: number; readonly at: number } | null;
  };
}

export interface StreamOptions {
  readonly bytes: number;
  readonly header?: Header;
  /** Mbit/s at most; as fast as it goes without. */
  readonly mbps?: number;
  /** Without a sign of the other end for so many seconds the transfer has failed. */
  readonly patience?: number;
}

export interface DatagramOptions {
  readonly count: number;
  /** Bytes of payload: from 1 to 65,507 without. */
  readonly least?: number;
  readonly most?: number;
  readonly header?: Header;
  /** 200 without. */
  readonly mbps?: number;
}

/** Takes transfers to every address of the namespace from now on. */
export async function takeTransfers(ns: string, log: string): Promise<void> {
  const child = start(ns, log, TRANSFER, 'serve', String(PORT));
  const listening = ['ss', '-Hltn', 'sport', '=', `:${PORT}`];
  await until(`${TRANSFER} listens in ${ns}`, 5_000, async () => {
    if (child.exitCode !== null) throw new Error(`${TRANSFER} ended: was it built? (hack/build.sh)`);
    return (await attempt(ns, listening)).stdout !== '';
  });
}

/** Each transfer has bytes of its own. */
let seed = 0;

async function transfer(ns: string, kind: 'tcp' | 'udp', address: string, options: object): Promise<unknown> {
  const host = address.includes(':') ? `[${address}]` : address;
  const words = Object.entries({ to: `${host}:${PORT}`, seed: ++seed, ...options }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const done = await attempt(ns, [TRANSFER, kind, ...words], LONGEST_MS);
  if (done.code !== 0) throw new Error(done.stderr.trim() || `${TRANSFER}: exit code ${done.code}`);
  return JSON.parse(done.stdout);
}

export const sendStream = async (ns: string, address: string, options: StreamOptions): Promise<Stream> =>
  (await transfer(ns, 'tcp', address, options)) as Stream;

export const sendDatagrams = async (ns: string, address: string, options: DatagramOptions): Promise<Datagrams> =>
  (await transfer(ns, 'udp', address, options)) as Datagrams;
