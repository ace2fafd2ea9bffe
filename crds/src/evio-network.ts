/** EvioNetwork: what a person wants of the network, and in its status what there is. One for each cluster, named `default`. */
import * as z from 'zod';
import { networkPrefixRules, onePerFamily } from './cel.ts';
import { conditions } from './condition.ts';
import { field, type Rule } from './field.ts';
import { networkRules } from './network-rules.ts';
import { ice, nodeSelector, SELECTOR, signalling } from './network-servers.ts';
import type { API_VERSION, ObjectMeta } from './object-meta.ts';

export const NETWORK_NAME = 'default';

/** The longest text of an IPv6 prefix: 39 characters, "/" and 3 digits. */
const CIDR_MAX = 43;
const DNS_MAX = 253;

const unchangeable = (what: string): Rule => ({
  rule: 'self == oldSelf',
  message: `${what} cannot be changed: pods and nodes were set up with it; delete the EvioNetwork and make it anew, or set it back`,
});

const nodeCIDR = field(z.string().max(CIDR_MAX), {
  description: 'A network prefix.',
  rules: [
    ...networkPrefixRules('10.45.0.0/16', 'fd45::/64'),
    {
      rule: '!isCIDR(self) || cidr(self).prefixLength() <= (cidr(self).ip().family() == 4 ? 30 : 126)',
      message: 'this prefix has no addresses for two nodes: write one of at most /30 (IPv4) or /126 (IPv6)',
    },
  ],
});

const podCIDR = field(z.string().max(CIDR_MAX), {
  description: 'A network prefix.',
  rules: networkPrefixRules('10.244.0.0/16', 'fd00:10:244::/56'),
});

const serviceCIDR = field(z.string().max(CIDR_MAX), {
  description: 'A network prefix.',
  rules: networkPrefixRules('10.96.0.0/12', 'fd00:10:96::/112'),
});

const LINKS_MAX = 64;
const AUTO_LINKS = /^auto(:([0-9]|[1-5][0-9]|6[0-4]))?$/;

const topology = z.strictObject({
  successors: field(z.int().min(1).max(8).default(2), { description: 'Ring neighbours each way.' }),
  longDistance: field(
    z.union([z.int().min(0).max(LINKS_MAX), z.string().max('auto:64'.length).regex(AUTO_LINKS)]).optional(),
    {
      description:
        'Long-distance links of each node: a number; `auto`, ceil(log2 n) with n nodes; or `auto:8`, those, but at most 8.',
      rules: [
        {
          rule: `type(self) == int ? (self >= 0 && self <= ${LINKS_MAX}) : self.matches('${AUTO_LINKS.source}')`,
          message:
            'longDistance must be a whole number from 0 to 64, auto, or auto: with the most links there may be, like auto:8',
        },
      ],
      absent: 'auto',
    },
  ),
  onDemand: field(z.int().min(0).max(255).default(8), {
    description: 'At most so many tunnels of a node are made because it talks much with another.',
  }),
  fullMesh: field(z.enum(['Auto', 'Never']).default('Auto'), {
    description: 'Whether a small network is a full mesh.',
  }),
});

const nodePrefixLength = z.strictObject({
  ipv4: field(z.int().min(9).max(30).default(24), { description: 'In bits, of IPv4.' }),
  ipv6: field(z.int().min(9).max(126).default(64), { description: 'In bits, of IPv6.' }),
});

