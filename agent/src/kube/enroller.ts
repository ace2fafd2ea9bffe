/** What becomes of each enrolment the cluster shows: taken, left, or refused, in the order that survives a crash at any point. Pure. */
import type { EvioNode } from '../../../crds/src/evio-node.ts';
import { type Enrolled, type OwnKeys, type Place, readEnrolment } from './enrolment.ts';

export type EnrollerAction =
  /** The authority that this node knows from here on; before anything of it is used. */
  | { readonly kind: 'pin'; readonly authorityKey: string }
  | { readonly kind: 'store'; readonly enrolled: Enrolled }
  /** The node is to run with what was stored: for the first time, or exchanged for itself. */
  | { readonly kind: 'run' }
  /** A newer list for the node that runs. */
  | { readonly kind: 'revoke'; readonly list: string }
  /** What pods get has changed, and nothing else. */
  | { readonly kind: 'pods' };

/** What is stored on this node from an earlier life. */
export interface Stored {
  readonly serial: string;
  /** The node file's text. */
  readonly file: string;
  readonly pods: Enrolled['pods'];
}

/** How the enrolment stands, for people. */
export type Standing =
  | { readonly kind: 'awaiting' | 'refused'; readonly message: string }
  | { readonly kind: 'enrolled'; readonly serial: string };

export class Enroller {
  readonly #own: OwnKeys;
  readonly #place: Place;
  readonly #pinFile: string;
  #pinned: string | undefined;
  #stored: Stored | undefined;
  #standing: Standing;

  constructor(options: {
    readonly own: OwnKeys;
    readonly place: Place;
    /** The authority key in base64 that is pinned, and the path of the file it is in. */
    readonly pinned: string | undefined;
    readonly pinFile: string;
    readonly stored: Stored | undefined;
  }) {
    this.#own = options.own;
    this.#place = options.place;
    this.#pinned = options.pinned;
    this.#pinFile = options.pinFile;
    this.#stored = options.stored;
    this.#standing =
      options.stored === undefined
        ? { kind: 'awaiting', message: 'the API server has not answered yet' }
        : { kind: 'enrolled', serial: options.stored.serial };
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** What is, or was last, stored. */
  get stored(): Stored | undefined {
    return this.#stored;
  }

  /** The EvioNode as it is now. A node that was enrolled goes on with what it has until something better is there. */
  handle(node: EvioNode | undefined): readonly EnrollerAction[] {
    const pinned = { authorityKey: this.#pinned, file: this.#pinFile };
    const reading = readEnrolment(node, this.#own, this.#place, pinned);
    if (reading.kind !== 'enrolled') {
      if (reading.kind === 'refused' || this.#stored === undefined) this.#standing = reading;
      return [];
    }
    const { enrolled } = reading;
    const before = this.#stored;
    this.#standing = { kind: 'enrolled', serial: enrolled.serial };
    this.#stored = { serial: enrolled.serial, file: enrolled.file, pods: enrolled.pods };
    const pin = this.#pinned === undefined;
    this.#pinned = enrolled.authorityKey;
    return [
      ...(pin ? [{ kind: 'pin', authorityKey: enrolled.authorityKey } as const] : []),
      ...changes(before, enrolled),
    ];
  }
}

function changes(before: Stored | undefined, now: Enrolled): readonly EnrollerAction[] {
  const store = { kind: 'store', enrolled: now } as const;
  if (before === undefined) return [store, { kind: 'run' }];
  const samePods = JSON.stringify(before.pods) === JSON.stringify(now.pods);
  if (before.file === now.file && samePods) return [];
  const rest: EnrollerAction[] = samePods ? [] : [{ kind: 'pods' }];
  if (before.file === now.file) return [store, ...rest];
  // A newer list alone is no reason to leave the room.
  if (withoutRevocations(before.file) === now.papers && now.revocations !== undefined)
    return [store, { kind: 'revoke', list: now.revocations }, ...rest];
  return [store, { kind: 'run' }, ...rest];
}

/** In the form of `Enrolled.papers`; undefined for a file that is none of ours. */
function withoutRevocations(file: string): string | undefined {
  try {
    const { overlay, ...others } = JSON.parse(file) as { overlay: Record<string, unknown> } & Record<string, unknown>;
    const { revocations: _, ...rest } = overlay;
    const { apiVersion, name, ...more } = others;
    return `${JSON.stringify({ apiVersion, name, overlay: rest, ...more }, null, 2)}\n`;
  } catch {
    return undefined;
  }
}
