import { expect } from 'chai';
import fc from 'fast-check';
import { NO_TOKENS } from '../../../../agent/src/join/tokens.ts';
import type { EvioNetwork, EvioNode, EvioPeer } from '../../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../../agent/src/kube-api/kinds.ts';
import { nodeIdOf, overlayIdOf } from '../../../../agent/src/wire/ids.ts';
import { privateKey, rawPublicKey } from '../../../../agent/src/wire/keys.ts';
import type { EvioNetworkSpecInput } from '../../../../crds/src/evio-network.ts';
import { type Authority, overlayOf } from '../../desired/authority.ts';
import { entryOf, makeEnrolment, readKeys } from '../../desired/enrolment.ts';
import { gatewayOf } from '../../desired/gateway.ts';
import { EMPTY_LEDGER, issue, withParameters } from '../../desired/ledger.ts';
import { parametersOf } from '../../desired/parameters.ts';
import { aMember, aNetwork, aNode, someKeys } from '../../desired/testing.ts';
import { decide, type NodeAction, type NodeView } from './decide.ts';

const NOW = 1_800_000_000;
const KEY = privateKey('ed25519', Buffer.alloc(32, 7));
const PLACE = {
  service: 'xmpps://192.0.2.1:5223',
  domain: 'evio.test',
  conference: 'conference.evio.test',
  ca: undefined,
  stun: [],
  turn: 'none',
  cni: undefined,
  excludeRoutes: [],
} as const;

function authorityOf(network: EvioNetwork): Authority {
  const publicKey = rawPublicKey(KEY);
  const ledger = withParameters(EMPTY_LEDGER, parametersOf(network.spec), KEY, NOW);
  return { key: KEY, publicKey, overlayId: overlayIdOf(publicKey), ledger, tokens: NO_TOKENS };
}

interface Parts {
  readonly spec?: EvioNetworkSpecInput;
  readonly network?: EvioNetwork | undefined;
  readonly nodes?: readonly Node[];
  readonly members?: readonly EvioNode[];
  readonly more?: Partial<NodeView>;
}

function view(name: string, { spec, nodes = [], members = [], more = {}, ...rest }: Parts): NodeView {
  const network = 'network' in rest ? rest.network : aNetwork({ nodeAddresses: 'Never', ...spec });
  const byName = <T extends Node | EvioNode>(list: readonly T[]): Map<string, T> =>
    new Map(list.map((o) => [o.metadata.name, o]));
  return {
    name,
    network,
    nodes: byName(nodes),
    members: byName(members),
    peers: new Map(),
    authority: network === undefined ? undefined : authorityOf(network),
    place: PLACE,
    ...more,
  } as NodeView;
}

const kinds = (of: NodeView, now = NOW): string[] =>
  decide(of, now).actions.map((a) => (a.kind === 'delete' || a.kind === 'issue' ? `${a.kind} ${a.reason}` : a.kind));
const find = <K extends NodeAction['kind']>(of: NodeView, kind: K): Extract<NodeAction, { kind: K }> | undefined =>
  decide(of, NOW).actions.find((a): a is Extract<NodeAction, { kind: K }> => a.kind === kind);

