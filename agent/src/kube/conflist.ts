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

/**
 * libcni before 1.2 knows no 1.1.0, so that stands only in `cniVersions`. `installed` are the chained plugins that are there: one that is
 * not would fail every pod.
 */
export function conflist(pods: PodSettings, bridge: string, dataDir: string, installed: readonly Chained[]): string {
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
  const chained = (Object.keys(CHAINED) as Chained[])
    .filter((type) => installed.includes(type))
    .map((type) => ({ type, capabilities: { [CHAINED[type].capability]: true } }));
  const list = {
    cniVersion: '1.0.0',
    cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    name: CNI_NETWORK,
    plugins: [own, ...chained],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}

/** Of configurations beside ours, the one that a runtime would take instead: it goes by name, and reads these endings (libcni). */
export function takenInstead(names: readonly string[]): string | undefined {
  return names.filter((name) => /\.(conf|conflist|json)$/.test(name) && name < CONFLIST_NAME).sort()[0];
}
