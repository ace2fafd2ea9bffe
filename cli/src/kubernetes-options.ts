/** Options of `evio agent run --kubernetes`, each also by the environment, as a pod has it. Pure. */
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { KubernetesOptions } from '../../agent/src/kube/options.ts';
import { apiServerUrl } from '../../agent/src/kube-api/endpoints.ts';
import { isName } from '../../agent/src/wire/ids.ts';
import { oneLine, UsageError } from './failure.ts';

interface Option {
  readonly describe: string;
  /** Environment variables that say the same, the first one that is set. */
  readonly env: readonly string[];
  readonly default?: string;
  readonly multiple?: true;
}

const option = (describe: string, env: readonly string[], fallback?: string): Option => ({
  describe,
  env,
  ...(fallback === undefined ? {} : { default: fallback }),
});

/** Of the command line, with `--`. */
export const KUBERNETES_OPTIONS = {
  'node-name': option('The Node this agent runs on', ['NODE_NAME']),
  network: option('The EvioNetwork', ['EVIO_NETWORK'], 'default'),
  'api-server': {
    ...option('URL of the API server, reached without the cluster network; more than once for several', [
      'EVIO_API_SERVERS',
    ]),
    multiple: true,
  },
  namespace: option("Namespace of the agent's Lease", ['POD_NAMESPACE'], 'evio-system'),
  'service-account-dir': option(
    'Where token and ca.crt are',
    ['EVIO_SERVICE_ACCOUNT_DIR'],
    '/var/run/secrets/kubernetes.io/serviceaccount',
  ),
  'state-root': option('Keys and enrolment are kept in STATE_ROOT/kubernetes', ['EVIO_STATE_ROOT'], '/var/lib/evio'),
  'run-root': option('Sockets, also of tincan, are in RUN_ROOT/NETWORK', ['EVIO_RUN_ROOT'], '/run/evio'),
  'cni-conf-dir': option('Where the CNI configuration goes', ['EVIO_CNI_CONF_DIR'], '/etc/cni/net.d'),
  'cni-bin-dir': option('Where the CNI plugin goes', ['EVIO_CNI_BIN_DIR'], '/opt/cni/bin'),
  'cni-data-dir': option("The CNI plugin's store", ['EVIO_CNI_DATA_DIR'], '/var/lib/cni/evio'),
  'cni-plugin': option('The CNI plugin as shipped; evio-cni beside this program', ['EVIO_CNI_PLUGIN']),
  'health-port': option('Port of /livez and /readyz on 127.0.0.1; 0: none', ['EVIO_HEALTH_PORT'], '10456'),
  'metrics-port': option(
    "Port of /metrics at the node's overlay addresses; 0: only at --health-port",
    ['EVIO_METRICS_PORT'],
    '0',
  ),
  'log-level': option('error, warn, info or debug', ['EVIO_LOG_LEVEL'], 'info'),
  'log-format': option('text or json', ['EVIO_LOG_FORMAT'], 'text'),
  switch: option('tincan or ovs', ['EVIO_SWITCH'], 'tincan'),
} as const satisfies Readonly<Record<string, Option>>;

type Name = keyof typeof KUBERNETES_OPTIONS;
export type KubernetesArguments = Readonly<Partial<Record<Name, string | readonly string[] | undefined>>>;

export interface KubernetesCommand {
  readonly options: KubernetesOptions;
  /** Takes everything of Evio off this machine instead. */
  readonly cleanup: boolean;
}

