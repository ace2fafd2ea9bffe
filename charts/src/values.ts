/**
 * The values of the chart: what may be set, what it is when it is not, and what it means. `values.yaml`, `values.schema.json` and the
 * table in docs/install.md are made of it (`node hack/generated.ts`).
 */
import * as z from 'zod';

const say = <T extends z.ZodType>(schema: T, description: string): T => schema.meta({ description });
/** A section: its fields have defaults, and so it may be left out. */
const section = <T extends z.ZodRawShape>(description: string, shape: T) =>
  say(z.strictObject(shape).prefault({} as never), description);

const text = (description: string, standard = '') => say(z.string().default(standard), description);
const flag = (description: string, standard: boolean) => say(z.boolean().default(standard), description);
const port = (description: string, standard: number) => say(z.int().min(1).max(65535).default(standard), description);
/** Of a type of the Kubernetes API, which knows best what is allowed. */
const object = z.record(z.string(), z.unknown());
const kubernetes = (description: string, standard: Record<string, unknown> = {}) =>
  say(object.default(standard), description);
const objects = (description: string, standard: Record<string, unknown>[]) =>
  say(z.array(object).default(standard), description);
const path = (description: string, standard: string) =>
  say(
    z
      .string()
      .regex(/^\/[^,]*$/)
      .default(standard),
    description,
  );

const resourcesOf = (cpu: string, memory: string) => ({
  resources: kubernetes('Requests and limits. No limit of the processor: it would be felt as latency by every pod.', {
    requests: { cpu, memory },
  }),
});
const resources = (description: string, cpu: string, memory: string) => section(description, resourcesOf(cpu, memory));

const CONTROL_PLANE = 'node-role.kubernetes.io/control-plane';
const exists = (key: string) => ({ key, operator: 'Exists' });

