/** What Open vSwitch is to have for us. */

export type DatapathType = 'netdev' | 'system';

export interface WantedPort {
  readonly name: string;
  /** The OpenFlow number it asks for (ofport_request). */
  readonly number: number;
}

export interface Wanted {
  /** Marks what is ours, in external_ids. */
  readonly overlay: string;
  readonly bridge: string;
  /** For a bridge that is made; one that exists keeps its own. */
  readonly datapath: DatapathType;
  readonly mac: string;
  /** Of the bridge's internal port; taps have theirs from tincan. */
  readonly mtu: number;
  readonly ports: readonly WantedPort[];
}

/** The key in external_ids. On a bridge: we made it. */
export const MARK = 'evio-overlay';
/** On an interface: the ifindex of the device that ovs-vswitchd opened for it. */
export const OPENED = 'evio-ifindex';
/** ovs-vswitchd reads it when it starts, and never again. */
export const TSO = 'userspace-tso-enable';

/** Where what is ours is: another node of the overlay may have its bridge in the same Open vSwitch. */
export type Ours = Pick<Wanted, 'overlay' | 'bridge'>;

export function sameWanted(a: Wanted, b: Wanted): boolean {
  const text = ({ overlay, bridge, datapath, mac, mtu, ports }: Wanted) =>
    JSON.stringify([overlay, bridge, datapath, mac, mtu, ports.map(({ name, number }) => [name, number])]);
  return text(a) === text(b);
}
