/** Whether the ends that `evio peers` shows for a pair are what the underlay gives it. */
import type { Peer } from '../../agent/src/api.ts';
import { byName, type DemoNode, SERVER } from './internet.ts';
import { type Joined, peers } from './overlay.ts';

type End = NonNullable<Peer['local']>;

const host = (end: End): string => end.address.replace(/:\d+$/, '');
const isServers = (end: End): boolean => SERVER.addresses.some((address) => address === host(end));
const shown = (end: End | null): string => (end === null ? 'nothing' : `${end.type} ${end.address}`);

/** What cannot be true of the way a node says it reaches a peer, or undefined. */
export function contradiction(
  from: DemoNode,
  to: DemoNode,
  peer: Pick<Peer, 'path' | 'local' | 'remote'>,
): string | undefined {
  const { path, local, remote } = peer;
  const wrong = (what: string): string => `${from.name}-${to.name} (${path}): ${what}`;
  if (path !== 'direct' && path !== 'webrtc') return undefined;
  if (local === null || remote === null) return wrong(`from ${shown(local)} to ${shown(remote)}`);
  if (path === 'direct') {
    const lan = from.outside === to.outside;
    const translated = !lan && to.address !== to.outside;
    if (host(local) !== from.address) return wrong(`local end ${shown(local)}, not ${from.address}`);
    if (host(remote) !== (lan ? to.address : to.outside))
      return wrong(`remote end ${shown(remote)}, not ${lan ? to.address : to.outside}`);
    // An address first heard from, before the peer named it, is peer-reflexive (RFC 8445 §7.3.1.3).
    const types = [translated ? 'srflx' : 'host', 'prflx'];
    return types.includes(remote.type) ? undefined : wrong(`remote end ${shown(remote)}, not ${types.join(' or ')}`);
  }
  if (![local, remote].some((end) => end.type === 'relay'))
    return wrong(`no relay in ${shown(local)}, ${shown(remote)}`);
  for (const [end, node] of [
    [local, from],
    [remote, to],
  ] as const) {
    const fits = end.type === 'relay' ? isServers(end) : [node.outside, node.address].includes(host(end));
    if (!fits) return wrong(`${shown(end)} is not of ${end.type === 'relay' ? 'the server' : node.name}`);
  }
  return undefined;
}

/** Every contradiction in what the nodes say, and where the two ends of a relayed pair name different allocations. */
export async function contradictions(nodes: readonly Joined[]): Promise<readonly string[]> {
  const views = new Map<string, Peer>();
  await Promise.all(
    nodes.map(async (node) => {
      for (const peer of await peers(node)) views.set(`${node.name} ${peer.name}`, peer);
    }),
  );
  const found: string[] = [];
  for (const [key, peer] of views) {
    const [from = '', to = ''] = key.split(' ');
    const wrong = contradiction(byName(from), byName(to), peer);
    if (wrong !== undefined) found.push(wrong);
    const back = views.get(`${to} ${from}`);
    if (peer.local?.type === 'relay' && back?.remote?.address !== peer.local.address)
      found.push(`${from}-${to}: ${shown(peer.local)} here, ${shown(back?.remote ?? null)} there`);
  }
  return found;
}
