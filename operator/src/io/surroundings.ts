/** What the operator learns of the cluster besides its objects: where the API servers are, and what address a name has. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Client, isForbidden } from '../../../agent/src/kube-api/client.ts';
import type { Kind, KubeObject } from '../../../agent/src/kube-api/object.ts';
import { advertisedHost, apiServersOf, type Endpoints } from '../desired/place.ts';
import type { Settings } from '../settings.ts';

type EndpointSlice = KubeObject & Endpoints;

const ENDPOINT_SLICE: Kind<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  namespaced: true,
};

/** API servers come and go seldom. */
const FRESH_MS = 60_000;
const NAME_FRESH_MS = 30_000;
const NAME_MS = 3_000;

export class Surroundings {
  readonly #client: Client;
  readonly #settings: Pick<Settings, 'apiServers' | 'advertise'>;
  #found: readonly string[] = [];
  #foundAt = Number.NEGATIVE_INFINITY;
  readonly #names = new Map<string, { readonly addresses: readonly string[]; readonly at: number }>();

  constructor(client: Client, settings: Pick<Settings, 'apiServers' | 'advertise'>) {
    this.#client = client;
    this.#settings = settings;
  }

  /** Asks for what is no longer fresh. */
  async look(): Promise<void> {
    if (this.#settings.apiServers.length > 0 || performance.now() - this.#foundAt < FRESH_MS) return;
    try {
      this.#found = apiServersOf(await this.#client.find(ENDPOINT_SLICE, 'default/kubernetes'));
      this.#foundAt = performance.now();
    } catch (error) {
      if (!isForbidden(error)) throw error;
    }
  }

  /** URLs for the agents. */
  get apiServers(): readonly string[] {
    return this.#settings.apiServers.length > 0 ? this.#settings.apiServers : this.#found;
  }

  /** Where nodes reach the embedded server. */
  host(spec: string | undefined): string | undefined {
    return advertisedHost(spec, this.#settings.advertise, this.apiServers);
  }

  /** Numbers of a host. Throws one line when its name has none. */
  async addressesOf(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const known = this.#names.get(host);
    if (known !== undefined && performance.now() - known.at < NAME_FRESH_MS) return known.addresses;
    const end = new Promise<never>((_, reject) => setTimeout(reject, NAME_MS, new Error('no answer')).unref());
    try {
      const found = await Promise.race([lookup(host, { all: true }), end]);
      const addresses = [...new Set(found.map(({ address }) => address))].sort();
      this.#names.set(host, { addresses, at: performance.now() });
      return addresses;
    } catch {
      throw new Error(
        `the name ${host} of the embedded server has no address: correct spec.signalling.embedded.host, or the DNS`,
      );
    }
  }
}