describe('a Node', () => {
  it('gets an EvioNode of its name, owned by it, with addresses', () => {
    const created = find(view('a', { nodes: [aNode('a')] }), 'create')?.member;
    expect(created).to.deep.equal({
      metadata: {
        name: 'a',
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'a-uid', controller: true }],
      },
      spec: { network: 'default', memberName: 'a', addresses: ['10.45.0.1/16'], podCIDRs: ['10.244.0.0/24'] },
    });
  });

  it('gets none without a network, while the network goes, when it is not selected, and when it goes itself', () => {
    const gone = { deletionTimestamp: '2026-01-02T00:00:00Z' };
    expect(kinds(view('a', { nodes: [aNode('a')], network: undefined }))).to.deep.equal([]);
    expect(kinds(view('a', { nodes: [aNode('a')], network: aNetwork({}, gone) }))).to.deep.equal([]);
    expect(kinds(view('a', { nodes: [aNode('a')], spec: { nodeSelector: { zone: 'edge' } } }))).to.deep.equal([]);
    expect(kinds(view('a', { nodes: [aNode('a', { meta: gone })] }))).to.deep.equal([]);
    const labelled = aNode('a', { meta: { labels: { zone: 'edge' } } });
    expect(kinds(view('a', { nodes: [labelled], spec: { nodeSelector: { zone: 'edge' } } }))).to.deep.equal(['create']);
  });

  it('is told in an Event when the pool is empty, and gets an address once there is one', () => {
    const spec = { nodeCIDRs: ['10.45.0.0/30'] };
    const nodes = [aNode('a'), aNode('b'), aNode('c')];
    const members = [aMember('a', 1), aMember('b', 2)];
    const note = find(view('c', { spec, nodes, members }), 'note');
    expect([note?.about, note?.note.reason, note?.note.note]).to.deep.equal([
      'node',
      'PoolExhausted',
      'no overlay address is left in 10.45.0.0/30: let nodeCIDRs grow, or delete Nodes that are gone',
    ]);
    expect(kinds(view('c', { spec: { nodeCIDRs: ['10.45.0.0/29'] }, nodes, members }))).to.deep.equal(['create']);
    expect(
      find(view('c', { spec, nodes: nodes.slice(1), members: members.slice(1) }), 'create')?.member.spec?.addresses,
    ).to.deep.equal(['10.45.0.1/30']);
  });

  it('loses its EvioNode for exactly these reasons', () => {
    const member = aMember('a', 1);
    const nodes = [aNode('a')];
    expect(kinds(view('a', { nodes, members: [member] }))).to.deep.equal([]);
    expect(kinds(view('a', { members: [member] }))).to.deep.equal(['delete NodeGone']);
    expect(kinds(view('a', { nodes, members: [member], network: undefined }))).to.deep.equal(['delete NetworkGone']);
    expect(kinds(view('a', { nodes: [aNode('a', { meta: { uid: 'another' } })], members: [member] }))).to.deep.equal([
      'delete NodeReplaced',
    ]);
    expect(kinds(view('a', { nodes, members: [member], spec: { nodeSelector: { zone: 'edge' } } }))).to.deep.equal([
      'delete NotSelected',
    ]);
    const older = aMember('b', 1, { meta: { creationTimestamp: '2025-01-01T00:00:00Z' } });
    const both = { nodes: [aNode('a'), aNode('b')], members: [member, older] };
    expect(kinds(view('a', both))).to.deep.equal(['delete AddressesOverlap']);
    expect(kinds(view('b', both))).to.deep.equal([]);
    expect(kinds(view('a', { members: [aMember('a', 1, { meta: { deletionTimestamp: 'now' } })] }))).to.deep.equal([]);
  });

  it('has its spec and owner put right', () => {
    const orphan = aMember('a', 1, { meta: { ownerReferences: [] } });
    expect(kinds(view('a', { nodes: [aNode('a')], members: [orphan] }))).to.deep.equal(['apply']);
  });

  it('keeps its address when the subnet grows, and gets one of a family that comes later', () => {
    const grown = view('b', {
      spec: { nodeCIDRs: ['10.44.0.0/15', 'fd45::/64'], podCIDRs: ['10.244.0.0/16', 'fd00::/48'] },
      nodes: [aNode('a'), aNode('b')],
      members: [aMember('a', 1), aMember('b', 2)],
    });
    expect(find(grown, 'apply')?.member.spec).to.deep.include({
      addresses: ['10.45.0.2/15', 'fd45::2/64'],
      podCIDRs: ['10.244.1.0/24', 'fd00:0:0:1::/64'],
    });
    const other = { ...grown, name: 'a' };
    expect(find(other, 'apply')?.member.spec).to.deep.include({
      addresses: ['10.45.0.1/15', 'fd45::1/64'],
      podCIDRs: ['10.244.0.0/24', 'fd00::/64'],
    });
  });
});

const told = (seed: string) => ({ keys: someKeys(seed) });

