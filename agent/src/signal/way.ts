/** By which way a message goes to one peer: the room, its account on the server, or the overlay. */

export type WayName = 'room' | 'account' | 'overlay';

/** Which ways there are at the moment. */
export type Ways = Readonly<Record<WayName, boolean>>;

export type Talk = 'offer' | 'answer' | 'other';

export const talkOf = (type: string): Talk => (type === 'offer' || type === 'answer' ? type : 'other');

export class Way {
  /** Outside the room: by which it was last heard, or is to be tried. */
  #next: 'account' | 'overlay' = 'account';
  /** It was offered a tunnel, and has not been heard since. */
  #asked = false;

  /**
   * What was not answered by one way is tried by the other; an offer is what gets asked again.
   * @param ringClosed with gaps in the ring around us the overlay may lead there and not back
   */
  choose(talk: Talk, open: Ways, ringClosed: boolean): WayName | undefined {
    if (open.room) return 'room';
    const again = talk === 'offer' && this.#asked;
    if (talk === 'offer') this.#asked = true;
    if (again && open.account && open.overlay) this.#next = this.#next === 'overlay' ? 'account' : 'overlay';
    const unsure = !ringClosed && !again && talk !== 'other';
    if (open.account && (!open.overlay || unsure || this.#next === 'account')) return 'account';
    return open.overlay ? 'overlay' : undefined;
  }

  heard(by: WayName): void {
    this.#asked = false;
    if (by !== 'room') this.#next = by;
  }

  /** It was made known anew: perhaps the overlay leads to it no more. */
  madeKnown(): void {
    this.#next = 'account';
  }

  /** There is a tunnel to it. */
  adjacent(): void {
    this.#next = 'overlay';
  }
}