export const evioNetworkSpec = field(
  z.strictObject({
    mode: field(z.enum(['PodNetwork', 'HostNetwork']).default('PodNetwork'), {
      description:
        "What the overlay carries. PodNetwork: Evio is the cluster's network plugin. HostNetwork: it joins the nodes, and another plugin, like Flannel, runs over it.",
      rules: [unchangeable('mode')],
    }),
    nodeCIDRs: field(z.array(nodeCIDR).min(1).max(2).default(['10.45.0.0/16']), {
      description: 'Overlay addresses of the nodes: at most one prefix for each of IPv4 and IPv6. They can only grow.',
      rules: [
        onePerFamily('nodeCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix'),
        {
          rule: 'oldSelf.all(o, self.exists(n, isCIDR(n) && isCIDR(o) && cidr(n).containsCIDR(o)))',
          message:
            'nodeCIDRs can only grow, because nodes keep their addresses: each prefix that was there must lie within one that is there now',
        },
      ],
    }),
    podCIDRs: field(z.array(podCIDR).max(2).optional(), {
      description:
        'Addresses of pods in PodNetwork: at most one prefix for each of IPv4 and IPv6. They can only grow. Must be left out in HostNetwork.',
      rules: [onePerFamily('podCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix')],
      absent: '["10.244.0.0/16"] in PodNetwork',
    }),
    nodePrefixLength: field(nodePrefixLength.prefault({}), {
      description: 'The prefix length of the piece of podCIDRs that each node gets.',
    }),
    pods: field(
      z
        .strictObject({
          attachment: field(z.enum(['Routed', 'Flat']).default('Routed'), {
            description:
              "How pods are attached. Routed: every packet passes the node's routing, so Services and policies see it. Flat: all pods are in one Ethernet, with broadcast and multicast; kube-proxy then needs masqueradeAll.",
            rules: [unchangeable('pods.attachment')],
          }),
        })
        .prefault({}),
      { description: 'How pods are attached, in PodNetwork.' },
    ),
    mtu: field(z.int().min(1280).max(9000).optional(), {
      description: 'The MTU of the overlay and of pods, in bytes.',
      rules: [
        {
          rule: 'self >= 1280 && self <= 9000',
          message:
            'mtu must be from 1280, the least that IPv6 works with (RFC 8200 §5), to 9000: write such a number, or leave mtu out',
        },
      ],
      absent: '1400',
    }),
    topology: field(topology.prefault({}), { description: 'Which nodes keep tunnels to each other.' }),
    signalling: field(signalling.prefault({ embedded: {} }), {
      description: 'How nodes find each other: an XMPP server, in this cluster or elsewhere.',
      rules: [
        {
          rule: 'has(self.embedded) != has(self.external)',
          message: 'signalling is either embedded or external: write exactly one of the two',
        },
      ],
    }),
    ice: field(ice.prefault({}), { description: 'Servers that help through NATs.' }),
    switch: field(z.enum(['Tincan', 'OpenVSwitch']).default('Tincan'), {
      description:
        "The switch on each node: the one in Evio's datapath, or Open vSwitch, which must be installed there.",
    }),
    nodeSelector: field(nodeSelector.default({}), {
      description: 'Labels of the nodes that belong to the network. Empty: all nodes.',
      ...SELECTOR,
    }),
    gateways: field(
      z
        .strictObject({
          nodeSelector: field(nodeSelector.default({}), {
            description: 'Labels of the nodes of which one carries Services. Empty: any node.',
            ...SELECTOR,
          }),
          serviceCIDRs: field(z.array(serviceCIDR).min(1).max(2), {
            description:
              "The addresses of the cluster's Services, as kube-apiserver has them (--service-cluster-ip-range): at most one prefix for each of IPv4 and IPv6.",
            rules: [
              onePerFamily('serviceCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix'),
            ],
          }),
        })
        .optional(),
      {
        description:
          'A way to Services for EvioPeers: one node, of those that match, carries their addresses, and another one when its kubelet is silent. kube-proxy there has to masquerade what comes from outside the cluster (--cluster-cidr, or --masquerade-all).',
        absent: 'EvioPeers reach pods and nodes by their own addresses only',
      },
    ),
    nodeAddresses: field(z.enum(['Auto', 'Never']).default('Auto'), {
      description:
        "Auto: where a kubelet leaves its addresses to a cloud controller (--cloud-provider=external), InternalIP becomes the node's overlay address. Never: nodes' addresses are left alone.",
    }),
    security: field(
      z
        .strictObject({
          certificateLifetimeHours: field(z.int().min(24).max(8760).default(720), {
            description: "How long a node's certificate lasts, in hours. It is renewed after half of that.",
          }),
        })
        .prefault({}),
      { description: 'Who may be a node, and how long.' },
    ),
    agent: field(
      z
        .strictObject({
          logLevel: field(z.enum(['error', 'warn', 'info', 'debug']).default('info'), {
            description: 'How much the agents log.',
          }),
        })
        .prefault({}),
      { description: 'The agents on the nodes.' },
    ),
  }),
  { description: 'What is wanted. Every field has a default.', rules: networkRules },
);