describe('a member', () => {
  const nodes = [aNode('a'), aNode('b')];

  it('is enrolled once it has told its keys, and the place to meet is known', () => {
    const members = [aMember('a', 1, { status: told('a') })];
    expect(kinds(view('a', { nodes, members }))).to.deep.equal(['issue FirstEnrolment']);
    expect(kinds(view('a', { nodes, members: [aMember('a', 1)] }))).to.deep.equal([]);
    expect(kinds(view('a', { nodes, members, more: { place: undefined } }))).to.deep.equal([]);
    expect(kinds(view('a', { nodes, members, more: { authority: undefined } }))).to.deep.equal([]);
  });

  it('is renewed after half the life of its certificate, and asks for that time itself', () => {
    const first = view('a', { nodes, members: [aMember('a', 1, { status: told('a') })] });
    const action = find(first, 'issue');
    if (action === undefined || first.authority === undefined) throw new Error('not issued');
    const { ledger, serial } = issue(first.authority.ledger, 'a', entryOf(action.state, NOW), 1, KEY, NOW);
    const enrolment = makeEnrolment(action.state, serial, '', NOW);
    const enrolled: NodeView = {
      ...first,
      authority: { ...first.authority, ledger },
      members: new Map([['a', aMember('a', 1, { status: told('a'), spec: { enrolment } })]]),
    };
    const half = NOW + 360 * 3_600;
    expect(decide(enrolled, NOW)).to.deep.equal({ actions: [], again: half });
    expect(kinds(enrolled, half)).to.deep.equal(['issue HalfLifeOver']);
    expect(decide(enrolled, half).actions[0]).to.include({ admit: false });
    expect(
      kinds({ ...enrolled, members: new Map([['a', aMember('a', 1, { status: told('z'), spec: { enrolment } })]]) }),
    ).to.deep.equal(['issue NewKeys']);
  });

  it('is not enrolled with keys that are none, or those of another node', () => {
    const bad = { keys: { ...someKeys('a'), sessionKey: Buffer.alloc(32).toString('base64') } };
    expect(find(view('a', { nodes, members: [aMember('a', 1, { status: bad })] }), 'note')?.note.reason).to.equal(
      'KeysInvalid',
    );
    const of = view('b', { nodes, members: [aMember('a', 1), aMember('b', 2, { status: told('same') })] });
    const id = nodeIdOf(Buffer.from(someKeys('same').identityKey, 'base64'));
    const { authority } = of;
    if (authority === undefined) throw new Error('no authority');
    const { ledger } = issue(
      authority.ledger,
      'a',
      { uid: 'member-a', id, notAfter: NOW, account: 'a', sealed: '' },
      1,
      KEY,
      NOW,
    );
    const note = find({ ...of, authority: { ...authority, ledger } }, 'note');
    expect([note?.note.reason, note?.note.note.includes('node a')]).to.deep.equal(['KeysOfAnotherNode', true]);
    expect(kinds({ ...of, authority: { ...authority, ledger } })).to.deep.equal(['note']);
  });
});

describe('a machine that joined by a token', () => {
  const machine = { ...told('m').keys, joined: '2027-01-15T08:00:00Z' };
  const joined = (more: Partial<EvioNode['spec']> = {}): EvioNode =>
    aMember('m', 1, { spec: { machine, podCIDRs: [], ...more }, meta: { ownerReferences: [] } });
  const host = { spec: { mode: 'HostNetwork' } } as const;

  it('is enrolled by the keys in its spec, and by no others that an agent tells', () => {
    const member: EvioNode = { ...joined(), status: told('z') };
    const action = find(view('m', { ...host, members: [member] }), 'issue');
    expect(action?.reason).to.equal('FirstEnrolment');
    expect(action?.state.keys.identityKey.toString('base64')).to.equal(machine.identityKey);
    expect(action?.member.spec?.machine).to.deep.equal(machine);
    expect(action?.member.metadata.ownerReferences).to.equal(undefined);
  });

  it('stays without a Node, also where nodeSelector would not choose it, and goes with the Node that it had', () => {
    const choosy = { spec: { mode: 'HostNetwork', nodeSelector: { zone: 'edge' } } } as const;
    expect(kinds(view('m', { ...host, members: [joined()] }))).to.deep.equal(['issue FirstEnrolment']);
    const node = aNode('m', { meta: { labels: { 'evio.io/host-package': 'true' } } });
    const taken = find(view('m', { ...choosy, members: [joined()], nodes: [node] }), 'issue');
    expect(taken?.member.metadata.ownerReferences?.[0]).to.deep.include({ kind: 'Node', uid: 'm-uid' });
    const had = aMember('m', 1, { spec: { machine, podCIDRs: [] } });
    expect(kinds(view('m', { ...host, members: [had] }))).to.deep.equal(['delete NodeGone']);
    expect(kinds(view('m', { network: undefined, members: [joined()] }))).to.deep.equal(['delete NetworkGone']);
  });
});

