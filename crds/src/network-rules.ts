/** Rules of an EvioNetwork's spec that look at more than one field, or at the spec as it was. */
import { contained, disjoint, familyOf } from './cel.ts';
import type { Rule } from './field.ts';

/** Used in PodNetwork when the spec names no podCIDRs. */
export const DEFAULT_POD_CIDRS: readonly string[] = ['10.244.0.0/16'];

/** The pod CIDRs that hold in PodNetwork, as CEL: `effectivePodCIDRs` in effective.ts says the same in TypeScript. */
const podCIDRs = (spec: string): string =>
  `(has(${spec}.podCIDRs) && ${spec}.podCIDRs.size() > 0 ? ${spec}.podCIDRs : ${JSON.stringify(DEFAULT_POD_CIDRS)})`;

const inPodNetwork = (rule: string): string => `self.mode != 'PodNetwork' || ${rule}`;

const unchangedLength = (family: 4 | 6): Rule => ({
  rule: inPodNetwork(
    `!${podCIDRs('oldSelf')}.exists(c, isCIDR(c) && ${familyOf('c')} == ${family}) || self.nodePrefixLength.ipv${family} == oldSelf.nodePrefixLength.ipv${family}`,
  ),
  message: `nodePrefixLength.ipv${family} cannot be changed once podCIDRs has a prefix of this family: the nodes' pieces were cut with it; set it back`,
  fieldPath: `.nodePrefixLength.ipv${family}`,
});

export const networkRules: readonly Rule[] = [
  {
    rule: "self.mode != 'HostNetwork' || !has(self.podCIDRs) || self.podCIDRs.size() == 0",
    message:
      'podCIDRs belong to the mode PodNetwork: with HostNetwork another network plugin gives pods their addresses, so leave podCIDRs out',
    fieldPath: '.podCIDRs',
  },
  {
    rule: "self.mode != 'HostNetwork' || self.pods.attachment == 'Routed'",
    message:
      'pods.attachment Flat belongs to the mode PodNetwork: with HostNetwork another network plugin attaches the pods, so leave pods out',
    fieldPath: '.pods.attachment',
  },
  {
    rule: inPodNetwork(disjoint('self.nodeCIDRs', podCIDRs('self'))),
    message: `nodeCIDRs and podCIDRs overlap: give nodes and pods prefixes that share no address (without podCIDRs, pods get ${DEFAULT_POD_CIDRS.join(', ')})`,
    fieldPath: '.nodeCIDRs',
  },
  {
    rule: inPodNetwork(
      `${podCIDRs('self')}.all(c, !isCIDR(c) || cidr(c).prefixLength() < (${familyOf('c')} == 4 ? self.nodePrefixLength.ipv4 : self.nodePrefixLength.ipv6))`,
    ),
    message:
      'podCIDRs have no room for two nodes: nodePrefixLength must be longer than the prefix it cuts, like ipv4: 24 for 10.244.0.0/16; write a shorter prefix or a longer nodePrefixLength',
    fieldPath: '.nodePrefixLength',
  },
  {
    rule: inPodNetwork(contained(podCIDRs('oldSelf'), podCIDRs('self'))),
    message: `podCIDRs can only grow: each prefix that was there must lie within one that is there now (without podCIDRs, pods have ${DEFAULT_POD_CIDRS.join(', ')})`,
    fieldPath: '.podCIDRs',
  },
  {
    rule: `!has(self.gateways) || (${disjoint('self.gateways.serviceCIDRs', 'self.nodeCIDRs')} && ${`(self.mode != 'PodNetwork' || ${disjoint('self.gateways.serviceCIDRs', podCIDRs('self'))})`})`,
    message:
      "gateways.serviceCIDRs overlap nodeCIDRs or podCIDRs: write the addresses of the cluster's Services, which nodes and pods do not have",
    fieldPath: '.gateways.serviceCIDRs',
  },
  unchangedLength(4),
  unchangedLength(6),
  {
    rule: "!has(self.ice.turn) || self.ice.turn != 'Embedded' || has(self.signalling.embedded)",
    message:
      "ice.turn Embedded needs signalling.embedded, which gives out the relay's credentials: write Signalling to use the relays that the external XMPP server offers, or None",
    fieldPath: '.ice.turn',
  },
  {
    rule: "!has(self.ice.turn) || self.ice.turn != 'Signalling' || has(self.signalling.external)",
    message:
      'ice.turn Signalling needs signalling.external: the embedded server offers only the embedded relay; write Embedded or None',
    fieldPath: '.ice.turn',
  },
  {
    rule: "!has(self.ice.relayPorts) || (has(self.signalling.embedded) && (!has(self.ice.turn) || self.ice.turn == 'Embedded'))",
    message:
      'ice.relayPorts are those of the embedded relay, and there is none here: leave them out, or write ice.turn Embedded',
    fieldPath: '.ice.relayPorts',
  },
];
