/** Where nodes find the API server, and with it the embedded server. */
import { isIP } from 'node:net';

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Of `https://HOST:PORT` and `xmpps://HOST:PORT`; undefined for anything else. */
export function addressOfUrl(text: string): HostPort | undefined {
  const [, scheme, v6, name, digits] =
    /^([a-z]+):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]+))(?::([0-9]{1,5}))?\/?$/.exec(text) ?? [];
  const host = v6 ?? name;
  if (host === undefined) return undefined;
  return { host, port: digits === undefined ? (DEFAULT_PORTS[scheme ?? ''] ?? 0) : Number(digits) };
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { https: 443, xmpps: 5223, xmpp: 5222 };

export const bracketed = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);

/** What of the EndpointSlice `default/kubernetes` is looked at. */
export interface Endpoints {
  readonly endpoints?: readonly { readonly addresses: readonly string[] }[] | null;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
}

/** URLs of the API servers as they advertise themselves (--advertise-address); every node that joined reached one of them. */
export function apiServersOf(slice: Endpoints | undefined): readonly string[] {
  const port = slice?.ports?.find((p) => p.name === 'https')?.port ?? slice?.ports?.[0]?.port ?? 443;
  // In one order: what is made of them is not to change when they come and go.
  return (slice?.endpoints ?? [])
    .flatMap((e) => e.addresses)
    .sort()
    .map((address) => `https://${bracketed(address)}:${port}`);
}

/**
 * The host under which nodes reach the embedded server: what the EvioNetwork says, what the operator was told, or where the API server is.
 * Undefined: none of them is known.
 */
export function advertisedHost(
  spec: string | undefined,
  told: string | undefined,
  apiServers: readonly string[],
): string | undefined {
  return spec ?? told ?? addressOfUrl(apiServers[0] ?? '')?.host;
}

/** Beyond so many, an agent need not know more. */
const SERVERS_MAX = 8;

/** Those that are found, and those that agents were told before: one that is down is not gone, and agents are not started anew for it. */
export function withFormer(found: readonly string[], former: readonly string[]): readonly string[] {
  return [...new Set([...found, ...former])].slice(0, SERVERS_MAX).sort();
}
