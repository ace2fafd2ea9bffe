/** All members of an overlay in one list: of a cluster's EvioNodes, or as one node sees them. Pure. */
import type { NatClass, Peer, Status } from '../../agent/src/api.ts';
import type { EvioNode } from '../../agent/src/kube-api/evio-kinds.ts';
import { nodeIdOf } from '../../agent/src/wire/ids.ts';

export interface MemberRow {
  readonly name: string;
  /** 32 hex characters; null: it has no keys yet. */
  readonly id: string | null;
  /** On the overlay, without prefix length. */
  readonly addresses: readonly string[];
  /** Where on the internet it is seen; null: not known. */
  readonly where: readonly string[] | null;
  /** From a node: by which path it is reached. Of a cluster: how many of its tunnels go by which. Null: not told. */
  readonly path: string | null;
  /** Null: only that node knows. */
  readonly nat: NatClass | null;
  readonly version: string | null;
  /** Null: not known. */
  readonly ready: boolean | null;
  /** Why it is not ready, or not known to be; null: it is. */
  readonly reason: string | null;
}

export interface NodesReport {
  /** `cluster`: its EvioNodes. `node`: what this node's agent knows of the others. */
  readonly source: 'cluster' | 'node';
  /** The API server's URL, or the overlay's name. */
  readonly of: string;
  readonly nodes: readonly MemberRow[];
}

const NAT: Readonly<Record<string, NatClass>> = {
  None: 'none',
  EndpointIndependent: 'endpoint-independent',
  AddressDependent: 'address-dependent',
};

const byName = (a: MemberRow, b: MemberRow): number => (a.name < b.name ? -1 : 1);
const bare = (address: string): string => address.replace(/\/\d+$/, '');

export const nodesOfCluster = (members: readonly EvioNode[], server: string): NodesReport => ({
  source: 'cluster',
  of: server,
  nodes: members.map(memberRow).sort(byName),
});

function memberRow({ spec, status }: EvioNode): MemberRow {
  const { summary } = status ?? {};
  return {
    name: spec.memberName,
    id: idOf(spec.machine?.identityKey ?? status?.keys?.identityKey),
    addresses: spec.addresses.map(bare),
    where: status?.publicAddresses ?? null,
    path: summary === undefined ? null : countsText(summary),
    nat: status?.nat === undefined ? null : (NAT[status.nat.mapping ?? ''] ?? 'unknown'),
    version: status?.versions?.agent ?? null,
    ...readiness({ spec, status }),
  };
}

function idOf(identityKey: string | undefined): string | null {
  const key = identityKey === undefined ? undefined : Buffer.from(identityKey, 'base64');
  return key?.length === 32 ? nodeIdOf(key) : null;
}

type Summary = NonNullable<NonNullable<EvioNode['status']>['summary']>;

function countsText({ tunnels = 0, direct = 0, relayed = 0, failed = 0 }: Summary): string {
  const via = Math.max(0, tunnels - direct - relayed);
  const parts = [
    [direct, 'direct'],
    [relayed, 'relayed'],
    [via, 'via'],
    [failed, 'down'],
  ] as const;
  const text = parts.flatMap(([n, word]) => (n === 0 ? [] : [`${n} ${word}`])).join(', ');
  return text === '' ? 'no tunnel' : text;
}

/** A machine that joined by a token writes no status: the API knows that it is a member, and no more. */
function readiness({ spec, status }: Pick<EvioNode, 'spec' | 'status'>): Pick<MemberRow, 'ready' | 'reason'> {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined || ready.status === 'Unknown')
    return { ready: null, reason: ready?.reason ?? (spec.machine === undefined ? 'NothingTold' : 'JoinedByToken') };
  return ready.status === 'True' ? { ready: true, reason: null } : { ready: false, reason: ready.reason };
}

export const nodesOfAgent = (status: Status, peers: readonly Peer[]): NodesReport => ({
  source: 'node',
  of: status.overlay.name,
  nodes: [selfRow(status), ...peers.map(peerRow)].sort(byName),
});

function selfRow({ node, nat, version, findings, tincan }: Status): MemberRow {
  const fault = findings.find(({ severity }) => severity === 'error');
  const reason = tincan === null ? 'tincan-away' : (fault?.code ?? null);
  return {
    name: node.name,
    id: node.id,
    addresses: node.addresses.map(bare),
    where: nat.mapped.length === 0 ? null : nat.mapped,
    path: 'self',
    nat: nat.class,
    version,
    ready: reason === null,
    reason,
  };
}

function peerRow({ id, name, addresses, path, remote }: Peer): MemberRow {
  return {
    name,
    id,
    addresses: addresses.map(bare),
    where: remote === null ? null : [remote.address],
    path,
    nat: null,
    version: null,
    ready: path !== 'none',
    reason: path === 'none' ? 'not reached from here' : null,
  };
}
