/** What runs in the cluster to be talked to. */
import { readFileSync } from 'node:fs';
import { VERSION } from '../../agent/src/version.ts';

/** The agent's image has Node.js, which is all that a probe needs. */
export const PROBE_IMAGE = `localhost/evio/agent:${VERSION}`;
export const PROBES = 'probes';
export const PORT = 8080;
export const HOST_PORT = 18_080;
export const NODE_PORT = 30_080;

const labels = { app: PROBES };
const service = (name: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { selector: labels, ports: [{ port: 80, targetPort: PORT }], ...spec },
});

export const probes = (): readonly object[] => [
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: PROBES, namespace: 'default' },
    data: { 'probe.mjs': readFileSync(new URL('probe.mjs', import.meta.url), 'utf8') },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: PROBES, namespace: 'default' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
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
          ],
          volumes: [{ name: 'probe', configMap: { name: PROBES } }],
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