describe('a Node with the name of a machine that joined by a token', () => {
  const machine = { ...told('m').keys, joined: '2027-01-15T08:00:00Z' };
  const member = aMember('m', 1, { spec: { machine, podCIDRs: [] }, meta: { ownerReferences: [] } });
  const spec = { mode: 'HostNetwork', nodeAddresses: 'Auto' } as const;
  const waits = { key: 'node.cloudprovider.kubernetes.io/uninitialized', effect: 'NoSchedule' };
  const enrolled = { ...member, spec: { ...member.spec, enrolment: { serial: '1' } as never } };

  it('gets neither that one nor its address, unless its kubelet says that it runs the host package', () => {
    const other = aNode('m', { addresses: [], taints: [waits] });
    const plan = decide(view('m', { spec, nodes: [other], members: [enrolled], more: { place: undefined } }), NOW);
    expect(plan.actions.map((a) => (a.kind === 'note' ? a.note.reason : a.kind))).to.deep.equal(['NameTaken']);
    const own = aNode('m', { addresses: [], taints: [waits], meta: { labels: { 'evio.io/host-package': 'true' } } });
    expect(kinds(view('m', { spec, nodes: [own], members: [enrolled], more: { place: undefined } }))).to.deep.equal([
      'patch-node',
      'apply',
    ]);
  });
});

