/**
 * Between the nodes' underlay addresses nothing goes but Evio's own: tincan's UDP, WebRTC (STUN, DTLS, SRTP), XMPP, and TURN. All else is
 * dropped and counted, where it is sent and where it comes in.
 */
import { attempt, inNode, must, NODES } from '../cluster/kube.ts';
import { tincanPorts } from './overlay-only.ts';

const TABLE = 'evio_underlay';
const XMPP = 5223;
const TURN = '{ 3478, 3479 }';

/** All addresses that a node can be seen with by another below the overlay: its own, and its NAT's. */
async function underlayAddresses(): Promise<readonly string[]> {
  const of = async (place: string, link: string): Promise<readonly string[]> =>
    [...(await inNode(place, 'ip', '-4', '-o', 'addr', 'show', 'dev', link)).matchAll(/inet ([0-9.]+)\//g)].flatMap(
      ([, address]) => address ?? [],
    );
  const edges = NODES.filter((node) => node.startsWith('edge'));
  return (
    await Promise.all([...NODES.map((node) => of(node, 'eth0')), ...edges.map((node) => of(`nat-${node}`, 'wan'))])
  ).flat();
}

/** The rules as nft reads them. */
export const rulesOf = (addresses: readonly string[], ports: readonly number[]): string => `table inet ${TABLE} {
  set nodes { type ipv4_addr; elements = { ${addresses.join(', ')} } }
  set tried { type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service; flags dynamic; size 256; }
  counter evio {}
  counter other {}
  chain between {
    udp sport { ${ports.join(', ')} } counter name evio accept
    udp dport { ${ports.join(', ')} } counter name evio accept
    tcp sport ${XMPP} counter name evio accept
    tcp dport ${XMPP} counter name evio accept
    udp sport ${TURN} counter name evio accept
    udp dport ${TURN} counter name evio accept
    # WebRTC has any port: STUN is known by its magic cookie (RFC 8489 §5), DTLS and SRTP by their first byte (RFC 7983 §7).
    meta l4proto udp @th,96,32 0x2112a442 counter name evio accept
    meta l4proto udp @th,64,8 >= 20 @th,64,8 <= 63 counter name evio accept
    meta l4proto udp @th,64,8 >= 128 @th,64,8 <= 191 counter name evio accept
    meta l4proto icmp ct state related counter name evio accept
    add @tried { ip saddr . ip daddr . meta l4proto . th sport . th dport }
    counter name other drop
  }
  chain out { type filter hook postrouting priority 300; oifname "eth0" ip daddr @nodes jump between; }
  chain in { type filter hook prerouting priority -150; iifname "eth0" ip saddr @nodes jump between; }
}
`;

export async function closeUnderlay(): Promise<void> {
  const rules = rulesOf(await underlayAddresses(), await tincanPorts());
  for (const node of NODES) await must('nx', [node, 'nft', '-f', '-'], rules);
}

export interface Seen {
  /** Packets of Evio, and all others, which were dropped; of all nodes, both ways. */
  readonly evio: number;
  readonly other: number;
  /** What the others were, as nft lists them. */
  readonly tried: string;
}

export async function seen(): Promise<Seen> {
  const tables = await Promise.all(NODES.map((node) => inNode(node, 'nft', 'list', 'table', 'inet', TABLE)));
  const sum = (name: string): number =>
    tables.reduce((all, text) => {
      const packets = new RegExp(`counter ${name} \\{\\s*packets (\\d+)`).exec(text)?.[1];
      if (packets === undefined) throw new Error(`nft lists no counter ${name}: ${text.slice(0, 300)}`);
      return all + Number(packets);
    }, 0);
  const tried = tables.flatMap((text, at) => {
    const elements = /set tried \{[^}]*elements = \{([^}]*)\}/.exec(text)?.[1]?.replace(/\s+/g, ' ').trim();
    return elements === undefined ? [] : [`${NODES[at]}: ${elements}`];
  });
  return { evio: sum('evio'), other: sum('other'), tried: tried.join('; ') };
}

export async function openUnderlay(): Promise<void> {
  for (const node of NODES) await attempt('nx', [node, 'nft', 'delete', 'table', 'inet', TABLE]);
}
