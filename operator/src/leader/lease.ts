/** Between a Lease of the API and what the election knows of it. */
import type { Lease } from '../../../agent/src/kube-api/kinds.ts';
import { type Applied, type Key, splitKey } from '../../../agent/src/kube-api/object.ts';
import { LEASE_MS, type LeaseClaim, type LeaseState } from './machine.ts';

export function stateOf({ metadata, spec }: Lease): LeaseState {
  const seconds = spec?.leaseDurationSeconds;
  return {
    holder: spec?.holderIdentity ?? '',
    durationMs: seconds !== undefined && seconds > 0 ? seconds * 1000 : LEASE_MS,
    transitions: spec?.leaseTransitions ?? 0,
    resourceVersion: metadata.resourceVersion,
  };
}

/** `wall`: for people who look at the Lease, and for nothing else. `acquireTime` is kept from `known` while the holder stays. */
export function leaseOf(key: Key, claim: LeaseClaim, wall: Date, known: Lease | undefined): Applied<Lease> {
  // metav1.MicroTime.
  const time = wall.toISOString().replace('Z', '000Z');
  const { name, namespace = 'default' } = splitKey(key);
  const { labels, annotations } = known?.metadata ?? {};
  return {
    metadata: {
      name,
      namespace,
      ...(claim.resourceVersion !== undefined && { resourceVersion: claim.resourceVersion }),
      // Others' marks stay: the whole object is replaced.
      ...(labels !== undefined && { labels }),
      ...(annotations !== undefined && { annotations }),
    },
    spec: {
      holderIdentity: claim.holder,
      leaseDurationSeconds: Math.max(1, Math.round(claim.durationMs / 1000)),
      leaseTransitions: claim.transitions,
      acquireTime: claim.acquired ? time : (known?.spec?.acquireTime ?? time),
      renewTime: time,
    },
  };
}
