/** What a transfer shows: pure, so that the transfers can be any. */
import { type Drops, total } from './drops.ts';
import type { Datagrams, Stream } from './transfer.ts';

export interface Judgement {
  readonly ok: boolean;
  /** What was found, in words. */
  readonly value: string;
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0)} MB`;
const inTime = (seconds: number): string => `in ${seconds.toFixed(1)} s`;
const judged = (faults: readonly (string | false | null)[], fine: string): Judgement => {
  const found = faults.filter((fault) => fault !== false && fault !== null);
  return { ok: found.length === 0, value: found.join(', ') || fine };
};

/** All bytes of a stream arrived as they were sent, and at no time was there nothing for longer than `pauseMs`. */
export function judgeStream({ sent, seconds, arrived }: Stream, pauseMs: number): Judgement {
  return judged(
    [
      arrived.firstDifference !== null && `another byte at ${arrived.firstDifference} of ${sent}`,
      arrived.bytes !== sent && `${arrived.bytes} of ${sent} bytes`,
      arrived.error,
      arrived.longestPauseMs > pauseMs && `nothing for ${arrived.longestPauseMs} ms`,
    ],
    `${megabytes(sent)} ${inTime(seconds)}, longest pause ${arrived.longestPauseMs} ms`,
  );
}

/**
 * What arrived of a row of datagrams came once, in order and as it was sent; of some ways `anyOrder` is enough. Lost ones are judged
 * by themselves.
 */
export function judgeDatagrams({ sent, bytes, seconds, arrived }: Datagrams, anyOrder = false): Judgement {
  const { duplicated, reordered, damaged, firstDamage, received } = arrived;
  const place =
    firstDamage === null
      ? ''
      : ` (the first is number ${firstDamage.number ?? 'nobody’s'} of ${firstDamage.size} bytes, at ${firstDamage.at})`;
  return judged(
    [
      damaged > 0 && `${damaged} damaged${place}`,
      duplicated > 0 && `${duplicated} came twice`,
      reordered > 0 && !anyOrder && `${reordered} after a later one`,
      received === 0 && `none of ${sent} arrived`,
    ],
    `${received} of ${sent}, ${megabytes(bytes)} ${inTime(seconds)}`,
  );
}

/** A relay has queues of its own, which it does not count. */
const RELAYED_SHARE = 1 / 50;

/** Datagrams are lost only to queues that were full: one for each frame, or fragment of it, that such a queue dropped. */
export function judgeLost({ sent, arrived }: Datagrams, drops: Drops, relayed = false): Judgement {
  const lost = sent - arrived.received;
  const where = [...drops].map(([name, count]) => `${name} ${count}`).join(', ');
  const explained =
    where === '' || lost === 0 ? '' : `; queues that were full dropped ${total(drops)} frames: ${where}`;
  return { ok: lost <= total(drops) + (relayed ? sent * RELAYED_SHARE : 0), value: `${lost} of ${sent}${explained}` };
}

/** The records that a path carries whose packets may have `mtu` bytes, with headers of IPv4 and UDP before them. */
const HEADERS = 28;
/** The sizes that are tried are not all there are. */
const NEAR = 0.95;

/** The size that probing has found is one that passes, and near what could pass. */
export const sizeFits = (size: number, mtu: number): boolean => size <= mtu - HEADERS && size >= (mtu - HEADERS) * NEAR;