/** Of `agent run --kubernetes ...`, as the command's parser would read it. Throws UsageError. */
export function parseKubernetesArguments(argv: readonly string[]): {
  readonly given: KubernetesArguments;
  readonly cleanup: boolean;
} {
  const texts = Object.entries(KUBERNETES_OPTIONS).map(
    ([name, { multiple }]: [string, Option]) => [name, { type: 'string', multiple: multiple === true }] as const,
  );
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...Object.fromEntries(texts),
        kubernetes: { type: 'boolean' },
        cleanup: { type: 'boolean' },
      },
      strict: true,
    });
    const { kubernetes: _, cleanup, ...given } = values;
    return { given: given as KubernetesArguments, cleanup: cleanup === true };
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${oneLine(words)}; see evio agent run --help`);
  }
}

/** What is given, the environment, and what goes without saying. `program` is the path of this program. Throws UsageError. */
export function kubernetesOptions(
  given: KubernetesArguments,
  environment: Readonly<Record<string, string | undefined>>,
  program: string,
): KubernetesOptions {
  const one = (name: Name): string | undefined => {
    const value = given[name];
    const { env, ...rest }: Option = KUBERNETES_OPTIONS[name];
    return (typeof value === 'string' ? value : undefined) ?? fromEnvironment(env, environment) ?? rest.default;
  };
  const text = (name: Name): string => {
    const value = one(name);
    if (value === undefined) {
      const [variable] = KUBERNETES_OPTIONS[name].env;
      throw new UsageError(`--${name} is missing, and so is ${variable} in the environment`);
    }
    return value;
  };
  const oneOf = <T extends string>(name: Name, allowed: readonly T[]): T => {
    const value = text(name);
    const found = allowed.find((choice) => choice === value);
    if (found === undefined)
      throw new UsageError(`--${name}: "${value}" is not allowed; allowed: ${allowed.join(', ')}`);
    return found;
  };
  const network = text('network');
  if (!isName(network)) throw new UsageError(`--network: "${network}" is not allowed; allowed: a DNS label`);
  const nodeName = text('node-name');
  if (!/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(nodeName))
    throw new UsageError(`--node-name: "${nodeName}" is not allowed; allowed: the name of a Node`);
  const stateRoot = text('state-root');
  return {
    nodeName,
    apiServers: apiServers(given['api-server'], environment),
    serviceAccountDir: text('service-account-dir'),
    namespace: text('namespace'),
    stateDir: join(stateRoot, 'kubernetes'),
    nodeStateDir: join(stateRoot, network),
    runDir: join(text('run-root'), network),
    cni: {
      confDir: text('cni-conf-dir'),
      binDir: text('cni-bin-dir'),
      dataDir: text('cni-data-dir'),
      plugin: one('cni-plugin') ?? join(dirname(program), 'evio-cni'),
    },
    healthPort: port('health-port', text('health-port')),
    metricsPort: port('metrics-port', text('metrics-port')),
    logLevel: oneOf('log-level', ['error', 'warn', 'info', 'debug']),
    logFormat: oneOf('log-format', ['text', 'json']),
    switch: oneOf('switch', ['tincan', 'ovs']),
  };
}

function fromEnvironment(
  names: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return names.map((name) => environment[name]).find((value) => value !== undefined && value !== '');
}

/** Several in the environment stand with commas between. What the kubelet tells every pod is the last resort: it needs kube-proxy. */
function apiServers(
  given: string | readonly string[] | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const { env } = KUBERNETES_OPTIONS['api-server'];
  const texts = given === undefined ? (fromEnvironment(env, environment) ?? '').split(',') : [given].flat();
  const urls = texts
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const url = apiServerUrl(text);
      if (url === undefined)
        throw new UsageError(
          `--api-server: "${text}" is not allowed; allowed: https://HOST:PORT, and nothing after it`,
        );
      return url;
    });
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: servicePort = '443' } = environment;
  const service = host === undefined ? undefined : `https://${host.includes(':') ? `[${host}]` : host}:${servicePort}`;
  const inCluster = service === undefined ? undefined : apiServerUrl(service);
  if (inCluster !== undefined) urls.push(inCluster);
  if (urls.length === 0) throw new UsageError('--api-server is missing, and this is no pod of a cluster');
  return [...new Set(urls)];
}

function port(name: Name, text: string): number {
  const number = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && number <= 65_535) return number;
  throw new UsageError(`--${name}: "${text}" is not allowed; allowed: a whole number from 0 to 65535`);
}
