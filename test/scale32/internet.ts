/**
 * The demo's internet with 32 nodes: 16 with public addresses, 16 behind NATs.
 *
 *     home1..4    two hosts each on a LAN, port-preserving NAT     8
 *     flat1..2    one host, port-preserving NAT                    2
 *     office1..2  two hosts each on a LAN, random-port NAT         4
 *     lte1..2     one host, random-port NAT, behind a carrier's    2
 */
import {
  type Attachment,
  addNamespace,
  cable,
  type DemoNode,
  defaultRoute,
  natRules,
  removeNamespaces,
  serverHost,
  switchedLan,
} from '../demo/internet.ts';

type Mapping = Exclude<Attachment, 'public'>;

interface Site {
  /** Of the NAT's namespace, and how the names of its hosts begin. */
  readonly name: string;
  readonly mapping: Mapping;
  readonly hosts: number;
}

const SITES: readonly Site[] = [
  ...[1, 2, 3, 4].map((i): Site => ({ name: `home${i}`, mapping: 'port-preserving', hosts: 2 })),
  ...[1, 2].map((i): Site => ({ name: `flat${i}`, mapping: 'port-preserving', hosts: 1 })),
  ...[1, 2].map((i): Site => ({ name: `office${i}`, mapping: 'random-port', hosts: 2 })),
];
const CARRIER = 'cgn';
const PHONES = 2;
const CLOUDS = 16;

/** The `index`th network of four addresses: the router's end, and the other. */
const link = (net: string, index: number): readonly [string, string] => [
  `${net}.${4 * index + 1}`,
  `${net}.${4 * index + 2}`,
];
const wan = (index: number): readonly [string, string] => link('192.0.2', index);

const clouds: readonly DemoNode[] = Array.from({ length: CLOUDS }, (_, i) => {
  const [gateway, address] = link('198.51.100', i);
  return { name: `cloud${i + 1}`, attachment: 'public', address, outside: address, gateway, prefix: 30 };
});

/** All private networks look alike, as they do: a candidate of one home is a stranger in the next. */
const hostsOf = ({ name, mapping, hosts }: Site, index: number): readonly DemoNode[] =>
  Array.from({ length: hosts }, (_, i) => ({
    name: `${name}${'abcdefgh'[i]}`,
    attachment: mapping,
    address: `192.168.1.${10 + i}`,
    outside: wan(index)[1],
    gateway: '192.168.1.1',
    prefix: 24,
  }));

const phones: readonly DemoNode[] = Array.from({ length: PHONES }, (_, i) => ({
  name: `lte${i + 1}`,
  attachment: 'random-port',
  address: '10.64.7.2',
  outside: wan(SITES.length)[1],
  gateway: '10.64.7.1',
  prefix: 24,
}));

/** In the order in which they are started. */
export const NODES: readonly DemoNode[] = [...clouds, ...SITES.flatMap(hostsOf), ...phones];

const natOf = (name: string): string => `nat-${name}`;
const NAMESPACES: readonly string[] = [
  'inet',
  'server',
  CARRIER,
  ...SITES.map(({ name }) => natOf(name)),
  ...phones.map(({ name }) => natOf(name)),
  ...NODES.map(({ name }) => name),
];

/** Builds everything; `takeDown` undoes it, also half built. */
export async function build(): Promise<void> {
  await Promise.all(NAMESPACES.map(addNamespace));
  await serverHost();
  await Promise.all([
    ...clouds.map((node, i) => plug(node, i)),
    ...SITES.map((site, i) => nat(site, i)),
    outside(CARRIER, SITES.length).then(() => natRules(CARRIER, 'random-port')),
    ...phones.map((phone, i) => behindCarrier(phone, i)),
  ]);
}

async function plug({ name, gateway, address }: DemoNode, index: number): Promise<void> {
  await cable(
    { ns: 'inet', link: `to-c${index + 1}`, address: `${gateway}/30` },
    { ns: name, link: 'eth0', address: `${address}/30` },
  );
  await defaultRoute(name, gateway);
}

async function nat(site: Site, index: number): Promise<void> {
  await outside(natOf(site.name), index);
  await switchedLan(natOf(site.name), hostsOf(site, index));
  await natRules(natOf(site.name), site.mapping);
}

async function behindCarrier(phone: DemoNode, index: number): Promise<void> {
  const name = natOf(phone.name);
  const [gateway, address] = link('100.64.0', index);
  await cable(
    { ns: CARRIER, link: `lan${index + 1}`, address: `${gateway}/30` },
    { ns: name, link: 'wan', address: `${address}/30` },
  );
  await defaultRoute(name, gateway);
  await switchedLan(name, [phone]);
  await natRules(name, 'random-port');
}

/** A NAT's link to the router. */
async function outside(nat: string, index: number): Promise<void> {
  const [gateway, address] = wan(index);
  await cable(
    { ns: 'inet', link: `to-n${index + 1}`, address: `${gateway}/30` },
    { ns: nat, link: 'wan', address: `${address}/30` },
  );
  await defaultRoute(nat, gateway);
}

export const takeDown = (): Promise<void> => removeNamespaces(NAMESPACES);

/** Whether no direct path can join the two: a random-port NAT with any NAT, but on one LAN. */
export function relayed(a: DemoNode, b: DemoNode): boolean {
  const ends = [a.attachment, b.attachment];
  const oneLan = a.outside === b.outside && a.gateway === b.gateway && a.address !== b.address;
  return ends.includes('random-port') && !ends.includes('public') && !oneLan;
}
