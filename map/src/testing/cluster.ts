/**
 * EvioNodes as agents of a healthy cluster write them: labels, ring and long-distance links by the agents' own rules, NATs and paths as
 * chance has them. For tests.
 */
import { createHash } from 'node:crypto';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import { linksAmong } from '../../../agent/src/long-distance.ts';
import type { Random } from '../../../agent/src/machine.ts';
import { nearest, Ring } from '../../../agent/src/overlay/ring.ts';
import { drawLink } from '../../../agent/src/overlay/symphony.ts';
import type { TunnelStatus } from '../../../crds/src/evio-node.ts';

const SUCCESSORS = 2;
const SINCE = Date.parse('2026-11-30T08:00:00Z');
const PLACES = ['edge', 'shop', 'cloud', 'factory', 'home'];

export type Tunnel = TunnelStatus;
export type Status = NonNullable<EvioNode['status']>;

export interface Shape {
  /** Share of tunnels over a TURN server; default 0.08. */
  readonly relayed?: number;
  /** Share of tunnels that are down; default 0. */
  readonly down?: number;
}

const NATS = ['None', 'EndpointIndependent', 'EndpointIndependent', 'AddressDependent'] as const;

export function clusterOf(size: number, random: Random, { relayed = 0.08, down = 0 }: Shape = {}): EvioNode[] {
  const named = Array.from({ length: size }, (_, i) => {
    const name = `${PLACES[i % PLACES.length]}-${String(Math.floor(i / PLACES.length) + 1).padStart(3, '0')}`;
    return { name, id: createHash('sha256').update(name).digest('hex').slice(0, 32) };
  });
  const names = new Map(named.map(({ name, id }) => [id, name]));
  const name = (id: string): string => names.get(id) ?? '';
  const ring = Ring.of(names.keys());
  const tunnels = new Map<string, Map<string, Tunnel>>(named.map(({ id }) => [id, new Map()]));
  const links = new Map<string, string[]>();
  const join = (a: string, b: string): void => {
    if (tunnels.get(a)?.has(b) === true) return;
    const lost = random() < down;
    const path = random() < relayed ? 'Relayed' : 'Direct';
    const rttMs = 1 + Math.floor(random() * 60) + (path === 'Relayed' ? 20 : 0);
    const since = new Date(SINCE - Math.floor(random() * 86_400) * 1000).toISOString().replace('.000', '');
    const told: Omit<Tunnel, 'peer'> = lost
      ? { state: 'Down', path: 'Via', since }
      : { state: 'Up', path, rttMs, since };
    tunnels.get(a)?.set(b, { peer: name(b), ...told });
    tunnels.get(b)?.set(a, { peer: name(a), ...told });
  };
  for (const { id } of named)
    for (const next of nearest(ring.clockwise(id), Math.min(SUCCESSORS, size - 1), () => false)) join(id, next);
  for (const { id } of named) {
    const taken = new Set([id, ...(tunnels.get(id)?.keys() ?? [])]);
    for (let i = 0; i < linksAmong('auto', size); i++) {
      const link = drawLink(id, ring, taken, random);
      if (link === undefined) continue;
      taken.add(link);
      links.set(id, [...(links.get(id) ?? []), link]);
      join(id, link);
    }
  }
  return named.map(({ id, name: own }, i) => {
    const nat = NATS[Math.floor(random() * NATS.length)] ?? 'None';
    const all = [...(tunnels.get(id)?.values() ?? [])];
    const up = all.filter(({ state }) => state === 'Up');
    const [predecessor] = ring.counterclockwise(id);
    return {
      apiVersion: 'evio.io/v1alpha1',
      kind: 'EvioNode',
      metadata: { name: own, uid: id, resourceVersion: '1', creationTimestamp: '2026-11-30T08:00:00Z' },
      spec: {
        network: 'default',
        memberName: own,
        addresses: [`10.45.${(i + 1) >> 8}.${(i + 1) & 255}/16`],
        podCIDRs: [],
      },
      status: {
        conditions: [readiness(true)],
        publicAddresses: ['203.0.113.7'],
        nat: { mapping: nat },
        ring: {
          label: id.slice(0, 16),
          ...(predecessor === undefined ? {} : { predecessor: name(predecessor) }),
          successors: nearest(ring.clockwise(id), Math.min(SUCCESSORS, size - 1), () => false).map(name),
          longDistance: (links.get(id) ?? []).map(name),
        },
        tunnels: all.slice(0, 64),
        summary: {
          tunnels: up.length,
          direct: up.filter(({ path }) => path === 'Direct').length,
          relayed: up.filter(({ path }) => path === 'Relayed').length,
          failed: all.length - up.length,
        },
        versions: { agent: '0.1.0', tincan: '0.1.0' },
      },
    } as EvioNode;
  });
}

export const readiness = (ready: boolean, reason = ready ? 'Ready' : 'SignallingLost', message = '') => ({
  type: 'Ready',
  status: ready ? ('True' as const) : ('False' as const),
  lastTransitionTime: '2026-11-30T08:00:00Z',
  reason,
  message,
});

/** The same with another status of one node. */
export const changed = (nodes: readonly EvioNode[], name: string, change: (status: Status) => Status): EvioNode[] =>
  nodes.map((node) =>
    node.spec.memberName === name && node.status !== undefined ? { ...node, status: change(node.status) } : node,
  );
