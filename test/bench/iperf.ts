/** What `iperf3 -J` says. */

export interface Flow {
  readonly mbps: number;
  /** All that was carried, the warm-up too: what the processor worked for. */
  readonly bytes: number;
  readonly retransmits: number;
}

export interface Datagrams {
  readonly sent: number;
  readonly lost: number;
  /** Sent per second. */
  readonly pace: number;
}

interface Body {
  readonly error?: string;
  readonly intervals?: readonly { readonly sum: { readonly bytes: number } }[];
  readonly end?: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum_sent?: { readonly retransmits?: number };
    readonly sum?: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

function parsed(text: string): Body {
  const body = JSON.parse(text) as Body;
  if (body.error !== undefined) throw new Error(`iperf3: ${body.error}`);
  return body;
}

export function flowOf(text: string): Flow {
  const { intervals = [], end } = parsed(text);
  const bits = end?.sum_received?.bits_per_second;
  if (bits === undefined) throw new Error('iperf3 told no result');
  return {
    mbps: bits / 1e6,
    bytes: intervals.reduce((sum, interval) => sum + interval.sum.bytes, 0),
    retransmits: end?.sum_sent?.retransmits ?? 0,
  };
}

export function datagramsOf(text: string): Datagrams {
  const sum = parsed(text).end?.sum;
  if (sum === undefined) throw new Error('iperf3 told no result');
  return { sent: sum.packets, lost: sum.lost_packets, pace: sum.packets / sum.seconds };
}
