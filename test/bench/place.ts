/**
 * Where benches run: pairs of ends with an underlay between them, and a host with Evio's servers, all network namespaces. Each peer
 * has a pair of its own, so that no tunnel runs within another one's.
 *
 * pair   a ──veth── b
 * line   a ──veth── i ──veth── b: a router between them, where the line can be made bad
 * lan    up to 65 nodes on one switch
 *
 * In pairs and lines the ends that need it have a link of their own to the server, which forwards nothing.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { addNamespace, cable, removeNamespaces, SERVER } from '../demo/internet.ts';
import { type Server, startServer } from '../demo/overlay.ts';
import { attempt, PREFIX, run } from '../demo/shell.ts';

export type Side = 'a' | 'b';
export const SIDES = ['a', 'b'] as const;
export const other = (side: Side): Side => (side === 'a' ? 'b' : 'a');

export interface End {
  readonly ns: string;
  /** On the underlay, whose interface is eth0. */
  readonly address: string;
}
export type Ends = Readonly<Record<Side, End>>;

export type PlaceKind = 'pair' | 'line' | 'lan';

export interface Place {
  readonly kind: PlaceKind;
  /** Files of this place. */
  readonly dir: string;
  readonly server: Server;
}

export const MOST_NODES = 65;
/** Nodes of a lan. */
export const lanNode = (number: number): string => `n${number}`;

/** The router of a peer's line. */
export const routerOf = (peer: string): string => `i-${peer}`;
/** On that router: the link to b, and the only address behind it. */
export const TO_B = { link: 'to-b', address: '198.51.100.6' } as const;

const ENDS = {
  pair: { a: '10.99.0.1', b: '10.99.0.2' },
  line: { a: '198.51.100.2', b: TO_B.address },
} as const;

export async function openPlace(kind: PlaceKind, dir: string, nodes: number): Promise<Place> {
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  await addNamespace('server');
  await run('server', 'sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0');
  for (const address of SERVER.addresses) await run('server', 'ip', 'address', 'add', address, 'dev', 'lo');
  if (kind === 'lan') await lan(nodes);
  return { kind, dir, server: await startServer(join(dir, 'server')) };
}

/** Removes all namespaces of places, also those of a run that was cut off. */
export async function closePlace(): Promise<void> {
  const listed = (await attempt(undefined, ['ip', 'netns', 'list'])).stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  const ours = listed.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  await removeNamespaces(ours.filter((name) => /^(server|lan|n\d+|[abi]-[a-z-]+|pod-[a-z0-9-]+)$/.test(name)));
}

/** Makes the pair, or the line, of one peer. */
export async function addEnds({ kind }: Place, peer: string): Promise<Ends> {
  if (kind === 'lan') throw new Error('the ends of a lan are its nodes');
  const ns = { a: `a-${peer}`, b: `b-${peer}` };
  for (const side of SIDES) await addNamespace(ns[side]);
  const addresses = ENDS[kind];
  if (kind === 'pair') {
    const [a, b] = SIDES.map((side) => ({ ns: ns[side], link: 'eth0', address: `${addresses[side]}/24` }));
    if (a !== undefined && b !== undefined) await cable(a, b);
  } else {
    const router = routerOf(peer);
    await addNamespace(router);
    await run(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    for (const [side, gateway] of [
      ['a', '198.51.100.1'],
      ['b', '198.51.100.5'],
    ] as const) {
      const near = { ns: router, link: `to-${side}`, address: `${gateway}/30` };
      await cable(near, { ns: ns[side], link: 'eth0', address: `${addresses[side]}/30` });
      await run(ns[side], 'ip', 'route', 'add', 'default', 'via', gateway);
    }
  }
  return { a: { ns: ns.a, address: addresses.a }, b: { ns: ns.b, address: addresses.b } };
}

let links = 0;
/** Joins an end to the server. */
export async function linkToServer(ns: string): Promise<void> {
  const number = links++ % 60;
  const [near, far] = [`192.0.2.${number * 4 + 1}`, `192.0.2.${number * 4 + 2}`];
  const server = { ns: 'server', link: `to-${number}`, address: `${far}/30` };
  await cable({ ns, link: 'to-server', address: `${near}/30` }, server);
  for (const address of SERVER.addresses) await run(ns, 'ip', 'route', 'add', address, 'via', far);
}

const lanAddress = (number: number): string => `10.99.0.${number}`;

async function lan(nodes: number): Promise<void> {
  await addNamespace('lan');
  await run('lan', 'ip', 'link', 'add', 'switch', 'type', 'bridge');
  await run('lan', 'ip', 'link', 'set', 'switch', 'up');
  const plug = async (ns: string, number: number): Promise<void> => {
    const port = `to-${ns}`;
    await cable({ ns: 'lan', link: port }, { ns, link: 'eth0', address: `${lanAddress(number)}/24` });
    await run('lan', 'ip', 'link', 'set', port, 'master', 'switch');
  };
  await plug('server', 254);
  for (let number = 1; number <= nodes; number++) {
    const ns = lanNode(number);
    await addNamespace(ns);
    await plug(ns, number);
    for (const address of SERVER.addresses) await run(ns, 'ip', 'route', 'add', address, 'via', lanAddress(254));
  }
}
