/**
 * Examples of the API, a pair for each rule that one object can break: crds/examples/KIND/NAME.accepted.yaml and
 * NAME.refused.yaml. In a file with several documents each is what the object was before the next. test/contract/crds.test.ts applies
 * all of them to a real API server.
 */

export interface Example {
  readonly kind: 'EvioNetwork' | 'EvioNode' | 'EvioPeer';
  /** What the files are called. */
  readonly name: string;
  /** The field that the API server blames. */
  readonly field: string;
  /** What the API server calls the value that the rule was about. */
  readonly type: 'object' | 'array' | 'string' | 'integer' | undefined;
  /** What the person reads. */
  readonly sentence: string;
  /** What else the API server says of the same mistake. */
  readonly also?: readonly string[];
}

/** For the rule of the whole object. */
export const ROOT = '<nil>';

export const EXAMPLES: readonly Example[] = [
  {
    kind: 'EvioNetwork',
    name: 'name',
    field: ROOT,
    type: 'object',
    sentence: 'a cluster has one EvioNetwork, and its name is default: write "name: default"',
  },
  {
    kind: 'EvioNetwork',
    name: 'mode-unchangeable',
    field: 'spec.mode',
    type: 'string',
    sentence:
      'mode cannot be changed: pods and nodes were set up with it; delete the EvioNetwork and make it anew, or set it back',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidr-form',
    field: 'spec.nodeCIDRs[0]',
    type: 'string',
    sentence: 'this is no network prefix: write an address with its prefix length, like 10.45.0.0/16 or fd45::/64',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidr-masked',
    field: 'spec.nodeCIDRs[0]',
    type: 'string',
    sentence: "this prefix has bits behind its length: write the network's own address, like 10.45.0.0/16",
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidr-unicast',
    field: 'spec.nodeCIDRs[0]',
    type: 'string',
    sentence:
      'addresses for nodes and pods cannot be loopback, link-local, multicast or unspecified ones: write a private prefix like 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8 or a part of one',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidr-room',
    field: 'spec.nodeCIDRs[0]',
    type: 'string',
    sentence: 'this prefix has no addresses for two nodes: write one of at most /30 (IPv4) or /126 (IPv6)',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidrs-families',
    field: 'spec.nodeCIDRs',
    type: 'array',
    sentence: 'nodeCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-cidrs-grow',
    field: 'spec.nodeCIDRs',
    type: 'array',
    sentence:
      'nodeCIDRs can only grow, because nodes keep their addresses: each prefix that was there must lie within one that is there now',
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidr-form',
    field: 'spec.podCIDRs[1]',
    type: 'string',
    sentence:
      'this is no network prefix: write an address with its prefix length, like 10.244.0.0/16 or fd00:10:244::/56',
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidr-masked',
    field: 'spec.podCIDRs[0]',
    type: 'string',
    sentence: "this prefix has bits behind its length: write the network's own address, like 10.244.0.0/16",
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidr-unicast',
    field: 'spec.podCIDRs[0]',
    type: 'string',
    sentence:
      'addresses for nodes and pods cannot be loopback, link-local, multicast or unspecified ones: write a private prefix like 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8 or a part of one',
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidrs-families',
    field: 'spec.podCIDRs',
    type: 'array',
    sentence: 'podCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix',
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidrs-grow',
    field: 'spec.podCIDRs',
    type: 'object',
    sentence:
      'podCIDRs can only grow: each prefix that was there must lie within one that is there now (without podCIDRs, pods have 10.244.0.0/16)',
  },
  {
    kind: 'EvioNetwork',
    name: 'pod-cidrs-mode',
    field: 'spec.podCIDRs',
    type: 'object',
    sentence:
      'podCIDRs belong to the mode PodNetwork: with HostNetwork another network plugin gives pods their addresses, so leave podCIDRs out',
  },
  {
    kind: 'EvioNetwork',
    name: 'pods-attachment-unchangeable',
    field: 'spec.pods.attachment',
    type: 'string',
    sentence:
      'pods.attachment cannot be changed: pods and nodes were set up with it; delete the EvioNetwork and make it anew, or set it back',
  },
  {
    kind: 'EvioNetwork',
    name: 'pods-attachment-mode',
    field: 'spec.pods.attachment',
    type: 'object',
    sentence:
      'pods.attachment Flat belongs to the mode PodNetwork: with HostNetwork another network plugin attaches the pods, so leave pods out',
  },
  {
    kind: 'EvioNetwork',
    name: 'cidrs-disjoint',
    field: 'spec.nodeCIDRs',
    type: 'object',
    sentence:
      'nodeCIDRs and podCIDRs overlap: give nodes and pods prefixes that share no address (without podCIDRs, pods get 10.244.0.0/16)',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-prefix-length-room',
    field: 'spec.nodePrefixLength',
    type: 'object',
    sentence:
      'podCIDRs have no room for two nodes: nodePrefixLength must be longer than the prefix it cuts, like ipv4: 24 for 10.244.0.0/16; write a shorter prefix or a longer nodePrefixLength',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-prefix-length-ipv4-unchangeable',
    field: 'spec.nodePrefixLength.ipv4',
    type: 'object',
    sentence:
      "nodePrefixLength.ipv4 cannot be changed once podCIDRs has a prefix of this family: the nodes' pieces were cut with it; set it back",
  },
  {
    kind: 'EvioNetwork',
    name: 'node-prefix-length-ipv6-unchangeable',
    field: 'spec.nodePrefixLength.ipv6',
    type: 'object',
    sentence:
      "nodePrefixLength.ipv6 cannot be changed once podCIDRs has a prefix of this family: the nodes' pieces were cut with it; set it back",
  },
  {
    kind: 'EvioNetwork',
    name: 'mtu',
    field: 'spec.mtu',
    type: 'integer',
    sentence:
      'mtu must be from 1280, the least that IPv6 works with (RFC 8200 §5), to 9000: write such a number, or leave mtu out',
    also: ['Invalid value: 1279: spec.mtu in body should be greater than or equal to 1280'],
  },
  {
    kind: 'EvioNetwork',
    name: 'topology-long-distance',
    field: 'spec.topology.longDistance',
    type: undefined,
    sentence:
      'longDistance must be a whole number from 0 to 64, auto, or auto: with the most links there may be, like auto:8',
    also: [
      `Invalid value: "auto:65": spec.topology.longDistance in body should match '^auto(:([0-9]|[1-5][0-9]|6[0-4]))?$'`,
    ],
  },
  {
    kind: 'EvioNetwork',
    name: 'signalling-one',
    field: 'spec.signalling',
    type: 'object',
    sentence: 'signalling is either embedded or external: write exactly one of the two',
  },
  {
    kind: 'EvioNetwork',
    name: 'embedded-host',
    field: 'spec.signalling.embedded.host',
    type: 'string',
    sentence: 'this is no address and no name: write what nodes are to dial, like 203.0.113.10 or evio.example.org',
  },
  {
    kind: 'EvioNetwork',
    name: 'embedded-node-selector-name',
    field: 'spec.signalling.embedded.nodeSelector',
    type: 'object',
    sentence: "a label's name has 1 to 317 characters: write it as in the labels of the nodes, like kubernetes.io/arch",
  },
  {
    kind: 'EvioNetwork',
    name: 'embedded-node-selector-value',
    field: 'spec.signalling.embedded.nodeSelector[kubernetes.io/hostname]',
    type: 'string',
    sentence: 'this is no value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends',
  },
  {
    kind: 'EvioNetwork',
    name: 'external-service',
    field: 'spec.signalling.external.service',
    type: 'string',
    sentence: 'this is no XMPP server: write xmpps://HOST:PORT, like xmpps://xmpp.example.org:5223',
  },
  {
    kind: 'EvioNetwork',
    name: 'external-domain',
    field: 'spec.signalling.external.domain',
    type: 'string',
    sentence: 'this is no domain name: write it in lower case, like evio.example.org',
  },
  {
    kind: 'EvioNetwork',
    name: 'external-conference',
    field: 'spec.signalling.external.conference',
    type: 'string',
    sentence: 'this is no domain name: write it in lower case, like evio.example.org',
  },
  {
    kind: 'EvioNetwork',
    name: 'external-admin-secret',
    field: 'spec.signalling.external.adminSecretRef.name',
    type: 'string',
    sentence:
      'this is no name of a Secret: lower-case letters, digits, "-" and ".", with a letter or digit at both ends',
  },
  {
    kind: 'EvioNetwork',
    name: 'external-ca-secret',
    field: 'spec.signalling.external.caSecretRef.name',
    type: 'string',
    sentence:
      'this is no name of a Secret: lower-case letters, digits, "-" and ".", with a letter or digit at both ends',
  },
  {
    kind: 'EvioNetwork',
    name: 'stun-form',
    field: 'spec.ice.stun[1]',
    type: 'string',
    sentence: 'this is no STUN server: write HOST:PORT, like 203.0.113.10:3478 or [2001:db8::1]:3478',
  },
  {
    kind: 'EvioNetwork',
    name: 'turn-embedded',
    field: 'spec.ice.turn',
    type: 'object',
    sentence:
      "ice.turn Embedded needs signalling.embedded, which gives out the relay's credentials: write Signalling to use the relays that the external XMPP server offers, or None",
  },
  {
    kind: 'EvioNetwork',
    name: 'turn-signalling',
    field: 'spec.ice.turn',
    type: 'object',
    sentence:
      'ice.turn Signalling needs signalling.external: the embedded server offers only the embedded relay; write Embedded or None',
  },
  {
    kind: 'EvioNetwork',
    name: 'relay-ports-order',
    field: 'spec.ice.relayPorts',
    type: 'object',
    sentence: 'min is above max: write the lower port in min and the higher one in max',
  },
  {
    kind: 'EvioNetwork',
    name: 'relay-ports-relay',
    field: 'spec.ice.relayPorts',
    type: 'object',
    sentence:
      'ice.relayPorts are those of the embedded relay, and there is none here: leave them out, or write ice.turn Embedded',
  },
  {
    kind: 'EvioNetwork',
    name: 'node-selector-name',
    field: 'spec.nodeSelector',
    type: 'object',
    sentence: "a label's name has 1 to 317 characters: write it as in the labels of the nodes, like kubernetes.io/arch",
  },
  {
    kind: 'EvioNetwork',
    name: 'node-selector-value',
    field: 'spec.nodeSelector[evio.io/member]',
    type: 'string',
    sentence: 'this is no value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends',
  },
  {
    kind: 'EvioNetwork',
    name: 'service-cidr-form',
    field: 'spec.gateways.serviceCIDRs[0]',
    type: 'string',
    sentence:
      'this is no network prefix: write an address with its prefix length, like 10.96.0.0/12 or fd00:10:96::/112',
  },
  {
    kind: 'EvioNetwork',
    name: 'service-cidr-masked',
    field: 'spec.gateways.serviceCIDRs[0]',
    type: 'string',
    sentence: "this prefix has bits behind its length: write the network's own address, like 10.96.0.0/12",
  },
  {
    kind: 'EvioNetwork',
    name: 'service-cidr-unicast',
    field: 'spec.gateways.serviceCIDRs[0]',
    type: 'string',
    sentence:
      'addresses for nodes and pods cannot be loopback, link-local, multicast or unspecified ones: write a private prefix like 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fd00::/8 or a part of one',
  },
  {
    kind: 'EvioNetwork',
    name: 'service-cidrs-families',
    field: 'spec.gateways.serviceCIDRs',
    type: 'array',
    sentence: 'serviceCIDRs has two prefixes of one family: write at most one IPv4 and one IPv6 prefix',
  },
  {
    kind: 'EvioNetwork',
    name: 'service-cidrs-overlap',
    field: 'spec.gateways.serviceCIDRs',
    type: 'object',
    sentence:
      "gateways.serviceCIDRs overlap nodeCIDRs or podCIDRs: write the addresses of the cluster's Services, which nodes and pods do not have",
  },
  {
    kind: 'EvioNetwork',
    name: 'gateway-selector-name',
    field: 'spec.gateways.nodeSelector',
    type: 'object',
    sentence: "a label's name has 1 to 317 characters: write it as in the labels of the nodes, like kubernetes.io/arch",
  },
  {
    kind: 'EvioNetwork',
    name: 'gateway-selector-value',
    field: 'spec.gateways.nodeSelector[evio.io/gateway]',
    type: 'string',
    sentence: 'this is no value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends',
  },
  {
    kind: 'EvioNode',
    name: 'member-name-unchangeable',
    field: 'spec.memberName',
    type: 'string',
    sentence:
      'memberName cannot be changed: peers and the certificate know the node by it; delete the EvioNode, and the operator makes it anew',
  },
  {
    kind: 'EvioNode',
    name: 'address-form',
    field: 'spec.addresses[0]',
    type: 'string',
    sentence: 'this is no address with a prefix length: write it like 10.45.0.3/16 or fd45::3/64',
  },
  {
    kind: 'EvioNode',
    name: 'addresses-families',
    field: 'spec.addresses',
    type: 'array',
    sentence: 'addresses has two of one family: a node has at most one IPv4 and one IPv6 address',
  },
  {
    kind: 'EvioNode',
    name: 'addresses-stay',
    field: 'spec.addresses',
    type: 'array',
    sentence:
      "a node's addresses cannot be changed, because peers and pods know it by them: delete the EvioNode, and the operator makes it anew",
  },
  {
    kind: 'EvioNode',
    name: 'pod-cidr-form',
    field: 'spec.podCIDRs[0]',
    type: 'string',
    sentence: 'this is no network prefix: write it like 10.244.3.0/24 or fd00:10:244:3::/64',
  },
  {
    kind: 'EvioNode',
    name: 'pod-cidrs-families',
    field: 'spec.podCIDRs',
    type: 'array',
    sentence: 'podCIDRs has two of one family: a node has at most one IPv4 and one IPv6 piece',
  },
  {
    kind: 'EvioNode',
    name: 'pod-cidrs-stay',
    field: 'spec.podCIDRs',
    type: 'array',
    sentence:
      "a node's podCIDRs cannot be changed, because its pods have addresses of them: delete the EvioNode, and the operator makes it anew",
  },
  {
    kind: 'EvioNode',
    name: 'address-outside-pods',
    field: 'spec.addresses',
    type: 'object',
    sentence: "the node's own address lies within its podCIDRs: nodeCIDRs and podCIDRs must not overlap",
  },
  {
    kind: 'EvioPeer',
    name: 'name',
    field: ROOT,
    type: 'object',
    sentence: 'the name of an EvioPeer is its name on the overlay: write a DNS label, at most 63 of a-z, 0-9 and "-"',
  },
];
