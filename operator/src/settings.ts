/** How the operator is set up: by its environment, which the chart writes (charts/evio/templates/operator.yaml). */

import { isIP } from 'node:net';
import { addressOfUrl } from './desired/place.ts';

export interface Images {
  readonly agent: string;
  readonly dataplane: string;
  readonly server: string;
}

/** Of a container, as the Kubernetes API takes them. */
export type Resources = Readonly<Record<string, Readonly<Record<string, string>>>>;
export type Toleration = Readonly<Record<string, string | number>>;

export interface Settings {
  /** Of everything the operator makes that has one. */
  readonly namespace: string;
  readonly podName: string | undefined;
  readonly images: Images;
  readonly pullPolicy: string;
  readonly pullSecrets: readonly string[];
  readonly resources: Readonly<Record<keyof Images, Resources>>;
  /** Of agents and datapath. */
  readonly tolerations: readonly Toleration[];
  readonly cniBinDir: string;
  readonly cniConfDir: string;
  /** URLs for the agents; empty: those of the EndpointSlice `kubernetes`. */
  readonly apiServers: readonly string[];
  /** Where the API servers were when this was installed: reached without kube-proxy, which may wait for an address of its node. */
  readonly apiServersSeen: readonly string[];
  /** Where nodes reach the embedded server, when the EvioNetwork does not say; undefined: where they reach the API server. */
  readonly advertise: string | undefined;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
  /** Of operator and agents. */
  readonly logFormat: 'text' | 'json';
  /** 0: none. On all addresses. */
  readonly metricsPort: number;
  /** On the loopback address. */
  readonly healthPort: number;
  /** Of the agents, at their overlay addresses; 0: none. */
  readonly agentMetricsPort: number;
  /** The live map (docs/map.md); port 0: none. `names`: under which browsers may ask, besides addresses and `localhost`. */
  readonly map: { readonly port: number; readonly address: string; readonly names: readonly string[] };
}

export class SettingsError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
const FORMATS = ['text', 'json'] as const;

/** Throws SettingsError, with the variable's name. */
export function readSettings(env: Environment, version: string): Settings {
  const text = (name: string, fallback: string): string => {
    const value = env[name]?.trim();
    return value === undefined || value === '' ? fallback : value;
  };
  const list = (name: string): readonly string[] =>
    text(name, '')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '');
  const image = (name: keyof Images): string =>
    text(`EVIO_${name.toUpperCase()}_IMAGE`, `localhost/evio/${name}:${version}`);
  const resources = json(env, 'EVIO_RESOURCES', isObject, {});
  const of = (name: keyof Images): Resources => (isObject(resources[name]) ? (resources[name] as Resources) : {});
  const level = LEVELS.find((one) => one === text('EVIO_LOG_LEVEL', 'info'));
  if (level === undefined) throw new SettingsError(`EVIO_LOG_LEVEL is not allowed; allowed: ${LEVELS.join(', ')}`);
  const format = FORMATS.find((one) => one === text('EVIO_LOG_FORMAT', 'text'));
  if (format === undefined) throw new SettingsError(`EVIO_LOG_FORMAT is not allowed; allowed: ${FORMATS.join(', ')}`);
  const apiServers = list('EVIO_API_SERVERS');
  const advertised = text('EVIO_API_SERVER_HOST', addressOfUrl(apiServers[0] ?? '')?.host ?? '');
  return {
    namespace: text('EVIO_NAMESPACE', 'evio-system'),
    podName: env.POD_NAME,
    images: { agent: image('agent'), dataplane: image('dataplane'), server: image('server') },
    pullPolicy: text('EVIO_IMAGE_PULL_POLICY', 'IfNotPresent'),
    pullSecrets: list('EVIO_IMAGE_PULL_SECRETS'),
    resources: { agent: of('agent'), dataplane: of('dataplane'), server: of('server') },
    tolerations: json(env, 'EVIO_DAEMON_TOLERATIONS', isTolerations, [{ operator: 'Exists' }]),
    cniBinDir: text('EVIO_CNI_BIN_DIR', '/opt/cni/bin'),
    cniConfDir: text('EVIO_CNI_CONF_DIR', '/etc/cni/net.d'),
    apiServers,
    apiServersSeen: list('EVIO_API_SERVERS_SEEN'),
    advertise: advertised === '' ? undefined : advertised,
    logLevel: level,
    logFormat: format,
    metricsPort: port(env, 'EVIO_METRICS_PORT', 0),
    healthPort: port(env, 'EVIO_HEALTH_PORT', 10481),
    agentMetricsPort: port(env, 'EVIO_AGENT_METRICS_PORT', 0),
    map: {
      port: port(env, 'EVIO_MAP_PORT', 0),
      address: address(env, 'EVIO_MAP_ADDRESS', '127.0.0.1'),
      names: list('EVIO_MAP_NAMES'),
    },
  };
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTolerations = (value: unknown): value is readonly Toleration[] => Array.isArray(value) && value.every(isObject);

function json<T>(env: Environment, name: string, is: (value: unknown) => value is T, fallback: T): T {
  const text = env[name];
  if (text === undefined || text.trim() === '') return fallback;
  try {
    const value: unknown = JSON.parse(text);
    if (is(value)) return value;
  } catch {
    // Said below.
  }
  throw new SettingsError(`${name} is no JSON of the right form`);
}

function port(env: Environment, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= 65535) return value;
  throw new SettingsError(`${name}: "${text}" is no port`);
}

function address(env: Environment, name: string, fallback: string): string {
  const text = env[name]?.trim() ?? '';
  if (text === '') return fallback;
  if (isIP(text) !== 0) return text;
  throw new SettingsError(`${name}: "${text}" is no IP address`);
}
