/** External services of the XMPP server (XEP-0215): STUN and TURN addresses and the credentials for them. */

export interface Service {
  readonly type: 'stun' | 'stuns' | 'turn' | 'turns';
  readonly transport: 'udp' | 'tcp';
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Milliseconds since 1970. */
  readonly expires?: number | undefined;
}

const DEFAULT_PORT = { stun: 3478, turn: 3478, stuns: 5349, turns: 5349 } as const;
/** A server that names more is not believed. */
const SERVICES_MAX = 16;
/** Asked again in this time when nothing expires: an address may have changed. */
const REFRESH_MS = 3_600_000;
const REFRESH_MIN_MS = 30_000;

/** One `<service/>` by its attributes; undefined for kinds we do not use and for what makes no sense. */
export function parseService(a: Readonly<Record<string, unknown>>): Service | undefined {
  const { type, host, transport = 'udp', username, password } = a;
  if (type !== 'stun' && type !== 'turn' && type !== 'stuns' && type !== 'turns') return undefined;
  if (transport !== 'udp' && transport !== 'tcp') return undefined;
  // No character that could end the host in a URL that is made of it.
  if (typeof host !== 'string' || !/^[0-9A-Za-z.:_-]{1,253}$/.test(host)) return undefined;
  const port = a.port === undefined ? DEFAULT_PORT[type] : Number(a.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  const expires = typeof a.expires === 'string' ? Date.parse(a.expires) : Number.NaN;
  return {
    type,
    transport,
    host,
    port,
    ...(typeof username === 'string' && username.length <= 512 && { username }),
    ...(typeof password === 'string' && password.length <= 512 && { password }),
    ...(!Number.isNaN(expires) && { expires }),
  };
}

export function parseServices(list: readonly Readonly<Record<string, unknown>>[]): readonly Service[] {
  return list.flatMap((attributes) => parseService(attributes) ?? []).slice(0, SERVICES_MAX);
}

/** How long to wait before asking again: credentials are renewed when three quarters of what is left have passed. */
export function refreshDelayMs(services: readonly Service[], wallMs: number): number {
  const left = services.flatMap((s) => (s.expires === undefined ? [] : [s.expires - wallMs]));
  return Math.max(REFRESH_MIN_MS, Math.min(REFRESH_MS, 0.75 * Math.min(Number.POSITIVE_INFINITY, ...left)));
}
