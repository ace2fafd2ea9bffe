/** Parts of an EvioNetwork's spec: the servers by which nodes find and reach each other, and selectors of nodes. */
import * as z from 'zod';
import { isDnsName, isHost, isHostPort } from './cel.ts';
import { field } from './field.ts';

const DNS_MAX = 253;

const label = field(z.string().max(63), {
  description: 'The value of the label.',
  rules: [
    {
      rule: "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
      message: 'this is no value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends',
    },
  ],
});
export const nodeSelector = z.record(z.string(), label);
export const SELECTOR = {
  maxProperties: 16,
  rules: [
    {
      rule: 'self.all(key, key.size() >= 1 && key.size() <= 317)',
      message:
        "a label's name has 1 to 317 characters: write it as in the labels of the nodes, like kubernetes.io/arch",
    },
  ],
} as const;

const port = z.int().min(1).max(65535);
const relayPort = z.int().min(1024).max(65535);

const domainName = (description: string, absent?: string) => ({
  description,
  rules: [
    {
      rule: `${isDnsName('self')} && self == self.lowerAscii()`,
      message: 'this is no domain name: write it in lower case, like evio.example.org',
    },
  ],
  ...(absent === undefined ? {} : { absent }),
});

const secretName = field(z.string().min(1).max(DNS_MAX), {
  description: 'The name of a Secret in the namespace of the operator.',
  rules: [
    {
      rule: "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
      message:
        'this is no name of a Secret: lower-case letters, digits, "-" and ".", with a letter or digit at both ends',
    },
  ],
});
const secretRef = z.strictObject({ name: secretName });

const embedded = z.strictObject({
  host: field(z.string().min(1).max(DNS_MAX).optional(), {
    description: 'The address or name under which nodes, also those behind NATs, reach the server.',
    rules: [
      {
        rule: isHost('self'),
        message: 'this is no address and no name: write what nodes are to dial, like 203.0.113.10 or evio.example.org',
      },
    ],
    absent: "the host of the API server's URL",
  }),
  port: field(port.default(5223), { description: 'The TCP port of XMPP over TLS.' }),
  nodeSelector: field(nodeSelector.optional(), {
    description: 'Labels of the nodes that the server may run on.',
    ...SELECTOR,
    absent: 'control-plane nodes',
  }),
});

const external = z.strictObject({
  service: field(z.string().min(1).max(300), {
    description: 'The XMPP server. `xmpps` is TLS from the first byte, `xmpp` STARTTLS; without TLS nothing is sent.',
    rules: [
      {
        rule: isHostPort('self', 'xmpps?://'),
        message: 'this is no XMPP server: write xmpps://HOST:PORT, like xmpps://xmpp.example.org:5223',
      },
    ],
  }),
  domain: field(
    z.string().min(1).max(DNS_MAX),
    domainName("The XMPP domain. The server's certificate must be for it."),
  ),
  conference: field(
    z.string().min(1).max(DNS_MAX).optional(),
    domainName('The domain of its rooms (XEP-0045).', 'conference.DOMAIN'),
  ),
  adminSecretRef: field(secretRef, {
    description:
      "The account that makes the nodes' accounts (XEP-0133): a Secret with the keys `username` (without the domain) and `password`.",
  }),
  caSecretRef: field(secretRef.optional(), {
    description:
      'The certificate authority of the server: a Secret with the key `ca.crt` in PEM. Nothing else is trusted then.',
    absent: 'the public certificate authorities',
  }),
});

export const signalling = z.strictObject({
  embedded: field(embedded.optional(), {
    description: 'An XMPP server (Prosody) in this cluster, made by the operator.',
  }),
  external: field(external.optional(), { description: 'An XMPP server that is there already.' }),
});

const relayPorts = field(
  z.strictObject({
    min: field(relayPort, { description: 'The first port.' }),
    max: field(relayPort, { description: 'The last port.' }),
  }),
  {
    description: 'UDP ports of the embedded relay, one for each relayed tunnel end. They must be open to the nodes.',
    rules: [
      {
        rule: 'self.min <= self.max',
        message: 'min is above max: write the lower port in min and the higher one in max',
      },
    ],
    absent: '49152 to 65535',
  },
);

export const ice = z.strictObject({
  stun: field(
    z
      .array(
        field(z.string().max(DNS_MAX + 8), {
          description: 'HOST:PORT.',
          rules: [
            {
              rule: isHostPort('self'),
              message: 'this is no STUN server: write HOST:PORT, like 203.0.113.10:3478 or [2001:db8::1]:3478',
            },
          ],
        }),
      )
      .max(8)
      .default([]),
    {
      description:
        "STUN servers besides the relay's. The class of a NAT is told by two addresses, or by one and a peer on a direct path.",
    },
  ),
  turn: field(z.enum(['Embedded', 'Signalling', 'None']).optional(), {
    description:
      'Relays (TURN) for nodes that cannot reach each other: Embedded is coturn beside the embedded XMPP server, Signalling what the external XMPP server offers (XEP-0215), None no relay.',
    absent: 'Embedded with embedded signalling, else Signalling',
  }),
  relayPorts: relayPorts.optional(),
});
