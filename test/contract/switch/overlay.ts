/** Four members whose keys are always the same, so that their labels are, and what the node of the first has to do. */

import { coreFlows, firstHops } from '../../../agent/src/overlay/index.ts';
import type { OvsState, SwitchState } from '../../../agent/src/sdn/index.ts';
import { parsePrefix } from '../../../agent/src/wire/address.ts';
import { type Certificate, encodeCertificate, verifyCertificate } from '../../../agent/src/wire/certificate.ts';
import { overlayIdOf } from '../../../agent/src/wire/ids.ts';
import { privateKey, rawPrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { macRulesOf } from '../../../agent/src/wire/mac.ts';
import { encodeParameters } from '../../../agent/src/wire/parameters.ts';

const NOT_BEFORE = 1_700_000_000;
const NOT_AFTER = 4_000_000_000;
const authority = privateKey('ed25519', Buffer.alloc(32, 99));
const authorityKey = rawPublicKey(authority);

export const parameters = encodeParameters(
  {
    name: 'contract',
    serial: 1n,
    issued: NOT_BEFORE,
    mtu: 1_400,
    ciphers: ['aes-128-gcm'],
    subnet4: parsePrefix('10.99.0.0/16'),
    subnet6: parsePrefix('fd99::/64'),
    topology: { successors: 1, longDistance: 0, onDemand: 0, fullMesh: 'off' },
  },
  authority,
);

function member(n: number, name: string): Certificate {
  const addresses = [parsePrefix(`10.99.0.${n}/16`), parsePrefix(`fd99::${n}/64`)];
  const routes = [parsePrefix(`10.100.${n}.0/24`)];
  const bytes = encodeCertificate(
    {
      overlayId: overlayIdOf(authorityKey),
      identityKey: rawPublicKey(privateKey('ed25519', Buffer.alloc(32, n))),
      sessionKey: rawPublicKey(sessionKey(n)),
      name,
      addresses,
      routes,
      macs: macRulesOf(addresses, routes, BigInt(n)),
      serial: BigInt(n),
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
    },
    authority,
  );
  return verifyCertificate(bytes, authorityKey);
}

function sessionKey(n: number) {
  return privateKey('x25519', Buffer.alloc(32, 100 + n));
}

export const ALPHA = member(1, 'alpha');
export const BETA = member(2, 'beta');
export const GAMMA = member(3, 'gamma');
export const DELTA = member(4, 'delta');
/** Of alpha, private. */
export const SESSION_KEY = rawPrivateKey(sessionKey(1));

/** Alpha has tunnels to beta and gamma; delta is reached over gamma. */
export function stateOf(ports: { readonly beta: number; readonly gamma: number }): SwitchState {
  const members = [ALPHA, BETA, GAMMA, DELTA];
  const core = coreFlows(
    ALPHA.label,
    neighboursAt(ports),
    members.map((m) => m.label),
  );
  return { self: ALPHA, members, core, drained: [] };
}

function neighboursAt(ports: { readonly beta: number; readonly gamma: number }) {
  return [
    { label: BETA.label, port: ports.beta, adjacent: [ALPHA.label] },
    { label: GAMMA.label, port: ports.gamma, adjacent: [ALPHA.label, DELTA.label] },
  ];
}

/** A pod of alpha. */
export const POD_MAC = '02:46:0a:64:01:05';

/** The same with Open vSwitch at alpha's edge: the taps of its tunnels, the port of a pod, and one nothing is known of. */
export function ovsStateOf(ports: Readonly<Record<'beta' | 'gamma' | 'pod' | 'host', number>>): OvsState {
  const members = [ALPHA, BETA, GAMMA, DELTA];
  return {
    self: ALPHA,
    members,
    taps: new Map([
      [BETA.label, ports.beta],
      [GAMMA.label, ports.gamma],
    ]),
    hops: firstHops(
      ALPHA.label,
      neighboursAt(ports),
      members.map((m) => m.label),
    ),
    leaves: [
      { port: ports.pod, macs: [POD_MAC] },
      { port: ports.host, macs: [] },
    ],
    drained: [],
  };
}
