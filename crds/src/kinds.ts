/** The kinds of the API: names, columns of `kubectl get`, and the schemas of spec and status. */
import type { z } from 'zod';
import { evioNetworkSpec, evioNetworkStatus, NETWORK_NAME } from './evio-network.ts';
import { evioNodeSpec, evioNodeStatus } from './evio-node.ts';
import { evioPeerSpec, evioPeerStatus } from './evio-peer.ts';
import type { Rule } from './field.ts';

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly specDefault: boolean;
  readonly status: z.ZodType;
  readonly columns: readonly Column[];
  /** Of the whole object. */
  readonly rules: readonly Rule[];
}

const condition = (type: string, key: 'reason' | 'message'): string =>
  `.status.conditions[?(@.type=="${type}")].${key}`;
const AGE: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Since when it is there.',
};

export const EVIO_NETWORK: Kind = {
  kind: 'EvioNetwork',
  plural: 'evionetworks',
  singular: 'evionetwork',
  shortName: 'enet',
  description:
    'The network of the cluster: one Ethernet over nodes that may sit behind NATs. There is one, named `default`.',
  spec: evioNetworkSpec,
  specDefault: true,
  status: evioNetworkStatus,
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'The reason of Ready.' },
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'What the overlay carries.' },
    { name: 'Nodes', type: 'string', jsonPath: '.status.nodes.summary', description: 'Ready nodes of all.' },
    { name: 'Direct', type: 'integer', jsonPath: '.status.tunnels.direct', description: 'Tunnels without a relay.' },
    { name: 'Relayed', type: 'integer', jsonPath: '.status.tunnels.relayed', description: 'Tunnels over a relay.' },
    { name: 'MTU', type: 'integer', jsonPath: '.status.effectiveMTU', description: 'In bytes.' },
    AGE,
    {
      name: 'Message',
      type: 'string',
      jsonPath: condition('Degraded', 'message'),
      description: 'What is wrong.',
      wide: true,
    },
  ],
  rules: [
    {
      rule: `self.metadata.name == '${NETWORK_NAME}'`,
      message: `a cluster has one EvioNetwork, and its name is ${NETWORK_NAME}: write "name: ${NETWORK_NAME}"`,
    },
  ],
};

export const EVIO_NODE: Kind = {
  kind: 'EvioNode',
  plural: 'evionodes',
  singular: 'evionode',
  shortName: 'en',
  description:
    "A node of the network, named like its Node. The operator writes the spec, the node's agent the status; people only read it.",
  spec: evioNodeSpec,
  specDefault: false,
  status: evioNodeStatus,
  columns: [
    { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'The reason of Ready.' },
    { name: 'Address', type: 'string', jsonPath: '.spec.addresses[0]', description: 'Its first overlay address.' },
    { name: 'NAT', type: 'string', jsonPath: '.status.nat.mapping', description: 'What kind of NAT is before it.' },
    { name: 'Tunnels', type: 'integer', jsonPath: '.status.summary.tunnels', description: 'Tunnels that are up.' },
    { name: 'Direct', type: 'integer', jsonPath: '.status.summary.direct', description: 'Tunnels without a relay.' },
    { name: 'Relayed', type: 'integer', jsonPath: '.status.summary.relayed', description: 'Tunnels over a relay.' },
    { name: 'Version', type: 'string', jsonPath: '.status.versions.agent', description: 'Of the agent.' },
    AGE,
    {
      name: 'Message',
      type: 'string',
      jsonPath: condition('Ready', 'message'),
      description: 'Why it is not ready.',
      wide: true,
    },
  ],
  rules: [],
};

export const EVIO_PEER: Kind = {
  kind: 'EvioPeer',
  plural: 'eviopeers',
  singular: 'eviopeer',
  shortName: 'ep',
  description:
    'A machine outside the cluster that is on the overlay: it joins by a token (`evio token create --network default --peer NAME`). Deleting it revokes the machine.',
  spec: evioPeerSpec,
  specDefault: true,
  status: evioPeerStatus,
  columns: [
    { name: 'Joined', type: 'string', jsonPath: condition('Joined', 'reason'), description: 'The reason of Joined.' },
    { name: 'Address', type: 'string', jsonPath: '.status.addresses[0]', description: 'Its first overlay address.' },
    {
      name: 'Valid-Until',
      type: 'string',
      jsonPath: '.status.certificateNotAfter',
      description: 'When its certificate ends.',
    },
    AGE,
    {
      name: 'Message',
      type: 'string',
      jsonPath: condition('Accepted', 'message'),
      description: 'What is wrong.',
      wide: true,
    },
  ],
  rules: [
    {
      rule: "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
      message: 'the name of an EvioPeer is its name on the overlay: write a DNS label, at most 63 of a-z, 0-9 and "-"',
    },
  ],
};

export const KINDS: readonly Kind[] = [EVIO_NETWORK, EVIO_NODE, EVIO_PEER];
