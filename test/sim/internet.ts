/**
 * A small internet for UDP: a public network, local networks behind NATs, NATs behind NATs. NATs are named as in RFC 4787 (§4.1
 * mapping, §5 filtering); addresses are "ip:port", and one address may exist in several local networks.
 */

import type { Random } from '../../agent/src/machine.ts';
import type { Clock } from './clock.ts';

export type Dependence = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

export interface NatOptions {
  /** Public address, or an address in the network of `behind`. */
  readonly address: string;
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  /** A mapping gets the inner port number if that is free (RFC 4787 §4.2.1); by chance otherwise. */
  readonly preservesPort: boolean;
  readonly behind?: Network;
}

/** The port that home routers give: Linux with a plain masquerade rule. */
export const PORT_PRESERVING = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  preservesPort: true,
} as const;

/** "Symmetric": another port for each destination. */
export const RANDOM_PORTS = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  preservesPort: false,
} as const;

/** A mapping nobody used for this long is gone; RFC 4787 REQ-5 asks for two minutes at least. */
const MAPPING_MS = 120_000;

interface Mapping {
  readonly inner: string;
  readonly outerPort: number;
  readonly key: string;
  /** Where the inside has sent to by this mapping. */
  readonly contacted: Set<string>;
  usedAt: number;
}

type Receiver = (source: string, payload: unknown) => void;

export class Host {
  readonly address: string;
  readonly network: Network;
  readonly sockets = new Map<number, Receiver>();
  /** A dead host takes and sends nothing. */
  dead = false;

  constructor(address: string, network: Network) {
    this.address = address;
    this.network = network;
  }
}

/** One address space: the public internet, or what is behind one NAT. */
export class Network {
  readonly hosts = new Map<string, Host>();
  readonly nats = new Map<string, Nat>();
  readonly nat: Nat | undefined;

  constructor(nat: Nat | undefined) {
    this.nat = nat;
  }
}

class Nat {
  readonly options: NatOptions;
  readonly outside: Network;
  readonly inside: Network;
  readonly #mappings = new Map<string, Mapping>();
  readonly #byPort = new Map<number, Mapping>();

  constructor(options: NatOptions, outside: Network) {
    this.options = options;
    this.outside = outside;
    this.inside = new Network(this);
    outside.nats.set(options.address, this);
  }

  /** The source that a datagram from the inside has outside. */
  translate(inner: string, destination: string, now: number, random: Random): string {
    const { mapping, preservesPort, address } = this.options;
    const key = `${inner}>${keyOf(mapping, destination)}`;
    let known = this.#mappings.get(key);
    if (known !== undefined && now - known.usedAt > MAPPING_MS) known = this.#forget(known);
    if (known === undefined) {
      known = {
        inner,
        outerPort: this.#port(portOf(inner), preservesPort, random),
        key,
        contacted: new Set(),
        usedAt: now,
      };
      this.#mappings.set(key, known);
      this.#byPort.set(known.outerPort, known);
    }
    known.usedAt = now;
    known.contacted.add(keyOf(this.options.filtering, destination));
    return `${address}:${known.outerPort}`;
  }

  /** Where a datagram from outside goes inside, if the filter lets it in. */
  admit(outerPort: number, source: string, now: number): string | undefined {
    const known = this.#byPort.get(outerPort);
    if (known === undefined) return undefined;
    if (now - known.usedAt > MAPPING_MS) return this.#forget(known);
    return known.contacted.has(keyOf(this.options.filtering, source)) ? known.inner : undefined;
  }

  #forget(mapping: Mapping): undefined {
    this.#mappings.delete(mapping.key);
    this.#byPort.delete(mapping.outerPort);
    return undefined;
  }

  #port(wanted: number, preserve: boolean, random: Random): number {
    let port = preserve ? wanted : 1_024 + Math.floor(random() * 60_000);
    while (this.#byPort.has(port)) port = 1_024 + Math.floor(random() * 60_000);
    return port;
  }
}

/** What of an endpoint a mapping or filter depends on. */
function keyOf(dependence: Dependence, endpoint: string): string {
  if (dependence === 'endpoint-independent') return '*';
  return dependence === 'address-dependent' ? addressOf(endpoint) : endpoint;
}

export const addressOf = (endpoint: string): string => endpoint.slice(0, endpoint.lastIndexOf(':'));
export const portOf = (endpoint: string): number => Number(endpoint.slice(endpoint.lastIndexOf(':') + 1));

export class Internet {
  readonly public = new Network(undefined);
  /** Share of datagrams lost on the way through the public network. */
  loss = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Pairs of hosts that hear nothing of each other: an underlay in parts. */
  #cut: (a: Host, b: Host) => boolean = () => false;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  behind(options: NatOptions): Network {
    return new Nat(options, options.behind ?? this.public).inside;
  }

  host(address: string, network: Network = this.public): Host {
    const host = new Host(address, network);
    network.hosts.set(address, host);
    return host;
  }

  cut(apart: (a: Host, b: Host) => boolean): void {
    this.#cut = apart;
  }

  connected(a: Host, b: Host): boolean {
    return !a.dead && !b.dead && !this.#cut(a, b);
  }

  /** Sends a datagram: it arrives a little later, or it does not. */
  send(from: Host, port: number, destination: string, payload: unknown): void {
    if (from.dead) return;
    const route = this.#out(from.network, `${from.address}:${port}`, destination);
    if (route === undefined || !this.connected(from, route.host)) return;
    if (route.far && this.#random() < this.loss) return;
    const delay = route.far ? 5 + 20 * this.#random() : 0.2 + 0.3 * this.#random();
    this.#clock.after(delay, () => {
      if (this.connected(from, route.host)) route.host.sockets.get(route.port)?.(route.source, payload);
    });
  }

  #out(network: Network, source: string, destination: string): Route | undefined {
    const found = this.#in(network, source, destination, network === this.public);
    if (found !== 'elsewhere') return found;
    if (network.nat === undefined) return undefined;
    const outer = network.nat.translate(source, destination, this.#clock.now, this.#random);
    return this.#out(network.nat.outside, outer, destination);
  }

  /** Finds the receiver in one network, or in those behind its NATs. */
  #in(network: Network, source: string, destination: string, far: boolean): Route | undefined | 'elsewhere' {
    const host = network.hosts.get(addressOf(destination));
    if (host !== undefined) return { host, port: portOf(destination), source, far };
    const nat = network.nats.get(addressOf(destination));
    if (nat === undefined) return 'elsewhere';
    // No hairpins: the NAT's own address means nothing from inside (RFC 4787 REQ-9 asks for them, home routers lack them).
    if (addressOf(source) === nat.options.address) return undefined;
    const inner = nat.admit(portOf(destination), source, this.#clock.now);
    const found = inner === undefined ? undefined : this.#in(nat.inside, source, inner, far);
    return found === 'elsewhere' ? undefined : found;
  }
}

interface Route {
  readonly host: Host;
  readonly port: number;
  readonly source: string;
  /** By the public network. */
  readonly far: boolean;
}
