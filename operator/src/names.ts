/** Names in the cluster: of what the operator makes, and of marks on what others made. */

/** Field manager of server-side apply, and the reporting controller of Events. */
export const MANAGER = 'evio-operator';

export const AUTHORITY_SECRET = 'evio-authority';
export const AUTHORITY_KEY = 'authority.key';
export const LEDGER_KEY = 'ledger.json';
/** Join tokens, and who came by them. */
export const TOKENS_KEY = 'tokens.json';

/** Settings of the embedded Prosody and coturn. */
export const SERVER = 'evio-server';
export const DATAPLANE = 'evio-dataplane';
export const AGENT = 'evio-agent';
/** Runs once on each node when the EvioNetwork is deleted. */
export const CLEANUP = 'evio-cleanup';

/** How the Leases of the agents begin (crds/src/policies.ts); then comes the Node's name. */
export const NODE_LEASE_PREFIX = 'evio-node-';

/** On the EvioNetwork. */
export const FINALIZER = 'evio.io/cleanup';

/** Nodes on which Evio's package of the host runs what the DaemonSets run elsewhere. */
export const HOST_PACKAGE_LABEL = 'evio.io/host-package';

export const COMPONENT_LABEL = 'app.kubernetes.io/component';

export const labelsOf = (component: string): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/name': 'evio',
  [COMPONENT_LABEL]: component,
  'app.kubernetes.io/managed-by': MANAGER,
});