export const values = z.strictObject({
  images: section('Where the images come from.', {
    registry: text(
      "What stands before the images' names. Images that were imported into containerd are localhost/evio.",
      'localhost/evio',
    ),
    tag: text("Version of the images; empty: the chart's own."),
    pullPolicy: say(
      z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
      'When the kubelet pulls them.',
    ),
    pullSecrets: say(
      z.array(z.string().min(1)).default([]),
      'Names of Secrets for the registry, in the namespace of the release.',
    ),
    agent: text('The whole reference of the image agent, instead of registry, name and tag.'),
    dataplane: text('The same for the image dataplane.'),
    operator: text('The same for the image operator.'),
    server: text('The same for the image server.'),
  }),
  paths: section('Where the kubelet and its container runtime have their files, on every node.', {
    cniBinDir: path('CNI plugins. k3s: /var/lib/rancher/k3s/data/cni', '/opt/cni/bin'),
    cniConfDir: path('CNI configuration. k3s: /var/lib/rancher/k3s/agent/etc/cni/net.d', '/etc/cni/net.d'),
  }),
  k8sServiceHost: text(
    'Address or name of the API server for the pods of Evio. Empty: the Service "kubernetes", which needs kube-proxy on the nodes; ' +
      'agents get what the operator finds in the cluster.',
  ),
  k8sServicePort: port('Port of the API server at k8sServiceHost; it counts only with that.', 6443),
  apiServers: say(
    z
      .array(z.string().regex(/^https:\/\/[^,\s]+$/))
      .max(8)
      .default([]),
    'URLs of API servers that agents may use, like https://203.0.113.6:6443. Empty: k8sServiceHost, or what the operator finds.',
  ),
  network: section(
    'The EvioNetwork "default". Instead, you can apply one yourself: manifests/samples/evionetwork.yaml.',
    {
      create: flag('Whether the chart makes it and keeps it as it says here.', false),
      mode: say(
        z.enum(['', 'PodNetwork', 'HostNetwork']).default(''),
        'HostNetwork: Evio joins the nodes, and another network plugin, like Flannel, runs over it; PodNetwork: Evio is the plugin. Either ' +
          'is the mode of the spec, and the chart makes the network, as with network.create. Empty: what network.spec says.',
      ),
      spec: kubernetes('Its spec; kubectl explain evionetwork.spec says what there is. Empty is a working network.'),
    },
  ),
  operator: section('The operator.', {
    replicas: say(z.int().min(1).max(5).default(1), 'How many; one of them leads, the others wait.'),
    logLevel: say(z.enum(['error', 'warn', 'info', 'debug']).default('info'), 'How much it logs.'),
    logFormat: say(
      z.enum(['text', 'json']).default('text'),
      'How operator and agents log: a line of text, or a JSON object (docs/logs.md).',
    ),
    metricsPort: port('Prometheus metrics, on all addresses of its node.', 10480),
    healthPort: port('Probes, on the loopback address of its node.', 10481),
    mapPort: say(
      z.int().min(0).max(65535).default(0),
      'The live map (docs/map.md), which shows and changes nothing; 0: there is none. 10482 is free for it.',
    ),
    mapAddress: text(
      'Where on its node the map is served. On the loopback address kubectl port-forward reaches it, and who may do that may look; at any ' +
        'other address everybody may who reaches it.',
      '127.0.0.1',
    ),
    mapNames: say(
      z.array(z.string().regex(/^[^,\s]+$/)).default([]),
      'Names under which browsers may ask for the map, besides addresses and localhost: those of an Ingress before it.',
    ),
    priorityClassName: text('What it may push away when a node is full.', 'system-cluster-critical'),
    nodeSelector: kubernetes('Labels of the nodes it may run on.'),
    affinity: kubernetes('Where it would rather run. As it is: on the control plane, where there is one to be had.', {
      nodeAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, preference: { matchExpressions: [exists(CONTROL_PLANE)] } },
        ],
      },
    }),
    tolerations: objects('Taints it puts up with. It has to run before there is a network.', [
      exists(CONTROL_PLANE),
      exists('node.kubernetes.io/not-ready'),
      exists('node.kubernetes.io/network-unavailable'),
      exists('node.cloudprovider.kubernetes.io/uninitialized'),
      exists('node.evio.io/agent-not-ready'),
    ]),
    podAnnotations: kubernetes('Annotations of its pods.'),
    resources: kubernetes('Requests and limits.', {
      requests: { cpu: '50m', memory: '160Mi' },
      limits: { memory: '512Mi' },
    }),
  }),
  agent: section('The agents, one on each node.', {
    ...resourcesOf('50m', '100Mi'),
    metricsPort: say(
      z.int().min(0).max(65535).default(0),
      "Prometheus metrics at the node's overlay addresses, for whoever reaches those: pods and other nodes; 0: only on 127.0.0.1:10456 of the node. 10455 is free for it.",
    ),
  }),
  dataplane: resources('tincan, one on each node.', '100m', '16Mi'),
  server: resources('Prosody and coturn, when the cluster has its own.', '50m', '64Mi'),
  daemonTolerations: objects('Taints that agents and tincan put up with. As it is: all.', [{ operator: 'Exists' }]),
  monitoring: section('For a cluster with the Prometheus operator, and Grafana with a sidecar that reads dashboards.', {
    podMonitors: flag(
      'PodMonitors for the operator, and for the agents where agent.metricsPort is set (docs/metrics.md).',
      false,
    ),
    rules: flag('A PrometheusRule with the alerts of docs/runbooks.md.', false),
    dashboards: flag('ConfigMaps with two dashboards for Grafana, labelled grafana_dashboard: "1".', false),
    interval: text('How often PodMonitors have Prometheus ask.', '30s'),
    labels: kubernetes(
      'More labels of all of these, by which your Prometheus chooses: {release: prometheus} for instance.',
    ),
  }),
  crds: section(
    'The definitions of EvioNetwork and EvioNode. The operator brings them up to date as well, when it starts.',
    {
      install: flag('Whether the chart has them.', true),
      keep: flag('Whether they stay, with all that is in them, when the release is uninstalled.', true),
    },
  ),
  policies: section(
    'ValidatingAdmissionPolicies: what one object cannot know, and that an agent writes of its own node only.',
    {
      install: flag(
        'Whether the chart has them. Without them every agent may write the state of every node, and who makes join tokens may make the authority.',
        true,
      ),
    },
  ),
  namespace: section('The namespace of the release.', {
    create: flag(
      'Whether the chart makes it, labelled for pods that need rights on the node; helm install --create-namespace makes it without labels.',
      false,
    ),
  }),
  priorityQuota: section('The quota that some clusters (GKE) ask for where pods are system-node-critical.', {
    create: flag('Whether the chart makes it.', false),
  }),
  uninstall: section('What helm uninstall does first: it deletes the EvioNetwork, so that the nodes are cleaned.', {
    timeoutSeconds: say(
      z.int().min(10).max(3600).default(120),
      'How long the operator has for that; then it is taken out of the way, and what is left is named in the log.',
    ),
  }),
  tests: section('helm test: pods on two nodes talk to each other.', {
    image: text('The image it runs in; empty: that of the operator.'),
    timeoutSeconds: say(z.int().min(10).max(3600).default(120), 'How long it may take.'),
  }),
});

export type Values = z.output<typeof values>;
