/** The two DaemonSets: tincan, which is left alone by upgrades of anything else (OnDelete), and the agent, which is rolled. */

import { CONFLIST_NAME } from '../../../agent/src/kube/conflist.ts';
import { ROUTE_PROTOCOL } from '../../../agent/src/kube/leftovers.ts';
import type { DaemonSet } from '../../../agent/src/kube-api/kinds.ts';
import type { Applied } from '../../../agent/src/kube-api/object.ts';
import { type EvioNetworkSpec, NETWORK_NAME } from '../../../crds/src/evio-network.ts';
import { AGENT, CLEANUP, DATAPLANE, HOST_PACKAGE_LABEL, labelsOf } from '../names.ts';
import type { Settings } from '../settings.ts';

const RUN_DIR = '/run/evio';
const STATE_DIR = '/var/lib/evio';
const SYSCTLS = '/host/proc/sys/net';
const CNI_DATA_DIR = '/var/lib/cni';
const API_SERVERS = 'EVIO_API_SERVERS';
const CNI_BIN = '/host/opt/cni/bin';
const CNI_CONF = '/host/etc/cni/net.d';
const TERMINATION_SECONDS = 30;
/** Of the agent, on the loopback address. */
const HEALTH_PORT = 10456;

const hostPath = (name: string, path: string, type = 'DirectoryOrCreate') => ({ name, hostPath: { path, type } });
const mount = (name: string, mountPath: string) => ({ name, mountPath });

/** On machines with Evio's package of the host, what the DaemonSets run is there already. */
const affinity = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: HOST_PACKAGE_LABEL, operator: 'NotIn', values: ['true'] }] }],
    },
  },
};

/** What both have in common: there is no other network before they have made one, and they are on every node. */
const podBase = (spec: EvioNetworkSpec, settings: Settings) => ({
  hostNetwork: true,
  dnsPolicy: 'Default',
  enableServiceLinks: false,
  priorityClassName: 'system-node-critical',
  imagePullSecrets: settings.pullSecrets.map((name) => ({ name })),
  nodeSelector: { 'kubernetes.io/os': 'linux', ...spec.nodeSelector },
  affinity,
  tolerations: settings.tolerations,
});

export function dataplane(spec: EvioNetworkSpec, settings: Settings): Applied<DaemonSet> {
  const labels = labelsOf('dataplane');
  return {
    metadata: { name: DATAPLANE, namespace: settings.namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      // A new tincan interrupts its node's traffic: when, is for a person to say (docs/operations.md).
      updateStrategy: { type: 'OnDelete' },
      template: {
        metadata: { labels },
        spec: {
          ...podBase(spec, settings),
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 10,
          containers: [
            {
              name: 'tincan',
              image: settings.images.dataplane,
              imagePullPolicy: settings.pullPolicy,
              args: ['--run-dir', `${RUN_DIR}/${NETWORK_NAME}`, '--keep-bridge'],
              // A container's own is read-only, and interfaces have settings that stand nowhere else.
              env: [{ name: 'EVIO_PROC_SYS_NET', value: SYSCTLS }],
              resources: settings.resources.dataplane,
              securityContext: security('NET_ADMIN'),
              volumeMounts: [mount('run', RUN_DIR), mount('tun', '/dev/net/tun'), mount('sysctls', SYSCTLS)],
            },
          ],
          volumes: [
            hostPath('run', RUN_DIR),
            hostPath('tun', '/dev/net/tun', 'CharDevice'),
            hostPath('sysctls', '/proc/sys/net', 'Directory'),
          ],
        },
      },
    },
  };
}

/** The agent's program: what it sees of its node. It has root's files without root's rights, and asks tincan for what needs a capability. */
const agentContainer = (spec: EvioNetworkSpec, apiServers: readonly string[], settings: Settings) => ({
  image: settings.images.agent,
  imagePullPolicy: settings.pullPolicy,
  env: [
    { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'POD_NAMESPACE', value: settings.namespace },
    { name: 'EVIO_NETWORK', value: NETWORK_NAME },
    // What a pod is told by itself is a Service, which may need the network that is made here.
    { name: API_SERVERS, value: apiServers.join(',') },
    { name: 'EVIO_CNI_CONF_DIR', value: CNI_CONF },
    { name: 'EVIO_CNI_BIN_DIR', value: CNI_BIN },
    { name: 'EVIO_HEALTH_PORT', value: String(HEALTH_PORT) },
    ...(settings.agentMetricsPort === 0
      ? []
      : [{ name: 'EVIO_METRICS_PORT', value: String(settings.agentMetricsPort) }]),
    { name: 'EVIO_LOG_LEVEL', value: spec.agent.logLevel },
    ...(settings.logFormat === 'text' ? [] : [{ name: 'EVIO_LOG_FORMAT', value: settings.logFormat }]),
    { name: 'EVIO_SWITCH', value: spec.switch === 'OpenVSwitch' ? 'ovs' : 'tincan' },
  ],
  resources: settings.resources.agent,
  volumeMounts: [
    mount('run', RUN_DIR),
    mount('state', STATE_DIR),
    mount('cni-bin', CNI_BIN),
    mount('cni-conf', CNI_CONF),
    mount('cni-data', CNI_DATA_DIR),
    mount('tmp', '/tmp'),
  ],
});

