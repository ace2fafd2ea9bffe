/** The CNI configuration of a node (CNI specification, "Network configuration format"), as text. Pure. */
import type { PodSettings } from './enrolment.ts';

/** Its name sorts before those of other networks: the runtime takes the first. */
export const CONFLIST_NAME = '10-evio.conflist';
/** The network's name in the configuration: the plugin's store is a directory of this name. */
export const CNI_NETWORK = 'evio';
export const CNI_PLUGIN = 'evio-cni';

/** Plugins of the CNI project that are chained where they are installed, with what is missed without each. */
export const CHAINED = {
  portmap: { capability: 'portMappings', missed: 'pods have no hostPort' },
  bandwidth: { capability: 'bandwidth', missed: 'pods have no bandwidth limits' },
} as const;
export type Chained = keyof typeof CHAINED;

/** What the plugin speaks (docs/cni.md), oldest first. */
const VERSIONS: readonly string[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
/** The newest that a libcni before 1.2 knows: it reads `cniVersion` only, later ones take the newest of `cniVersions`. */
const NEWEST_FOR_ALL = VERSIONS.indexOf('1.0.0');
/** What a plugin is taken to speak that could not be asked: those of the CNI project have 1.1.0 since their 1.5. */
export const ASSUMED: readonly string[] = VERSIONS.slice(0, NEWEST_FOR_ALL + 1);

/** The chained plugins that are there, each with the versions it speaks. */
export type Installed = ReadonlyMap<Chained, readonly string[]>;

/**
 * Which of them can be chained, and the versions that all of the list then speak: a runtime calls every plugin with the same version, and
 * one that does not speak it fails every pod.
 */
export function chain(installed: Installed): {
  readonly chained: readonly Chained[];
  readonly versions: readonly string[];
} {
  const chained: Chained[] = [];
  let versions = VERSIONS;
  for (const name of Object.keys(CHAINED) as Chained[]) {
    const common = versions.filter((version) => installed.get(name)?.includes(version) === true);
    if (!common.some((version) => ASSUMED.includes(version))) continue;
    chained.push(name);
    versions = common;
  }
  return { chained, versions };
}

export function conflist(pods: PodSettings, bridge: string, dataDir: string, installed: Installed): string {
  const flat = pods.attachment === 'Flat';
  const own = {
    type: CNI_PLUGIN,
    attachment: flat ? 'flat' : 'routed',
    bridge,
    mtu: pods.mtu,
    subnets: pods.subnets,
    gateways: pods.gateways,
    ...(flat ? { podCIDRs: pods.podCIDRs } : {}),
    dataDir,
  };
  const { chained, versions } = chain(installed);
  const list = {
    cniVersion: versions.filter((version) => ASSUMED.includes(version)).at(-1),
    cniVersions: versions,
    name: CNI_NETWORK,
    plugins: [own, ...chained.map((type) => ({ type, capabilities: { [CHAINED[type].capability]: true } }))],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}

/** Of configurations beside ours, the one that a runtime would take instead: it goes by name, and reads these endings (libcni). */
export function takenInstead(names: readonly string[]): string | undefined {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < CONFLIST_NAME).sort()[0];
}
