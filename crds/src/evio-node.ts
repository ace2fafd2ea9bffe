/**
 * EvioNode: one node of the network, named like its Node, which owns it. The operator writes the spec, that node's agent the
 * status (server-side apply, field manager `evio-agent`); policies in crds/policies hold both to that.
 */
import * as z from 'zod';
import { onePerFamily } from './cel.ts';
import { conditions } from './condition.ts';
import { NETWORK_NAME } from './evio-network.ts';
import { field } from './field.ts';
import type { API_VERSION, ObjectMeta } from './object-meta.ts';

const CIDR_MAX = 43;
/** Tunnels told in the status; the metrics have all. */
export const TUNNELS_MAX = 64;

const base64 = (max: number) =>
  z
    .string()
    .min(4)
    .max(max)
    .regex(/^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
/** 32 bytes. */
const key32 = z
  .string()
  .max(44)
  .regex(/^[A-Za-z0-9+/]{43}=$/);
/** A 64-bit number as text: JSON numbers end at 53 bits. */
const serial = z
  .string()
  .max(20)
  .regex(/^(0|[1-9][0-9]{0,19})$/);
const time = z.string().max(64);

const enrolment = z.strictObject({
  overlayParameters: field(base64(8192), {
    description: "The overlay's parameters, signed by its authority, in base64.",
  }),
  certificate: field(base64(8192), { description: "The node's certificate, signed by the authority, in base64." }),
  revocations: field(base64(8192).optional(), {
    description: 'The list of revoked certificates, signed by the authority, in base64.',
    absent: 'nobody is revoked',
  }),
  serial: field(serial, {
    description: "The certificate's serial number. A higher one tells the agent to take the new enrolment.",
  }),
  notAfter: field(time, { description: 'When the certificate ends. It is renewed long before.', format: 'date-time' }),
  credentials: field(base64(65536), {
    description:
      "The node's account on the XMPP server, sealed to its session key, in base64. Nobody else can read it.",
  }),
  keysHash: field(
    z
      .string()
      .max(64)
      .regex(/^[0-9a-f]{64}$/),
    {
      description:
        'SHA-256, in hex, of identityKey and sessionKey (64 bytes) that the certificate and the credentials were made for.',
    },
  ),
});
export type Enrolment = z.output<typeof enrolment>;

const machine = z.strictObject({
  identityKey: field(key32, {
    description: 'The public key by which the machine proves who it is: Ed25519 in base64.',
  }),
  sessionKey: field(key32, { description: 'The public key for its sessions: X25519 in base64.' }),
  joined: field(time, { description: 'When it joined.', format: 'date-time' }),
});
export type JoinedMachine = z.output<typeof machine>;

export const evioNodeSpec = field(
  z.strictObject({
    network: field(z.enum([NETWORK_NAME]).default(NETWORK_NAME), {
      description: 'The EvioNetwork that the node is part of.',
    }),
    memberName: field(
      z
        .string()
        .min(1)
        .max(63)
        .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/),
      {
        description: "The node's name in the overlay, a DNS label: the Node's name where that is one.",
        rules: [
          {
            rule: 'self == oldSelf',
            message:
              'memberName cannot be changed: peers and the certificate know the node by it; delete the EvioNode, and the operator makes it anew',
          },
        ],
      },
    ),
    addresses: field(
      z
        .array(
          field(z.string().max(CIDR_MAX), {
            description: 'An address with the prefix length of its network.',
            rules: [
              {
                rule: 'isCIDR(self)',
                message: 'this is no address with a prefix length: write it like 10.45.0.3/16 or fd45::3/64',
              },
            ],
          }),
        )
        .max(2)
        .default([]),
      {
        description:
          "The node's overlay addresses, at most one of each family, each with the prefix length of its nodeCIDR. They stay: only the prefix length can get shorter, when nodeCIDRs grow, and a second family can come.",
        rules: [
          onePerFamily('addresses has two of one family: a node has at most one IPv4 and one IPv6 address'),
          {
            rule: 'oldSelf.all(o, self.exists(n, isCIDR(n) && isCIDR(o) && cidr(n).ip() == cidr(o).ip() && cidr(n).prefixLength() <= cidr(o).prefixLength()))',
            message:
              "a node's addresses cannot be changed, because peers and pods know it by them: delete the EvioNode, and the operator makes it anew",
          },
        ],
      },
    ),
    podCIDRs: field(
      z
        .array(
          field(z.string().max(CIDR_MAX), {
            description: 'A network prefix.',
            rules: [
              {
                rule: 'isCIDR(self) && cidr(self) == cidr(self).masked()',
                message: 'this is no network prefix: write it like 10.244.3.0/24 or fd00:10:244:3::/64',
              },
            ],
          }),
        )
        .max(2)
        .default([]),
      {
        description:
          "The node's pieces of podCIDRs, at most one of each family; empty in HostNetwork. They stay; a second family can come.",
        rules: [
          onePerFamily('podCIDRs has two of one family: a node has at most one IPv4 and one IPv6 piece'),
          {
            rule: 'oldSelf.all(o, self.exists(n, n == o))',
            message:
              "a node's podCIDRs cannot be changed, because its pods have addresses of them: delete the EvioNode, and the operator makes it anew",
          },
        ],
      },
    ),
    machine: field(machine.optional(), {
      description:
        'A machine that joined by a token (evio join) with keys of its own. It runs its own agent, which asks the operator over the XMPP server, and writes no status here.',
      absent: 'a node that the DaemonSets run, whose agent tells its keys in the status',
    }),
    enrolment: field(enrolment.optional(), {
      description: 'What makes the node a member. Comes after the node has told its keys.',
      absent: 'not enrolled yet',
    }),
  }),
  {
    description: 'What the operator has allotted to the node.',
    rules: [
      {
        rule: 'self.addresses.all(a, !isCIDR(a) || self.podCIDRs.all(p, !isCIDR(p) || !cidr(p).containsIP(cidr(a).ip())))',
        message: "the node's own address lies within its podCIDRs: nodeCIDRs and podCIDRs must not overlap",
        fieldPath: '.addresses',
      },
    ],
  },
);