/** What the agents were told where the API servers are. */
export function apiServersIn(set: DaemonSet | undefined): readonly string[] {
  const [container] = set?.spec?.template?.spec?.containers ?? [];
  const value = container?.env?.find(({ name }) => name === API_SERVERS)?.value ?? '';
  return value === '' ? [] : value.split(',');
}

const agentVolumes = (settings: Settings) => [
  hostPath('run', RUN_DIR),
  hostPath('state', STATE_DIR),
  hostPath('cni-bin', settings.cniBinDir),
  hostPath('cni-conf', settings.cniConfDir),
  hostPath('cni-data', CNI_DATA_DIR),
  { name: 'tmp', emptyDir: {} },
];

const security = (...capabilities: readonly string[]) => ({
  runAsUser: 0,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'], ...(capabilities.length === 0 ? {} : { add: capabilities }) },
  seccompProfile: { type: 'RuntimeDefault' },
});

/** Not the pod's address: that is the node's, and it may not have one yet. */
const asked = (path: string) => ({ httpGet: { host: '127.0.0.1', port: HEALTH_PORT, path } });

export function agent(spec: EvioNetworkSpec, apiServers: readonly string[], settings: Settings): Applied<DaemonSet> {
  const labels = labelsOf('agent');
  return {
    metadata: { name: AGENT, namespace: settings.namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
      template: {
        metadata: { labels },
        spec: {
          ...podBase(spec, settings),
          serviceAccountName: AGENT,
          // Relayed tunnels are moved to other nodes first.
          terminationGracePeriodSeconds: TERMINATION_SECONDS,
          containers: [
            {
              name: 'agent',
              ...agentContainer(spec, apiServers, settings),
              args: ['agent', 'run', '--kubernetes'],
              ...(settings.agentMetricsPort === 0
                ? {}
                : { ports: [{ name: 'metrics', containerPort: settings.agentMetricsPort }] }),
              securityContext: security(),
              startupProbe: { ...asked('/livez'), periodSeconds: 2, failureThreshold: 60 },
              livenessProbe: { ...asked('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
              readinessProbe: { ...asked('/readyz'), periodSeconds: 3, timeoutSeconds: 3 },
            },
          ],
          volumes: agentVolumes(settings),
        },
      },
    },
  };
}

/**
 * What needs programs that the agent's image has not. Pods start no more from the first line on; one that was about to has its link by the end.
 * Routes that lead to no link are those of a protocol of their own (docs/wire.md §10.1, "Routes").
 */
const REMOVE_LINKS = `rm -f ${CNI_CONF}/${CONFLIST_NAME}
links() {
  for path in /sys/class/net/evio0 /sys/class/net/evio0-* /sys/class/net/evc*; do
    [ -e "$path" ] && ip link delete "\${path##*/}"
  done
}
links
for family in -4 -6; do ip $family route flush proto ${ROUTE_PROTOCOL}; done
nft delete table inet evio 2>/dev/null
links
true`;

/** The first process of a container gets no signal that it has not asked for. */
const UNTIL_TOLD = 'trap "exit 0" TERM; sleep infinity & wait';

/** Takes everything of Evio off the nodes, once nothing of it runs there any more; a pod is ready when its node is clean. */
export function cleanup(spec: EvioNetworkSpec, settings: Settings): Applied<DaemonSet> {
  const labels = labelsOf('cleanup');
  const shell = (name: string, script: string) => ({
    name,
    image: settings.images.dataplane,
    imagePullPolicy: settings.pullPolicy,
    command: ['sh', '-c', script],
  });
  return {
    metadata: { name: CLEANUP, namespace: settings.namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...podBase(spec, settings),
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 5,
          initContainers: [
            {
              ...shell('links', REMOVE_LINKS),
              securityContext: security('NET_ADMIN'),
              volumeMounts: [mount('cni-conf', CNI_CONF)],
            },
            {
              name: 'files',
              ...agentContainer(spec, [], settings),
              args: ['agent', 'run', '--kubernetes', '--cleanup'],
              // The embedded server's data belong to users of its own.
              securityContext: security('DAC_OVERRIDE'),
            },
          ],
          containers: [{ ...shell('wait', UNTIL_TOLD), securityContext: security() }],
          volumes: agentVolumes(settings),
        },
      },
    },
  };
}
