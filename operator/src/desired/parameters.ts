/** What an EvioNetwork's spec says of the overlay, in the overlay's own terms. */

import { parseLongDistance } from '../../../agent/src/long-distance.ts';
import { type Prefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import type { ParametersFields } from '../../../agent/src/wire/parameters.ts';
import { effectiveLongDistance, effectiveMTU, effectivePodCIDRs } from '../../../crds/src/effective.ts';
import { type EvioNetworkSpec, NETWORK_NAME } from '../../../crds/src/evio-network.ts';
import type { Pools } from './allotment.ts';

/** AES first: where a CPU lacks the instructions for it, tincan puts ChaCha20 first in its own list. */
const CIPHERS = ['aes-128-gcm', 'chacha20-poly1305'] as const;

const ofFamily = (texts: readonly string[], family: 4 | 6): Prefix | undefined =>
  texts.map(parsePrefix).find((p) => p.family === family);

/** What is signed; serial and time come with the signature. */
export function parametersOf(spec: EvioNetworkSpec): Omit<ParametersFields, 'serial' | 'issued'> {
  const { successors, onDemand, fullMesh } = spec.topology;
  return {
    name: NETWORK_NAME,
    mtu: effectiveMTU(spec),
    ciphers: CIPHERS,
    subnet4: ofFamily(spec.nodeCIDRs, 4),
    subnet6: ofFamily(spec.nodeCIDRs, 6),
    topology: {
      successors,
      // The schema lets nothing else through.
      longDistance: parseLongDistance(effectiveLongDistance(spec)) ?? 'auto',
      onDemand,
      fullMesh: fullMesh === 'Auto' ? 'auto' : 'off',
    },
  };
}

/** IPv4 before IPv6, however the spec lists them: a node's first address is the one that is shown. */
export function poolsOf(spec: EvioNetworkSpec): Pools {
  const lengths = spec.nodePrefixLength;
  const byFamily = (texts: readonly string[]): Prefix[] => texts.map(parsePrefix).sort((a, b) => a.family - b.family);
  return {
    nodes: byFamily(spec.nodeCIDRs),
    pods: byFamily(effectivePodCIDRs(spec)).map((prefix) => ({
      prefix,
      length: prefix.family === 4 ? lengths.ipv4 : lengths.ipv6,
    })),
  };
}
