/** coturn's configuration: STUN for all, TURN only with time-limited credentials, only to peers on the internet. */

import { coturnRange, DENIED_PEERS } from './ranges.ts';
import type { ServerSettings } from './settings.ts';

const MBIT_BYTES = 125_000;

export function coturnConfig(settings: ServerSettings): string {
  const { addresses, ports } = settings;
  const translated = addresses.filter((a) => a.public !== a.local);
  const lines = (key: string, values: readonly (string | number)[]): string[] => values.map((v) => `${key}=${v}`);
  return [
    '# Written by "evio server init", which writes it anew each time it runs.',
    '',
    '# Two addresses and two ports let nodes tell their kind of NAT (RFC 5780).',
    ...lines(
      'listening-ip',
      addresses.map((a) => a.local),
    ),
    `listening-port=${ports.turn}`,
    ...lines(
      'external-ip',
      translated.map((a) => `${a.public}/${a.local}`),
    ),
    `min-port=${ports.relayMin}`,
    `max-port=${ports.relayMax}`,
    '# Nodes speak UDP to it, and sealed records: TLS would hide nothing more.',
    'no-tcp',
    'no-tls',
    'no-dtls',
    'no-tcp-relay',
    '',
    '# Credentials come over XMPP (XEP-0215) and end after a day.',
    'use-auth-secret',
    `static-auth-secret=${settings.turnSecret}`,
    `realm=${settings.domain}`,
    'stale-nonce=600',
    'fingerprint',
    `user-quota=${settings.nodeQuota}`,
    `total-quota=${settings.totalQuota}`,
    ...(settings.relayMbit === 0 ? [] : [`max-bps=${settings.relayMbit * MBIT_BYTES}`]),
    '',
    '# No door but the relay: no console, no web page, nothing on the networks behind this server.',
    'no-cli',
    'no-multicast-peers',
    'no-software-attribute',
    'no-dynamic-ip-list',
    'no-dynamic-realms',
    ...lines('denied-peer-ip', [
      ...DENIED_PEERS.map((range) => coturnRange(range, 'built in')),
      ...settings.deniedPeers,
    ]),
    ...lines('allowed-peer-ip', settings.allowedPeers),
    '',
    'log-file=stdout',
    'pidfile=',
    '',
  ].join('\n');
}