describe('a gateway to Services', () => {
  const services = ['10.96.0.0/12'];
  const spec = { mode: 'HostNetwork', gateways: { serviceCIDRs: services } } as const;
  const its = (name: string, of: Omit<Parts, 'spec'>): unknown => {
    const action = find(view(name, { spec, ...of }), 'issue');
    return [action?.reason, action?.state.member.services];
  };
  const enrolled = (name: string, n: number, certified: readonly string[] = []): EvioNode => {
    const network = aNetwork(spec);
    const authority = authorityOf(network);
    const overlay = overlayOf(authority);
    if (overlay === undefined) throw new Error('no overlay');
    const addresses = [`10.45.0.${n}/16`];
    const keys = readKeys(someKeys(name));
    const state = {
      ...{
        member: { name, addresses, podCIDRs: [], services: certified },
        keys,
        present: undefined,
        issued: undefined,
      },
      ...{ uid: `member-${name}`, overlay, place: PLACE, lifetimeSeconds: 720 * 3_600 },
    };
    const enrolment = makeEnrolment(state, n, '', NOW);
    return aMember(name, n, { status: told(name), spec: { podCIDRs: [], enrolment } });
  };
  const members = [enrolled('a', 1), enrolled('b', 2, services)];
  const silent = { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
  const gateway = (nodes: readonly Node[], of = members) =>
    gatewayOf({
      network: aNetwork(spec),
      nodes: new Map(nodes.map((node) => [node.metadata.name, node])),
      members: new Map(of.map((member) => [member.metadata.name, member])),
    });

  it('is one node, and stays it while its kubelet is heard of', () => {
    expect(gateway([aNode('a'), aNode('b')])).to.equal('b');
    expect(gateway([aNode('a'), { ...aNode('b'), ...silent } as Node])).to.equal('a');
    expect(
      gateway([
        { ...aNode('a'), ...silent },
        { ...aNode('b'), ...silent },
      ] as Node[]),
    ).to.equal('b');
    expect(gateway([aNode('a')])).to.equal('a');
    expect(gateway([aNode('a'), aNode('b')], [aMember('a', 1), enrolled('b', 2)])).to.equal('b');
    expect(gateway([])).to.equal(undefined);
  });

  it('is never a machine that joined by a token, whose node file may leave Services to nobody, nor by the Node of another', () => {
    const machine = { ...told('m').keys, joined: '2027-01-15T08:00:00Z' };
    const [first] = members;
    if (first === undefined) throw new Error('no member');
    const joined = { ...first, spec: { ...first.spec, machine } };
    const own = aNode('a', { meta: { labels: { 'evio.io/host-package': 'true' } } });
    for (const node of [own, aNode('a')]) {
      expect(gateway([node], [joined])).to.equal(undefined);
      expect(gateway([node, aNode('b')], [joined, enrolled('b', 2)])).to.equal('b');
    }
  });

  it('has the addresses of Services in its certificate, and the former one is taken them off', () => {
    const nodes = [aNode('a'), { ...aNode('b'), ...silent } as Node];
    expect(its('a', { nodes, members })).to.deep.equal(['NotInLedger', services]);
    expect(its('b', { nodes, members })).to.deep.equal(['NotInLedger', []]);
  });
});

describe('an EvioPeer', () => {
  const peer = (name: string): EvioPeer => ({
    apiVersion: 'evio.io/v1alpha1',
    kind: 'EvioPeer',
    metadata: { name, uid: `${name}-peer`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { network: 'default' },
  });
  const peers = new Map([['p', peer('p')]]);
  const owner = { apiVersion: 'evio.io/v1alpha1', kind: 'EvioPeer', name: 'p', uid: 'p-peer', controller: true };
  const its = aMember('p', 2, { spec: { podCIDRs: [] }, meta: { ownerReferences: [owner] } });

  it('gets an EvioNode with an address after the Nodes that wait, and no addresses for pods, then or later', () => {
    const made = find(view('p', { nodes: [aNode('a')], more: { peers } }), 'create')?.member;
    expect(made?.spec).to.deep.equal({
      network: 'default',
      memberName: 'p',
      addresses: ['10.45.0.2/16'],
      podCIDRs: [],
    });
    expect(made?.metadata.ownerReferences).to.deep.equal([owner]);
    expect(kinds(view('p', { members: [its], more: { peers } }))).to.deep.equal([]);
  });

  it('gets none where a Node, or an EvioNode, has its name; a Node of its name takes nothing from it', () => {
    expect(find(view('p', { nodes: [aNode('p')], more: { peers } }), 'create')?.member.spec?.podCIDRs).to.have.length(
      1,
    );
    const other = aMember('q', 1, { spec: { memberName: 'p' } });
    expect(kinds(view('p', { members: [other], more: { peers } }))).to.deep.equal([]);
    expect(kinds(view('p', { nodes: [aNode('p')], members: [its], more: { peers } }))).to.deep.equal(['note']);
  });

  it('is not enrolled by the keys that the agent of a Node of its name tells, but by those of the machine that joined', () => {
    const told = { keys: someKeys('z') };
    const called = view('p', { nodes: [aNode('p')], members: [{ ...its, status: told }], more: { peers } });
    expect(kinds(called)).to.deep.equal(['note']);
    const machine = { ...someKeys('m'), joined: '2027-01-15T08:00:00Z' };
    const joined = { ...its, status: told, spec: { ...its.spec, machine } };
    const action = find({ ...called, members: new Map([['p', joined]]) }, 'issue');
    expect(action?.state.keys.identityKey.toString('base64')).to.equal(machine.identityKey);
  });

  it('that is deleted, or made anew, takes its EvioNode with it', () => {
    expect(kinds(view('p', { members: [its] }))).to.deep.equal(['delete PeerGone']);
    const anew = new Map([['p', { ...peer('p'), metadata: { ...peer('p').metadata, uid: 'another' } }]]);
    expect(kinds(view('p', { members: [its], more: { peers: anew } }))).to.deep.equal(['delete PeerGone']);
  });
});

describe('whichever node comes first', () => {
  it('all get different addresses, the same in every order, also with an operator that starts anew in between', () => {
    const created = (i: number): string => `2026-01-01T00:00:${String(i % 3).padStart(2, '0')}Z`;
    const all = Array.from({ length: 10 }, (_, i) => aNode(`n${i}`, { meta: { creationTimestamp: created(i) } }));
    const run = (order: readonly number[]): Map<string, readonly string[]> => {
      const members: EvioNode[] = [];
      for (const i of order) {
        const made = find(view(`n${i}`, { nodes: all, members }), 'create')?.member.spec;
        if (made === undefined) continue;
        const { addresses = [], podCIDRs = [] } = made;
        members.push(aMember(`n${i}`, 1, { spec: { addresses: [...addresses], podCIDRs: [...podCIDRs] } }));
      }
      return new Map(members.map((m) => [m.metadata.name, [...m.spec.addresses, ...m.spec.podCIDRs]]));
    };
    const expected = run(all.map((_, i) => i));
    expect(new Set([...expected.values()].map((v) => v[0])).size).to.equal(10);
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          all.map((_, i) => i),
          { minLength: 10 },
        ),
        (order) => {
          for (const [name, got] of run(order)) expect(got).to.deep.equal(expected.get(name));
        },
      ),
      { numRuns: 30 },
    );
  });
});
