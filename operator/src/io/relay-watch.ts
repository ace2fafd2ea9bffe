/** Whether the embedded relay's server answers, asked as a node asks it (a STUN binding request). */
import { isDeepStrictEqual } from 'node:util';
import { stunAnswers } from '../../../cli/src/server/ready.ts';
import { REASON } from '../../../crds/src/condition.ts';
import type { Reach } from '../desired/network-status.ts';
import { bracketed, type HostPort } from '../desired/place.ts';

const PROBE_MS = 3_000;
/** One datagram may be lost. */
const FAILURES = 2;

export class RelayWatch {
  readonly #changed: () => void;
  #target: HostPort | undefined;
  #reach: Reach = { kind: 'pending' };
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #round = 0;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get reach(): Reach {
    return this.#reach;
  }

  want(target: HostPort | undefined): void {
    if (isDeepStrictEqual(target, this.#target)) return;
    this.close();
    this.#target = target;
    this.#reach = { kind: 'pending' };
    this.#failures = 0;
    if (target !== undefined) void this.#probe(this.#round, target);
  }

  close(): void {
    this.#round++;
    clearTimeout(this.#timer);
    this.#target = undefined;
  }

  async #probe(round: number, target: HostPort): Promise<void> {
    const answers = await stunAnswers(target.host, target.port);
    if (round !== this.#round) return;
    this.#failures = answers ? 0 : this.#failures + 1;
    const where = `${bracketed(target.host)}:${target.port}`;
    const message = `the relay does not answer on UDP ${where}: open that port, or look at the server's pod`;
    if (answers) this.#set({ kind: 'up' });
    else if (this.#failures >= FAILURES) this.#set({ kind: 'down', reason: REASON.RelayUnreachable, message });
    this.#timer = setTimeout(() => void this.#probe(round, target), PROBE_MS);
  }

  #set(reach: Reach): void {
    if (isDeepStrictEqual(reach, this.#reach)) return;
    this.#reach = reach;
    this.#changed();
  }
}
