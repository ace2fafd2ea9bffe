/** What runs in the cluster to be talked to. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { VERSION } from '../../agent/src/version.ts';

/** The agent's image has Node.js, which is all that a probe needs. */
export const PROBE_IMAGE = `localhost/evio/agent:${VERSION}`;
export const PROBES = 'probes';
export const PORT = 8080;
/** Of test/load, which runs beside the probe. */
export const LOAD_PORT = 8081;
export const HOST_PORT = 18_080;
export const NODE_PORT = 30_080;
/** What a pod can call all others by, as probe.mjs takes it: an address that no router passes on. */
export const GATHER = {
  'multicast (IPv4)': { type: 'udp4', to: '239.255.45.45' },
  'multicast (IPv6)': { type: 'udp6', to: 'ff15::45:45%eth0' },
  'broadcast (IPv4)': { type: 'udp4', to: '255.255.255.255' },
} as const;

interface Manifest extends Readonly<Record<string, unknown>> {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const LOAD = join(process.env.CARGO_TARGET_DIR ?? resolve('target'), 'release/load');

const labels = { app: PROBES };
const service = (name: string, spec: object): Manifest => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector: labels, ports: [{ port: 80, targetPort: PORT }], ...spec },
});

export const probes = (): readonly Manifest[] => [
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: PROBES, namespace: 'default' },
    data: { 'probe.mjs': readFileSync(new URL('probe.mjs', import.meta.url), 'utf8') },
    binaryData: { load: readFileSync(LOAD).toString('base64') },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: PROBES, namespace: 'default' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { 'kubectl.kubernetes.io/default-container': 'probe' } },
        spec: {
          tolerations: [{ key: 'node-role.kubernetes.io/control-plane', operator: 'Exists' }],
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'probe',
              image: PROBE_IMAGE,
              imagePullPolicy: 'Never',
              command: ['/usr/local/bin/node', '/probe/probe.mjs'],
              env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
              ports: [{ containerPort: PORT, hostPort: HOST_PORT }],
              readinessProbe: { httpGet: { path: '/', port: PORT }, periodSeconds: 1 },
              volumeMounts: [{ name: 'probe', mountPath: '/probe' }],
            },
            {
              name: 'load',
              image: PROBE_IMAGE,
              imagePullPolicy: 'Never',
              command: ['/probe/load', String(LOAD_PORT)],
              // Without a request it would get a turn when nobody else wants one.
              resources: { requests: { cpu: '250m' } },
              readinessProbe: { httpGet: { path: '/', port: LOAD_PORT }, periodSeconds: 1 },
              volumeMounts: [{ name: 'probe', mountPath: '/probe' }],
            },
          ],
          volumes: [{ name: 'probe', configMap: { name: PROBES, defaultMode: 0o555 } }],
        },
      },
    },
  },
  service('probes', {}),
  service('probes6', { ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' }),
  service('probes-port', {
    type: 'NodePort',
    ipFamilyPolicy: 'RequireDualStack',
    ports: [{ port: 80, targetPort: PORT, nodePort: NODE_PORT }],
  }),
];
