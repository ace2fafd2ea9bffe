/** The two DaemonSets: tincan, which is left alone by upgrades of anything else (OnDelete), and the agent, which is rolled. */
import { type EvioNetworkSpec, NETWORK_NAME } from '../../../crds/src/evio-network.ts';
import type { DaemonSet } from '../kube/kinds.ts';
import type { Applied } from '../kube/object.ts';
import { AGENT, DATAPLANE, HOST_PACKAGE_LABEL, labelsOf } from '../names.ts';
import type { Settings } from '../settings.ts';

const RUN_DIR = '/run/evio';
const STATE_DIR = '/var/lib/evio';
const CNI_DATA_DIR = '/var/lib/cni';
const NETNS_DIR = '/run/netns';

const hostPath = (name: string, path: string, type = 'DirectoryOrCreate') => ({ name, hostPath: { path, type } });
const mount = (
  name: string,
  mountPath: string,
  more: { readonly readOnly?: boolean; readonly mountPropagation?: string } = {},
) => ({
  name,
  mountPath,
  ...more,
});

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
              resources: settings.resources.dataplane,
              securityContext: {
                runAsUser: 0,
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
                seccompProfile: { type: 'RuntimeDefault' },
              },
              volumeMounts: [mount('run', RUN_DIR), mount('tun', '/dev/net/tun')],
            },
          ],
          volumes: [hostPath('run', RUN_DIR), hostPath('tun', '/dev/net/tun', 'CharDevice')],
        },
      },
    },
  };
}

/** `apiServers`: what the agents are to try besides what a pod is told, which is a Service that may need the network they make. */
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
          terminationGracePeriodSeconds: 30,
          containers: [
            {
              name: 'agent',
              image: settings.images.agent,
              imagePullPolicy: settings.pullPolicy,
              args: ['agent', 'run', '--kubernetes', ...apiServers.flatMap((url) => ['--api-server', url])],
              env: [
                { name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                { name: 'EVIO_NETWORK', value: NETWORK_NAME },
                { name: 'EVIO_NAMESPACE', value: settings.namespace },
              ],
              resources: settings.resources.agent,
              // Root's files without root's rights: it writes below the mounts, and asks tincan for what needs a capability.
              securityContext: {
                runAsUser: 0,
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
                seccompProfile: { type: 'RuntimeDefault' },
              },
              volumeMounts: [
                mount('run', RUN_DIR),
                mount('state', STATE_DIR),
                mount('cni-bin', '/host/opt/cni/bin'),
                mount('cni-conf', '/host/etc/cni/net.d'),
                mount('cni-data', CNI_DATA_DIR),
                mount('netns', NETNS_DIR, { readOnly: true, mountPropagation: 'HostToContainer' }),
                mount('tmp', '/tmp'),
              ],
            },
          ],
          volumes: [
            hostPath('run', RUN_DIR),
            hostPath('state', STATE_DIR),
            hostPath('cni-bin', settings.cniBinDir),
            hostPath('cni-conf', settings.cniConfDir),
            hostPath('cni-data', CNI_DATA_DIR),
            hostPath('netns', NETNS_DIR),
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
    },
  };
}
