/** Who answers joins for the cluster, at the XMPP server that is wanted now: while this process leads. */
import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { JoinService } from '../../../agent/src/io/join-service.ts';
import type { Log } from '../../../agent/src/io/log.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import type { Desk } from '../../../agent/src/join/desk.ts';
import type { SignallingPlace } from '../desired/enrolment.ts';
import type { SignallingLink } from './signalling-link.ts';

/** The server is the cluster's own, and new machines wait for it. */
const PATIENCE = { backoffMinMs: 500, backoffMaxMs: 5_000, pingIdleMs: 10_000, pingTimeoutMs: 5_000 };

export interface JoinTarget {
  readonly place: Pick<SignallingPlace, 'service' | 'domain' | 'ca'>;
  readonly overlayId: string;
  readonly authority: KeyObject;
}

export interface JoinLinkParts {
  readonly link: Pick<SignallingLink, 'use'>;
  readonly log: Log;
  /** A new one for each server. */
  readonly desk: () => Desk;
  /** Seconds since 1970. */
  readonly now: () => number;
}

export class JoinLink {
  readonly #parts: JoinLinkParts;
  #key: readonly unknown[] | undefined;
  #service: JoinService | undefined;

  constructor(parts: JoinLinkParts) {
    this.#parts = parts;
  }

  /** Undefined: nobody is answered. */
  want(target: JoinTarget | undefined): void {
    const key = target && [target.place.service, target.place.domain, target.place.ca, target.overlayId];
    if (isDeepStrictEqual(key, this.#key)) return;
    this.#key = key;
    this.close();
    if (target === undefined) return;
    this.#key = key;
    const { log, desk, now } = this.#parts;
    const { service, domain, ca } = target.place;
    this.#service = new JoinService({
      ...{ service, domain, ca, log, now, patience: PATIENCE },
      authority: target.authority,
      desk: desk(),
      makeAccount: (username, password) => this.#makeAccount(username, password, service),
    });
    this.#service.start();
  }

  /** Something changed that tokens or nodes follow from. */
  look(): void {
    this.#service?.look();
  }

  close(): void {
    this.#key = undefined;
    const service = this.#service;
    this.#service = undefined;
    void service?.stop();
  }

  async #makeAccount(username: string, password: string, service: string): Promise<void> {
    const made = await this.#parts.link.use(async (admin) => {
      if (!(await admin.addUser(username, password))) await admin.changePassword(username, password);
      return true;
    });
    if (made !== true) throw new XmppError('server-away', `${service} is not reached by the operator yet`);
  }
}
