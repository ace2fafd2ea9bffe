/**
 * The node file: the one JSON file a node takes. This schema is its only definition; docs/configuration.md is made from it.
 *
 * Strict everywhere: a key that is not listed is an error, because a mistyped option that is silently ignored is found on the
 * day it was needed.
 */

import { isIP, isIPv6 } from 'node:net';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { LONG_DISTANCE_MAX, type LongDistance, parseLongDistance } from '../long-distance.ts';
import { isNetwork, parsePrefix } from '../wire/address.ts';
import { DecodeError } from '../wire/reader.ts';
import { leaf } from './leaf.ts';

export const NODE_FILE_VERSION = 'evio/1';

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const isHost = (host: string): boolean => {
  if (host.startsWith('[')) return host.endsWith(']') && isIPv6(host.slice(1, -1));
  // A name made of digits and dots only is a mistyped address, and would be asked of a name server.
  if (/^[0-9.]+$/.test(host)) return isIP(host) === 4;
  return host.length <= 253 && host.split('.').every((l) => /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/.test(l));
};

const isHostPort = (text: string): boolean => {
  const at = text.lastIndexOf(':');
  const port = text.slice(at + 1);
  return at > 0 && isHost(text.slice(0, at)) && /^[0-9]{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535;
};

const isService = (text: string): boolean => {
  const match = /^xmpps?:\/\/(.+)$/.exec(text);
  return match !== null && isHostPort(match[1] as string);
};

/** A JID's localpart as Evio makes it: lower case, so that no stringprep rule can tell two spellings apart (RFC 7622 §3.3). */
const LOCALPART = /^[a-z0-9]([-._a-z0-9]{0,254}[a-z0-9])?$/;

const isRoom = (text: string): boolean => {
  const [local, domain, ...rest] = text.split('@');
  return (
    rest.length === 0 &&
    local !== undefined &&
    domain !== undefined &&
    LOCALPART.test(local) &&
    isHost(domain) &&
    domain === domain.toLowerCase()
  );
};

/** Linux: at most 15 bytes, no '/' and no white space (dev_valid_name in net/core/dev.c). */
const isInterface = (text: string): boolean =>
  text.length >= 1 && text.length <= 15 && text !== '.' && text !== '..' && /^[^\s/:]+$/.test(text);

const isPrefix = (text: string): boolean => {
  try {
    return isNetwork(parsePrefix(text));
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
};

const bytes32 = (text: string): boolean => BASE64.test(text) && Buffer.from(text, 'base64').length === 32;

const file = z.strictObject({ file: z.string().min(1) });
const FILE = '{"file": "PATH"} (relative to the node file)';

const key32 = (description: string): z.ZodUnion<readonly [z.ZodString, typeof file]> =>
  leaf(z.union([z.string().refine(bytes32), file]), {
    description,
    allowed: `32 bytes in base64, or ${FILE}`,
    secret: true,
  });

const signed = (description: string, allowed: string): z.ZodString =>
  leaf(z.string().min(1).max(5464).regex(BASE64), { description, allowed });

const count = (max: number): z.ZodNumber => z.int().min(0).max(max);

const longDistanceText = z.custom<Exclude<LongDistance, number>>(
  (value) => typeof value === 'string' && typeof parseLongDistance(value) === 'string',
);

const overlay = leaf(
  z.strictObject({
    parameters: signed(
      "The overlay's parameters, signed by its authority: name, MTU, subnets, ciphers, topology.",
      'signed overlay parameters in base64, as `evio node enroll` writes them',
    ),
    revocations: leaf(z.string().min(1).max(5464).regex(BASE64).optional(), {
      description: 'The revocation list at the time of enrolment. Newer ones come from other nodes.',
      allowed: 'a signed revocation list in base64, as `evio overlay revoke` writes it',
      default: 'nobody is revoked',
    }),
  }),
  { description: 'The overlay this node belongs to.', allowed: 'an object' },
);

const identity = leaf(
  z.strictObject({
    key: key32("The seed of the node's Ed25519 key. The node id is made from its public half."),
    sessionKey: key32("The node's X25519 private key, used by the sessions between nodes."),
    certificate: signed(
      "The node's membership certificate, signed by the authority.",
      'a signed certificate in base64, as `evio node enroll` writes it',
    ),
  }),
  { description: 'Who this node is.', allowed: 'an object' },
);

const signalling = leaf(
  z.strictObject({
    service: leaf(z.string().refine(isService), {
      description: 'The XMPP server. `xmpps` is TLS from the first byte, `xmpp` STARTTLS; without TLS nothing is sent.',
      allowed: '"xmpps://HOST:PORT" or "xmpp://HOST:PORT"',
    }),
    domain: leaf(
      z
        .string()
        .refine((d) => isHost(d) && d === d.toLowerCase())
        .max(253),
      {
        description: "The XMPP domain. The server's certificate must be for it.",
        allowed: 'a domain name in lower case',
      },
    ),
    username: leaf(z.string().regex(LOCALPART), {
      description: "The account's name, without the domain.",
      allowed: 'lower-case letters, digits, "-", "." and "_"',
    }),
    password: leaf(z.union([z.string().min(1).max(1024), file]), {
      description: "The account's password.",
      allowed: `a string, or ${FILE}`,
      secret: true,
    }),
    ca: leaf(
      z
        .union([
          z.string().refine((t) => t.includes('-----BEGIN CERTIFICATE-----') && !t.includes('PRIVATE KEY')),
          file,
        ])
        .optional(),
      {
        description: "The certificate authority that signed the server's certificate. Nothing else is trusted then.",
        allowed: `PEM text, or ${FILE}`,
        default: "Node's own list of public authorities",
      },
    ),
    room: leaf(z.string().refine(isRoom), {
      description: "The overlay's members-only room (XEP-0045).",
      allowed: '"NAME@CONFERENCE-DOMAIN" in lower case',
    }),
  }),
  { description: 'How nodes find each other: an account on an XMPP server.', allowed: 'an object' },
);

const ice = leaf(
  z
    .strictObject({
      stun: leaf(z.array(z.string().refine(isHostPort)).max(8).default([]), {
        description:
          'STUN servers. The class of a NAT is told by two addresses, or by one and a peer on a direct path.',
        allowed: 'a list of at most 8 "HOST:PORT"',
      }),
      turn: leaf(z.enum(['xep-0215', 'none']).default('xep-0215'), {
        description: 'Where TURN relays and their credentials come from: from the XMPP server, or nowhere.',
        allowed: '"xep-0215" or "none"',
      }),
    })
    .prefault({}),
  { description: 'Servers that help through NATs.', allowed: 'an object' },
);

const network = leaf(
  z
    .strictObject({
      bridge: leaf(z.string().refine(isInterface).default('evio0'), {
        description: "The bridge that carries the node's overlay address: Linux's, or Open vSwitch's.",
        allowed: 'an interface name of 1 to 15 characters',
      }),
      tap: leaf(z.string().refine(isInterface).default('evio0-tap'), {
        description:
          "tincan's own port on the bridge. With Open vSwitch each tunnel has one, named by `ovs.tapPrefix`.",
        allowed: "an interface name of 1 to 15 characters, not the bridge's",
      }),
      udpPort: leaf(count(65535).default(0), {
        description: "tincan's UDP port. 0: derived from the node id, so that two nodes on one LAN differ.",
        allowed: 'a whole number from 0 to 65535',
      }),
      lan: leaf(z.boolean().default(true), {
        description: 'Find nodes on the local network by multicast.',
        allowed: 'true or false',
      }),
      excludeInterfaces: leaf(z.array(z.string().refine(isInterface)).max(64).default([]), {
        description:
          'Interfaces whose addresses are told to nobody, on which no node is looked for and by which tincan sends nothing. Exact names; that of a bridge stands for its ports too.',
        allowed: 'a list of at most 64 interface names',
      }),
      excludeRoutes: leaf(z.array(z.string().refine(isPrefix)).max(16).default([]), {
        description:
          'Within these prefixes tincan sets no route on this machine, whichever node of the overlay has them; this one too. For what is done here by others: the addresses of Services by kube-proxy.',
        allowed: 'a list of at most 16 prefixes without host bits, like "10.96.0.0/12"',
      }),
    })
    .refine((n) => n.bridge !== n.tap, { path: ['tap'] })
    .prefault({}),
  { description: "The node's interfaces.", allowed: 'an object' },
);

const pods = leaf(
  z
    .strictObject({
      overlayCIDRs: leaf(z.array(z.string().refine(isPrefix)).max(16).default([]), {
        description:
          "What pods reach by their own addresses, besides the overlay's subnets and this node's prefixes: those of all pods. What leaves for elsewhere is masqueraded.",
        allowed: 'a list of at most 16 prefixes without host bits, like "10.244.0.0/16"',
      }),
      hostInterfacePrefix: leaf(
        z
          .string()
          .regex(/^[-_A-Za-z0-9]{1,14}$/)
          .default('evc'),
        {
          description:
            "How the names of pods' interfaces on the node begin. What comes by one must have a source address that is routed back to it.",
          allowed: '1 to 14 letters, digits, "-" and "_"',
        },
      ),
    })
    .optional(),
  {
    description:
      "Pods behind this node, with the addresses of the certificate's prefixes (`--route`): tincan keeps the table `inet evio` of nftables for them, by the program `nft`. Without this section there is no such table.",
    allowed: 'an object',
    default: 'no pods behind this node',
  },
);

const openVSwitch = leaf(
  z
    .strictObject({
      runDir: leaf(
        z
          .string()
          .refine((t) => t.startsWith('/') && !t.includes('\0'))
          // sun_path of a unix socket has 108 bytes (unix(7)); BRIDGE.mgmt is one in it.
          .max(80)
          .default('/run/openvswitch'),
        {
          description: "Open vSwitch's run directory, with `db.sock` and the bridges' sockets.",
          allowed: 'an absolute path of at most 80 characters',
        },
      ),
      tapPrefix: leaf(
        z
          .string()
          .regex(/^[A-Za-z][-_A-Za-z0-9]{0,6}$/)
          .default('evio0-'),
        {
          description:
            "How the names of the tunnels' taps begin, the bridge's ports. Digits of the peer's label follow.",
          allowed: 'a letter and at most 6 letters, digits, "-" and "_"',
        },
      ),
    })
    .prefault({}),
  { description: 'Where Open vSwitch is, for `switch: "ovs"`.', allowed: 'an object' },
);

const topology = leaf(
  z
    .strictObject({
      successors: leaf(z.int().min(1).max(8).optional(), {
        description: 'Ring neighbours each way.',
        allowed: 'a whole number from 1 to 8',
        default: "the overlay's",
      }),
      longDistance: leaf(z.union([count(LONG_DISTANCE_MAX), longDistanceText]).optional(), {
        description:
          'Long-distance links. `auto`: ceil(log2 n) in an overlay of n nodes; `auto:8`: those, but at most 8.',
        allowed: 'a whole number from 0 to 64, "auto", or "auto:" and such a number',
        default: "the overlay's",
      }),
      onDemand: leaf(count(255).optional(), {
        description: 'At most so many tunnels made because two nodes talk much.',
        allowed: 'a whole number from 0 to 255',
        default: "the overlay's",
      }),
      fullMesh: leaf(z.enum(['auto', 'off']).optional(), {
        description: 'Whether a small overlay is a full mesh.',
        allowed: '"auto" or "off"',
        default: "the overlay's",
      }),
      static: leaf(
        z
          .array(z.string().refine((t) => NAME.test(t)))
          .max(64)
          .default([]),
        {
          description: 'Nodes a tunnel is always kept to, by name or node id.',
          allowed: 'a list of at most 64 node names or node ids',
        },
      ),
    })
    .prefault({}),
  { description: "Overrides of the overlay's signed topology for this node only.", allowed: 'an object' },
);

const directory = (description: string, fallback: string) =>
  leaf(
    z
      .string()
      .refine((t) => t.startsWith('/') && t.length > 1 && !t.includes('\0'))
      // sun_path of a unix socket has 108 bytes (unix(7)); the longest name in it is "control.sock".
      .max(90)
      .optional(),
    { description, allowed: 'an absolute path of at most 90 characters', default: fallback },
  );

const metrics = leaf(
  z
    .strictObject({
      port: leaf(count(65535).default(0), {
        description: 'The port of `/metrics`, `/livez` and `/readyz`, on 127.0.0.1 alone (docs/metrics.md). 0: none.',
        allowed: 'a whole number from 0 to 65535',
      }),
    })
    .prefault({}),
  { description: 'What Prometheus reads.', allowed: 'an object' },
);

const log = leaf(
  z
    .strictObject({
      level: leaf(z.enum(['error', 'warn', 'info', 'debug']).default('info'), {
        description: 'How much is logged.',
        allowed: '"error", "warn", "info" or "debug"',
      }),
      format: leaf(z.enum(['text', 'json']).default('text'), {
        description: 'One line of text, or one JSON object, for each entry.',
        allowed: '"text" or "json"',
      }),
    })
    .prefault({}),
  { description: 'Logging, to standard output.', allowed: 'an object' },
);

export const nodeFile = leaf(
  z.strictObject({
    apiVersion: leaf(z.literal(NODE_FILE_VERSION), {
      description: 'The version of this format.',
      allowed: `"${NODE_FILE_VERSION}"`,
    }),
    name: leaf(z.string().regex(NAME), {
      description: "The node's name, the same as in its certificate.",
      allowed: 'a DNS label: 1 to 63 lower-case letters, digits and "-", no "-" at either end',
    }),
    overlay,
    identity,
    signalling,
    ice,
    network,
    switch: leaf(z.enum(['tincan', 'ovs']).default('tincan'), {
      description: 'The switch that the bridge hangs on: the one in tincan, or Open vSwitch.',
      allowed: '"tincan" or "ovs"',
    }),
    ovs: openVSwitch,
    pods,
    topology,
    runDir: directory('Sockets of the running node.', '/run/evio/OVERLAY'),
    stateDir: directory('What the node remembers over a restart.', '/var/lib/evio/OVERLAY'),
    metrics,
    log,
  }),
  { description: 'A node of an Evio overlay.', allowed: 'a JSON object' },
);

/** As written by a person or by `evio node enroll`. */
export type NodeFileInput = z.input<typeof nodeFile>;
/** Checked, defaults filled in, secrets not yet read. */
export type NodeFile = z.output<typeof nodeFile>;
/** A secret, in place or in a file of its own. */
export type SecretSource = string | { readonly file: string };
