/** The ring as this node knows it (`Graph` of api.ts). Pure. */
import type { Agent } from './agent.ts';
import type { Graph, Peer } from './api.ts';
import { labelHex } from './wire/ids.ts';

export function graphOf(agent: Agent, peers: readonly Peer[]): Graph {
  const self = agent.certificate;
  const all = [self, ...agent.members].map(({ nodeId, name, label }) => ({
    id: nodeId,
    name,
    label: labelHex(label),
    self: nodeId === self.nodeId,
  }));
  const byLabel = new Map(all.map(({ label, id }) => [label, id]));
  const edges = peers
    .filter(({ kinds, path }) => kinds.length > 0 || path === 'direct' || path === 'webrtc')
    .map(({ id, kinds, path, local, remote, rttMs }) => ({
      to: id,
      kinds,
      path,
      relayed: path === 'webrtc' && (local?.type === 'relay' || remote?.type === 'relay'),
      rttMs,
    }));
  // Neighbours tell each other their tunnels, so that detours can go round a hop that is down.
  const told = edges.flatMap(({ to }) =>
    (agent.status(to)?.adjacent ?? []).flatMap((label) => {
      const other = byLabel.get(label);
      return other === undefined || other === self.nodeId || other === to
        ? []
        : [[to, other].sort() as [string, string]];
    }),
  );
  return {
    overlay: agent.parameters.name,
    nodes: all.sort((a, b) => (a.label < b.label ? -1 : 1)),
    edges,
    told: [...new Map(told.map((pair) => [pair.join(), pair])).values()],
  };
}
