/** From what a user names to the two ends of a trace. Pure. */
import { contains, familyOf, formatAddress, parseAddress } from '../wire/address.ts';
import type { Certificate } from '../wire/certificate.ts';
import type { NodeId } from '../wire/ids.ts';
import { DecodeError } from '../wire/reader.ts';

export interface End {
  readonly id: NodeId;
  /** Of the node. */
  readonly name: string;
  readonly mac: string;
  readonly address: string;
  /** The address is within a prefix of the node: a pod, or what else is behind it. */
  readonly pod: boolean;
}

/** One line that says what is wrong with what was named. */
export class EndError extends Error {}

type Node = Pick<Certificate, 'nodeId' | 'name' | 'addresses' | 'routes' | 'mac'>;

/**
 * @param named of each: a node's name or id, an overlay address, or an address behind a node; `from` undefined: `self` itself, at which the trace begins
 * Throws EndError.
 */
export function endsOf(
  self: Node,
  others: readonly Node[],
  from: string | undefined,
  to: string,
): { readonly from: End; readonly to: End } {
  const target = find([self, ...others], to);
  if (target === undefined) {
    const known = others.map(({ name }) => name).sort();
    const list = known.length === 0 ? 'none yet' : known.slice(0, 20).join(', ') + (known.length > 20 ? ', ...' : '');
    throw new EndError(`no member has the name, id or address "${to}", nor a prefix with it; known members: ${list}`);
  }
  const source = from === undefined ? { node: self, address: undefined } : find([self, ...others], from);
  if (source === undefined) throw new EndError(`no member has the name, id or address "${from}", nor a prefix with it`);
  if (source.node.nodeId !== self.nodeId) throw new EndError(`"${from}" is ${source.node.name}'s, not ${self.name}'s`);
  if (target.node.nodeId === self.nodeId)
    throw new EndError(`"${to}" is ${self.name}'s own, where the trace begins: nothing would leave by the overlay`);
  const [a, b] = [addressesOf(source), addressesOf(target)];
  const pair = b.flatMap((y) => a.filter((x) => familyOf(x) === familyOf(y)).map((x) => [x, y] as const))[0];
  if (pair === undefined) throw new EndError(`"${from ?? self.name}" and "${to}" have no address of the same family`);
  return { from: endOf(source, pair[0]), to: endOf(target, pair[1]) };
}

/** The node at which a trace from there begins; throws EndError. */
export function beginOf<T extends Node>(nodes: readonly T[], from: string): T {
  const found = find(nodes, from);
  if (found === undefined) throw new EndError(`no member has the name, id or address "${from}", nor a prefix with it`);
  return found.node;
}

interface Found<T extends Node = Node> {
  readonly node: T;
  /** The address that was named; undefined: the node was. */
  readonly address: string | undefined;
}

function find<T extends Node>(nodes: readonly T[], named: string): Found<T> | undefined {
  const node = nodes.find(({ nodeId, name }) => nodeId === named || name === named);
  if (node !== undefined) return { node, address: undefined };
  const address = canonical(named);
  if (address === undefined) return undefined;
  const owner = nodes.find(({ addresses }) => addresses.some((one) => one.address === address));
  if (owner !== undefined) return { node: owner, address };
  // Of nested prefixes the longest has it, as with routes.
  const behind = nodes
    .flatMap((one) => one.routes.filter((route) => contains(route, address)).map((route) => ({ one, route })))
    .sort((x, y) => y.route.length - x.route.length)[0];
  return behind && { node: behind.one, address };
}

function canonical(text: string): string | undefined {
  try {
    return formatAddress(parseAddress(text));
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function addressesOf({ node, address }: Found): readonly string[] {
  return address === undefined ? node.addresses.map((one) => one.address) : [address];
}

function endOf({ node }: Found, address: string): End {
  const pod = !node.addresses.some((one) => one.address === address);
  return { id: node.nodeId, name: node.name, mac: node.mac, address, pod };
}