const memberName = (description: string) => field(z.string().max(63), { description });
const natBehaviour = z.enum(['None', 'EndpointIndependent', 'AddressDependent', 'Unknown']);
const count = (description: string) => field(z.int().min(0).max(2_147_483_647).optional(), { description });
const version = (description: string) => field(z.string().max(64).optional(), { description });
const names = (max: number, description: string) =>
  field(z.array(memberName('A member name.')).max(max).optional(), { description });

const tunnel = z.strictObject({
  peer: memberName("The other node's member name."),
  state: field(z.enum(['Connecting', 'Up', 'Down']), {
    description: 'Connecting: being made. Up: carries traffic. Down: lost, and tried again.',
  }),
  path: field(z.enum(['Direct', 'Relayed', 'Via']).optional(), {
    description: 'Direct: no server between. Relayed: over a TURN server. Via: over other nodes.',
    absent: 'no path',
  }),
  rttMs: field(z.int().min(0).max(2_147_483_647).optional(), {
    description: 'Round-trip time in milliseconds, rounded so that noise changes nothing.',
  }),
  lossPercent: field(z.int().min(0).max(100).optional(), {
    description: 'Probes that were lost, in percent, rounded like rttMs.',
  }),
  kbps: field(z.int().min(0).max(2_147_483_647).optional(), {
    description:
      'Kilobits of frames a second, both directions together, over half a minute: told anew when twice as many or half as many pass.',
  }),
  since: field(time.optional(), { description: 'When the path last changed.', format: 'date-time' }),
});
export type TunnelStatus = z.output<typeof tunnel>;

export const evioNodeStatus = field(
  z.strictObject({
    keys: field(
      z
        .strictObject({
          identityKey: field(key32, { description: 'Ed25519, 32 bytes in base64.' }),
          sessionKey: field(key32, { description: 'X25519, 32 bytes in base64.' }),
        })
        .optional(),
      { description: 'The public halves of the keys that the node has made for itself.' },
    ),
    observedSerial: field(serial.optional(), { description: 'The serial of the enrolment that the agent runs with.' }),
    conditions: conditions(
      'How the node is: Ready, AgentReady, DataPlaneReady, SignallingConnected, RingJoined, PodNetworkReady and AddressConflict.',
    ),
    publicAddresses: field(
      z
        .array(field(z.string().max(45), { description: 'An IP address.' }))
        .max(16)
        .optional(),
      { description: 'Addresses under which STUN servers see the node.' },
    ),
    nat: field(
      z
        .strictObject({
          mapping: field(natBehaviour.optional(), {
            description:
              'None: not translated. EndpointIndependent: one mapping for all destinations. AddressDependent: another for each ("symmetric", RFC 4787 §4.1). Unknown: seen from one address alone so far.',
          }),
          filtering: field(natBehaviour.optional(), { description: 'From whom packets are let in (RFC 4787 §5).' }),
        })
        .optional(),
      { description: 'What kind of NAT is in front of the node.' },
    ),
    ring: field(
      z
        .strictObject({
          label: field(
            z
              .string()
              .max(16)
              .regex(/^[0-9a-f]{16}$/)
              .optional(),
            { description: "The node's place on the ring, 64 bits in hex." },
          ),
          predecessor: field(z.string().max(63).optional(), { description: 'The nearest node before it.' }),
          successors: names(8, 'The nearest nodes after it, nearest first.'),
          longDistance: names(64, 'Nodes it keeps long-distance links to.'),
        })
        .optional(),
      { description: 'Where the node is on the ring, with member names of its neighbours.' },
    ),
    tunnels: field(z.array(tunnel).max(TUNNELS_MAX).optional(), {
      description: `The node's tunnels, at most ${TUNNELS_MAX}: what is wrong comes first.`,
      listKeys: ['peer'],
    }),
    summary: field(
      z
        .strictObject({
          tunnels: count('Tunnels that are up.'),
          direct: count('Those of them without a relay.'),
          relayed: count('Those of them over a relay.'),
          failed: count('Wanted tunnels that are down.'),
        })
        .optional(),
      { description: 'Counts over all tunnels, for columns and for the EvioNetwork.' },
    ),
    ipam: field(
      z.strictObject({ used: count('Addresses that pods have.'), free: count('Addresses that are left.') }).optional(),
      { description: 'Addresses of the node for pods, of the family that has fewer left.' },
    ),
    versions: field(z.strictObject({ agent: version('The agent.'), tincan: version('The datapath.') }).optional(), {
      description: 'Versions of what runs on the node.',
    }),
  }),
  { description: 'How the node is. Written by its agent.' },
);

/** As the operator writes it. */
export type EvioNodeSpecInput = z.input<typeof evioNodeSpec>;
/** With the defaults, as the API server gives it out. */
export type EvioNodeSpec = z.output<typeof evioNodeSpec>;
export type EvioNodeStatus = z.output<typeof evioNodeStatus>;

export interface EvioNode {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'EvioNode';
  readonly metadata: ObjectMeta;
  readonly spec: EvioNodeSpec;
  readonly status?: EvioNodeStatus | undefined;
}
