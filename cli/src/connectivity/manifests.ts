/** What `evio connectivity` makes in the cluster: a namespace of its own, with pods of the image that every node has. Pure. */
import type { ConfigMap, Namespace, Pod, Service, ServiceAccount } from '../../../agent/src/kube-api/kinds.ts';
import type { Applied } from '../../../agent/src/kube-api/object.ts';
import { type Order, PORT, SERVICE, type Stand } from './order.ts';

/** On the namespace: one that lacks it is somebody else's, and is never deleted. */
export const OWNER_LABELS = { 'app.kubernetes.io/name': 'evio', 'app.kubernetes.io/component': 'connectivity-test' };
const ANSWERS = { 'evio.io/probe': 'answers' };
const EVIO = '/opt/evio/evio';
const ORDER_DIR = '/order';
export const ORDER_FILE = `${ORDER_DIR}/order.json`;
const ORDER_MAP = 'order';
const ACCOUNT = 'probes';

/** Pods in the network of their node are refused where Pod Security is enforced, unless the namespace says this. */
export const namespaceOf = (name: string): Applied<Namespace> => ({
  metadata: {
    name,
    labels: {
      ...OWNER_LABELS,
      'pod-security.kubernetes.io/enforce': 'privileged',
      'pod-security.kubernetes.io/warn': 'privileged',
      'pod-security.kubernetes.io/audit': 'privileged',
    },
  },
});

/** Of its own, because the default one of a new namespace takes a while to be there. It may do nothing. */
export const accountOf = (namespace: string): Applied<ServiceAccount> => ({
  metadata: { name: ACCOUNT, namespace },
  automountServiceAccountToken: false,
});

export const serviceOf = (namespace: string): Applied<Service> => ({
  metadata: { name: SERVICE, namespace },
  spec: {
    type: 'NodePort',
    ipFamilyPolicy: 'PreferDualStack',
    selector: ANSWERS,
    ports: [{ port: 80, targetPort: PORT, protocol: 'TCP' }],
  },
});

export const orderMapOf = (order: Order): Applied<ConfigMap> => ({
  metadata: { name: ORDER_MAP, namespace: order.namespace },
  data: { 'order.json': JSON.stringify(order) },
});

export const answeringName = (node: string): string => nameOf('answers', node);
export const askingName = (stand: Stand, node: string): string => nameOf(`asks-${stand}`, node);

/** Names of Nodes may have dots and 253 characters, which with what stands before them would be too many. */
function nameOf(begin: string, node: string): string {
  return `${begin}-${node}`.slice(0, 253).replace(/[-.]+$/, '');
}

/** Its node is named, not scheduled: cordoned and tainted ones are nodes of the network too. */
export const answeringPod = (namespace: string, node: string, image: string): Applied<Pod> =>
  pod(namespace, answeringName(node), node, image, { stand: 'pod', labels: ANSWERS, args: ['connectivity', 'answer'] });

export const askingPod = (namespace: string, node: string, image: string, stand: Stand): Applied<Pod> =>
  pod(namespace, askingName(stand, node), node, image, {
    stand,
    labels: { 'evio.io/probe': 'asks' },
    args: ['connectivity', 'ask', '--order', ORDER_FILE, '--stand', stand],
    order: true,
  });

/** Measures what the pods of the other nodes send to it, one after the other. */
export const measuringPod = (namespace: string, node: string, image: string, seconds: number): Applied<Pod> =>
  pod(namespace, askingName('pod', node), node, image, {
    stand: 'pod',
    labels: { 'evio.io/probe': 'asks' },
    args: ['connectivity', 'measure', '--order', ORDER_FILE, '--seconds', String(seconds)],
    order: true,
  });

interface What {
  readonly stand: Stand;
  readonly labels: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  readonly order?: true;
}

function pod(namespace: string, name: string, node: string, image: string, what: What): Applied<Pod> {
  const answers = what.order === undefined;
  const fromField = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    metadata: { name, namespace, labels: { ...OWNER_LABELS, ...what.labels } },
    spec: {
      nodeName: node,
      hostNetwork: what.stand === 'host',
      restartPolicy: 'Never',
      serviceAccountName: ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'probe',
          image,
          // The agent runs from it, so it is there; what it was pulled with is a Secret of another namespace.
          imagePullPolicy: 'IfNotPresent',
          command: [EVIO],
          args: what.args,
          env: [fromField('NODE_NAME', 'spec.nodeName'), fromField('POD_IPS', 'status.podIPs')],
          terminationMessagePolicy: 'FallbackToLogsOnError',
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
            runAsUser: 65_532,
            runAsGroup: 65_532,
            capabilities: { drop: ['ALL'] },
            seccompProfile: { type: 'RuntimeDefault' },
          },
          ...(answers
            ? {
                ports: [{ containerPort: PORT, protocol: 'TCP' }],
                readinessProbe: { httpGet: { path: '/', port: PORT }, periodSeconds: 1 },
              }
            : { volumeMounts: [{ name: ORDER_MAP, mountPath: ORDER_DIR, readOnly: true }] }),
        },
      ],
      ...(answers ? {} : { volumes: [{ name: ORDER_MAP, configMap: { name: ORDER_MAP } }] }),
    },
  } as Applied<Pod>;
}