const count = (description: string) => field(z.int().min(0).max(2_147_483_647).optional(), { description });
const nodeName = (description: string) => field(z.string().max(DNS_MAX), { description });

export const evioNetworkStatus = field(
  z.strictObject({
    observedGeneration: field(z.int().min(0).optional(), {
      description: 'The metadata.generation that the operator has acted on.',
    }),
    conditions: conditions(
      'How the network is: Ready, Available, Progressing, Degraded, and for each part of it SignallingReady, RelayReady, AddressPoolReady, RingConsistent and DataPlaneVerified.',
    ),
    overlayID: field(
      z
        .string()
        .max(32)
        .regex(/^[0-9a-f]{32}$/)
        .optional(),
      { description: 'The overlay id, 16 bytes in hex.' },
    ),
    authorityKey: field(
      z
        .string()
        .max(44)
        .regex(/^[A-Za-z0-9+/]{43}=$/)
        .optional(),
      { description: "The public key of the authority that signs the nodes' certificates: Ed25519 in base64." },
    ),
    nodes: field(
      z
        .strictObject({
          desired: count('Nodes that belong to the network.'),
          ready: count('Those of them that are ready.'),
          offline: count('Those of them that have not been heard of for a while.'),
          summary: field(z.string().max(32).optional(), { description: 'ready/desired, for the column NODES.' }),
        })
        .optional(),
      { description: 'How many nodes there are.' },
    ),
    tunnels: field(
      z
        .strictObject({
          total: count('Wanted tunnels, counted at both ends.'),
          direct: count('Tunnels without a relay.'),
          relayed: count('Tunnels over a relay.'),
          failed: count('Wanted tunnels that are down.'),
        })
        .optional(),
      { description: 'How many tunnels the nodes have.' },
    ),
    addresses: field(
      z
        .strictObject({
          nodesFree: field(z.int().min(0).optional(), {
            description: 'Nodes that there are overlay addresses left for, at most 2147483647.',
          }),
          podPrefixesFree: field(z.int().min(0).optional(), {
            description: 'Nodes that there are pieces of podCIDRs left for, at most 2147483647.',
          }),
        })
        .optional(),
      { description: 'What is left of the address pools.' },
    ),
    gateway: field(z.string().max(DNS_MAX).optional(), {
      description: 'The node that carries the addresses of Services for EvioPeers now.',
    }),
    effectiveMTU: count('The MTU of the overlay and of pods, in bytes.'),
    versions: field(
      z
        .array(
          z.strictObject({
            version: field(z.string().max(64), { description: 'A version of the agent.' }),
            nodes: field(z.int().min(0).max(2_147_483_647), { description: 'How many nodes run it.' }),
          }),
        )
        .max(16)
        .optional(),
      { description: 'Versions of the agents.', listKeys: ['version'] },
    ),
    unreachablePairs: field(
      z
        .array(
          z.strictObject({
            from: nodeName('A node.'),
            to: nodeName('The node that it does not reach.'),
          }),
        )
        .max(16)
        .optional(),
      { description: 'Nodes that do not reach each other, at most 16.', listKeys: ['from', 'to'] },
    ),
  }),
  { description: 'What there is. Written by the operator.' },
);

/** As a person writes it. */
export type EvioNetworkSpecInput = z.input<typeof evioNetworkSpec>;
/** With the defaults, as the API server gives it out. */
export type EvioNetworkSpec = z.output<typeof evioNetworkSpec>;
export type EvioNetworkStatus = z.output<typeof evioNetworkStatus>;

export interface EvioNetwork {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'EvioNetwork';
  readonly metadata: ObjectMeta;
  readonly spec: EvioNetworkSpec;
  readonly status?: EvioNetworkStatus | undefined;
}
/** What `kubectl apply` takes. */
export interface EvioNetworkInput {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'EvioNetwork';
  readonly metadata: ObjectMeta;
  readonly spec?: EvioNetworkSpecInput | undefined;
}
