/** What a server was set up with: DIR/server.json, from which its configuration can be written again at any time. */

import { isIP } from 'node:net';
// As a namespace: `{ z }` is one object that keeps all of zod in the bundle, some megabytes of memory.
import * as z from 'zod';
import { UsageError } from '../failure.ts';
import { coturnRange } from './ranges.ts';

/** An address of the server, and the one it has on this machine when a one-to-one NAT stands before it. */
export interface ServerAddress {
  readonly public: string;
  readonly local: string;
}

/** Prosody is the default, also of settings that were written when there was no choice. */
export const XMPP_NAMES = ['prosody', 'ejabberd'] as const;
export type XmppName = (typeof XMPP_NAMES)[number];
/** As their makers write them. */
export const XMPP_TITLES: Readonly<Record<XmppName, string>> = { prosody: 'Prosody', ejabberd: 'ejabberd' };

const port = z.int().min(1).max(65535);

export const serverSettings = z.strictObject({
  apiVersion: z.literal('evio-server/1'),
  xmpp: z.enum(XMPP_NAMES).default('prosody'),
  domain: z.string(),
  addresses: z.array(z.strictObject({ public: z.string(), local: z.string() })).min(1),
  ports: z.strictObject({ starttls: port, tls: port, turn: port, relayMin: port, relayMax: port }),
  deniedPeers: z.array(z.string()),
  allowedPeers: z.array(z.string()),
  /** Of one allocation, each way; 0: no limit. */
  relayMbit: z.int().min(0),
  /** Relay allocations at a time, of one node and of all. */
  nodeQuota: z.int().min(1),
  totalQuota: z.int().min(1),
  admin: z.strictObject({ username: z.string(), password: z.string() }),
  /** Shared by the XMPP server and coturn; no node ever holds it. */
  turnSecret: z.string().min(32),
});
export type ServerSettings = z.infer<typeof serverSettings>;

/** DIR/admin.json: what `overlay create` and `node enroll` need to use the server. */
export const adminFile = z.strictObject({
  apiVersion: z.literal('evio-admin/1'),
  service: z.string().regex(/^xmpps?:\/\/.+:[0-9]+$/),
  domain: z.string().min(1),
  conference: z.string().min(1),
  username: z.string().min(1),
  password: z.string().min(1),
  /** PEM of the authority that signed the server's certificate; left out: a public one did. */
  ca: z.string().optional(),
  stun: z.array(z.string()),
});
export type AdminFile = z.infer<typeof adminFile>;

export const conferenceOf = (domain: string): string => `conference.${domain}`;

/** `A`, or `PUBLIC/LOCAL` behind a one-to-one NAT. */
export function parseServerAddress(text: string): ServerAddress {
  const [outside = '', inside = outside, ...rest] = text.split('/');
  const [a, b] = [isIP(outside), isIP(inside)];
  if (rest.length > 0 || a === 0 || a !== b) {
    throw new UsageError(
      `--address: "${text}" is not allowed; allowed: an IP address, or PUBLIC/LOCAL when the server is behind a one-to-one NAT`,
    );
  }
  return { public: outside.toLowerCase(), local: inside.toLowerCase() };
}

export function parseDomain(text: string): string {
  const domain = text.toLowerCase();
  const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
  const labels = domain.split('.');
  if (domain.length > 200 || !labels.every((l) => label.test(l)) || labels.every((l) => /^[0-9]+$/.test(l))) {
    throw new UsageError(`--domain: "${text}" is not allowed; allowed: a domain name like evio.example.org`);
  }
  return domain;
}

/** `49152-65535` */
export function parsePortRange(text: string): { readonly min: number; readonly max: number } {
  const [, low, high] = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(text) ?? [];
  const [min, max] = [Number(low), Number(high)];
  if (!(min >= 1024 && max <= 65535 && min < max)) {
    throw new UsageError(`--relay-ports: "${text}" is not allowed; allowed: LOW-HIGH between 1024 and 65535`);
  }
  return { min, max };
}

export const parsePeerRanges = (option: string, texts: readonly string[]): string[] =>
  texts.map((text) => coturnRange(text, option));

export const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Where nodes find the server. The first address is the one that relays. */
export function adminFileOf(settings: ServerSettings, ca: string | undefined): AdminFile {
  const [first] = settings.addresses as [ServerAddress, ...ServerAddress[]];
  return {
    apiVersion: 'evio-admin/1',
    service: `xmpps://${bracketed(first.public)}:${settings.ports.tls}`,
    domain: settings.domain,
    conference: conferenceOf(settings.domain),
    username: settings.admin.username,
    password: settings.admin.password,
    ...(ca === undefined ? {} : { ca }),
    // The second port tells a NAT that maps each of them anew.
    stun: settings.addresses.flatMap((a) =>
      [settings.ports.turn, settings.ports.turn + 1].map((port) => `${bracketed(a.public)}:${port}`),
    ),
  };
}
