/** Defaults that depend on other fields, so that the schema cannot hold them: an absent field means what is said here. */
import type { EvioNetworkSpec } from './evio-network.ts';
import { DEFAULT_POD_CIDRS } from './network-rules.ts';

export const MTU_AUTO = 1400;

/** The prefixes that nodes' pieces are cut from; none in HostNetwork. */
export function effectivePodCIDRs(spec: EvioNetworkSpec): readonly string[] {
  if (spec.mode === 'HostNetwork') return [];
  return spec.podCIDRs === undefined || spec.podCIDRs.length === 0 ? DEFAULT_POD_CIDRS : spec.podCIDRs;
}

export const effectiveMTU = (spec: EvioNetworkSpec): number => spec.mtu ?? MTU_AUTO;

export const effectiveTurn = (spec: EvioNetworkSpec): 'Embedded' | 'Signalling' | 'None' =>
  spec.ice.turn ?? (spec.signalling.embedded === undefined ? 'Signalling' : 'Embedded');

/** As `evio overlay create` takes it: a number, `auto` or `auto:8`, as text. */
export const effectiveLongDistance = (spec: EvioNetworkSpec): string => String(spec.topology.longDistance ?? 'auto');

/** The XMPP server's domain of rooms. */
export const conferenceOf = (external: { readonly domain: string; readonly conference?: string | undefined }): string =>
  external.conference ?? `conference.${external.domain}`;
