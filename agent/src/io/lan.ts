/**
 * The multicast sockets of the local network's discovery (docs/wire.md §8). One socket a family hears all interfaces; each interface
 * has one to send by, because the outgoing interface is a property of the socket.
 */
import { createSocket, type Socket } from 'node:dgram';
import { BlockList } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { LAN_PREFIX } from '../wire/hello.ts';

const PORT = 6986;
const GROUP = { IPv4: '239.255.69.86', IPv6: 'ff02::4556' } as const;
/** A signed hello with a certificate of 640 bytes and 16 candidates has about 1,100. */
const MAX_DATAGRAM_BYTES = 2048;
const RESCAN_MS = 5_000;

const PRIVATE = new BlockList();
PRIVATE.addSubnet('10.0.0.0', 8, 'ipv4');
PRIVATE.addSubnet('172.16.0.0', 12, 'ipv4');
PRIVATE.addSubnet('192.168.0.0', 16, 'ipv4');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');

type Family = 'IPv4' | 'IPv6';

interface Place {
  /** What tells this place from others: interface and family. */
  readonly key: string;
  readonly family: Family;
  /** How the interface is named to the socket: an address of it, or its zone. */
  readonly via: string;
  /** Where a hello is sent. */
  readonly group: string;
}

export interface LanHandlers {
  /** A hello, without its prefix; not checked. */
  hello(bytes: Buffer): void;
  report(message: string): void;
}

export class LanSockets {
  readonly #handlers: LanHandlers;
  readonly #excluded: (name: string, address: string) => boolean;
  readonly #listeners = new Map<Family, Socket>();
  readonly #senders = new Map<string, Socket>();
  /** As they were last found. */
  #known: readonly Place[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** `excluded`: whether an interface or an address is none of the local network's. */
  constructor(excluded: (name: string, address: string) => boolean, handlers: LanHandlers) {
    this.#excluded = excluded;
    this.#handlers = handlers;
  }

  start(): void {
    for (const family of ['IPv4', 'IPv6'] as const) this.#listen(family);
    this.#timer = setInterval(() => this.#rescan(), RESCAN_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const socket of [...this.#listeners.values(), ...this.#senders.values()]) socket.close();
    this.#listeners.clear();
    this.#senders.clear();
  }

  multicast(datagram: Buffer): void {
    for (const place of this.#places()) {
      // What cannot be sent now is sent again in a while.
      this.#senders.get(place.key)?.send(datagram, PORT, place.group, () => {});
    }
  }

  #listen(family: Family): void {
    const socket = createSocket({
      type: family === 'IPv4' ? 'udp4' : 'udp6',
      reuseAddr: true,
      ipv6Only: family === 'IPv6',
    });
    socket.on('error', (error) => {
      this.#handlers.report(`local discovery (${family}, UDP port ${PORT}): ${error.message}`);
      this.#listeners.delete(family);
      socket.close();
    });
    socket.on('message', (data) => {
      if (data.length > MAX_DATAGRAM_BYTES || !data.subarray(0, LAN_PREFIX.length).equals(LAN_PREFIX)) return;
      this.#handlers.hello(data.subarray(LAN_PREFIX.length));
    });
    socket.bind(PORT, () => {
      this.#listeners.set(family, socket);
      this.#rescan();
    });
  }

  /** Interfaces come and go: joins the group on new ones and forgets those that went. */
  #rescan(): void {
    const places = this.#places();
    for (const [key, socket] of this.#senders) {
      if (places.some((place) => place.key === key)) continue;
      this.#senders.delete(key);
      socket.close();
    }
    for (const place of places) if (!this.#senders.has(place.key)) this.#join(place);
  }

  #join(place: Place): void {
    const listener = this.#listeners.get(place.family);
    if (listener === undefined) return;
    try {
      listener.addMembership(GROUP[place.family], place.via);
    } catch {
      // It may still be a member from before the interface went away and came back.
    }
    const socket = createSocket(place.family === 'IPv4' ? 'udp4' : 'udp6');
    socket.on('error', () => {
      if (this.#senders.get(place.key) === socket) this.#senders.delete(place.key);
      socket.close();
    });
    socket.bind(0, () => {
      try {
        socket.setMulticastInterface(place.via);
        socket.setMulticastTTL(1);
        socket.setMulticastLoopback(false);
        this.#senders.set(place.key, socket);
      } catch {
        socket.close();
      }
    });
  }

  #places(): readonly Place[] {
    let interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>;
    try {
      interfaces = networkInterfaces();
    } catch {
      // No descriptor left to ask with: what was found before is still the best guess.
      return this.#known;
    }
    this.#known = Object.entries(interfaces).flatMap(([name, addresses = []]) =>
      this.#placesOf(
        name,
        addresses.filter((address) => !address.internal && !this.#excluded(name, address.address)),
      ),
    );
    return this.#known;
  }

  #placesOf(name: string, addresses: readonly NetworkInterfaceInfo[]): readonly Place[] {
    const isPrivate = ({ address, family }: NetworkInterfaceInfo) =>
      PRIVATE.check(address, family === 'IPv4' ? 'ipv4' : 'ipv6');
    const four = addresses.find((address) => address.family === 'IPv4' && isPrivate(address));
    const six = addresses.find((address) => address.family === 'IPv6' && isPrivate(address));
    const places: Place[] = [];
    if (four !== undefined)
      places.push({ key: `${name}/4/${four.address}`, family: 'IPv4', via: four.address, group: GROUP.IPv4 });
    if (six !== undefined)
      places.push({ key: `${name}/6`, family: 'IPv6', via: `::%${name}`, group: `${GROUP.IPv6}%${name}` });
    return places;
  }
}
