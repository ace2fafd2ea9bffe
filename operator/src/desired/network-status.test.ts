import { expect } from 'chai';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { DaemonSet, Deployment } from '../../../agent/src/kube-api/kinds.ts';
import type { Condition } from '../../../crds/src/condition.ts';
import type { EvioNodeStatus } from '../../../crds/src/evio-node.ts';
import { claimOf } from '../controllers/node/allot.ts';
import { networkStatus, type StatusView } from './network-status.ts';
import { poolsOf } from './parameters.ts';
import { aMember, aNetwork } from './testing.ts';

const NOW = '2026-06-01T00:00:00Z';
const LATER = '2026-06-01T01:00:00Z';
const DOWN = {
  kind: 'down',
  reason: 'ServerUnreachable',
  message: 'cannot reach xmpps://192.0.2.1:5223: nothing listens there',
} as const;

const is = (type: string, status: Condition['status'] = 'True', reason = 'Ready'): Condition => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: NOW,
});

const enrolment = {
  overlayParameters: 'AAAA',
  certificate: 'AAAA',
  serial: '1',
  notAfter: NOW,
  credentials: 'AAAA',
  keysHash: '0'.repeat(64),
};

const good = (name: string, n: number, status: Partial<EvioNodeStatus> = {}): EvioNode =>
  aMember(name, n, { spec: { enrolment }, status: { conditions: [is('Ready'), is('DataPlaneReady')], ...status } });

const deployment = (availableReplicas: number): Deployment => ({
  metadata: { name: 'evio-server', uid: 'u', resourceVersion: '1', creationTimestamp: NOW },
  status: { availableReplicas },
});
const daemons = (available: number): DaemonSet => ({
  metadata: { name: 'evio-agent', uid: 'u', resourceVersion: '1', creationTimestamp: NOW, generation: 2 },
  status: {
    observedGeneration: 2,
    desiredNumberScheduled: 2,
    updatedNumberScheduled: 2,
    numberAvailable: available,
    currentNumberScheduled: 2,
    numberMisscheduled: 0,
    numberReady: available,
  },
});

function view(change: Partial<StatusView> = {}): StatusView {
  const network = change.network ?? aNetwork();
  const members = change.members ?? [good('a', 1), good('b', 2)];
  return {
    network,
    selected: ['a', 'b'],
    silent: new Set(),
    members,
    gateway: undefined,
    pools: poolsOf(network.spec),
    book: members.map(claimOf),
    refused: new Map(),
    shortages: [],
    doubles: [],
    authority: undefined,
    authorityProblem: undefined,
    signallingMissing: undefined,
    signalling: { kind: 'up' },
    relay: { kind: 'up' },
    agent: daemons(2),
    dataplane: daemons(2),
    server: deployment(1),
    failure: undefined,
    ...change,
  };
}

const said = (change: Partial<StatusView> = {}): Record<string, string> =>
  Object.fromEntries(
    (networkStatus(view(change), 1, NOW).conditions ?? []).map((c) => [c.type, `${c.status} ${c.reason}`]),
  );
const message = (type: string, change: Partial<StatusView>): string =>
  networkStatus(view(change), 1, NOW).conditions?.find((c) => c.type === type)?.message ?? '';

describe("an EvioNetwork's conditions", () => {
  it('are all good when all is well', () => {
    expect(said()).to.deep.equal({
      Ready: 'True Ready',
      Available: 'True Ready',
      Progressing: 'False Complete',
      Degraded: 'False AsExpected',
      SignallingReady: 'True Connected',
      RelayReady: 'True RelaysAnswer',
      AddressPoolReady: 'True AddressesFree',
      RingConsistent: 'True RingComplete',
      DataPlaneVerified: 'True Verified',
    });
    expect(message('Ready', {})).to.equal('2 of 2 nodes');
    expect(message('AddressPoolReady', {})).to.equal('room for 254 more nodes');
  });

  it('name the Secret that is missing, first of all', () => {
    const missing = { reason: 'SecretMissing', message: 'Secret evio-system/x does not exist' };
    const change = { signallingMissing: missing, signalling: { kind: 'pending' } as const };
    expect(said(change)).to.include({
      Ready: 'False SecretMissing',
      Available: 'True Ready',
      Degraded: 'True SecretMissing',
      SignallingReady: 'False SecretMissing',
    });
    expect(message('Degraded', change)).to.equal(missing.message);
  });

  it('name the server that is not reached; while the embedded one is being started that is no fault', () => {
    expect(said({ signalling: DOWN })).to.include({
      Ready: 'False ServerUnreachable',
      Degraded: 'True ServerUnreachable',
      SignallingReady: 'False ServerUnreachable',
    });
    expect(message('SignallingReady', { signalling: DOWN })).to.contain('192.0.2.1:5223');
    expect(said({ signalling: DOWN, server: deployment(0) })).to.include({
      Ready: 'False ServerUnreachable',
      Progressing: 'True Deploying',
      Degraded: 'False AsExpected',
    });
  });

  it('name the pool that is empty, and who waits', () => {
    const change = {
      refused: new Map([['c', 'addresses' as const]]),
      shortages: ['no overlay address is left in 10.45.0.0/30'],
    };
    expect(said(change)).to.include({
      Ready: 'False PoolExhausted',
      Degraded: 'True PoolExhausted',
      AddressPoolReady: 'False PoolExhausted',
    });
    expect(message('AddressPoolReady', change)).to.equal('no overlay address is left in 10.45.0.0/30 (waiting: c)');
    expect(said({ doubles: ['b'] })).to.include({ AddressPoolReady: 'False AddressesOverlap' });
  });

  it('name nodes that are not enrolled, not ready, or silent', () => {
    const joining = { members: [good('a', 1), aMember('b', 2)] };
    expect(said(joining)).to.include({
      Ready: 'False NodesJoining',
      Progressing: 'True NodesJoining',
      Available: 'True Ready',
      DataPlaneVerified: 'False Unverified',
    });
    const down = { members: [good('a', 1), good('b', 2, { conditions: [is('Ready', 'False', 'DataPlaneAbsent')] })] };
    expect(said(down)).to.include({ Ready: 'False NodesNotReady', Degraded: 'False AsExpected' });
    expect(message('Ready', down)).to.equal('not ready: b (DataPlaneAbsent)');
    expect(message('Ready', { silent: new Set(['a']) })).to.equal('not ready: a (its kubelet is silent)');
    expect(said({ members: [], selected: [] })).to.include({
      Ready: 'False NoNodes',
      Available: 'False NoNodes',
      DataPlaneVerified: 'Unknown Pending',
    });
  });

  it('tell when the parts on the nodes are being started', () => {
    expect(said({ agent: daemons(1) })).to.include({ Progressing: 'True Deploying' });
  });

  it('name what an agent found in the way of the addresses, and what could not be made', () => {
    const conflict = {
      ...is('AddressConflict', 'True', 'RouteOverlaps'),
      message: '10.45.0.0/16 and the route 10.0.0.0/8 of eth0',
    };
    const change = {
      members: [good('a', 1), good('b', 2, { conditions: [is('Ready'), is('DataPlaneReady'), conflict] })],
    };
    expect(message('Degraded', change)).to.equal('b: 10.45.0.0/16 and the route 10.0.0.0/8 of eth0');
    expect(said({ failure: 'cannot apply daemonsets.apps' })).to.include({
      Degraded: 'True ApplyFailed',
      Ready: 'False ApplyFailed',
    });
    const lost = { authorityProblem: { reason: 'AuthorityLost', message: 'the Secret is gone' } };
    expect(said(lost)).to.include({ Degraded: 'True AuthorityLost' });
  });

  it('tell of a relay that is not wanted without calling the network not ready', () => {
    const network = aNetwork({ ice: { turn: 'None' } });
    expect(said({ network })).to.include({
      Ready: 'True Ready',
      RelayReady: 'False RelayDisabled',
      Degraded: 'False AsExpected',
    });
    const relay = { kind: 'down', reason: 'RelayUnreachable', message: 'no answer on UDP 192.0.2.1:3478' } as const;
    expect(said({ relay })).to.include({ Ready: 'False RelayUnreachable', RelayReady: 'False RelayUnreachable' });
  });

  it('find a hole in the ring', () => {
    const ring = (label: string, ...successors: string[]) => ({ ring: { label: label.repeat(16), successors } });
    const members = [good('a', 1, ring('1', 'b')), good('b', 2, ring('5', 'a')), good('c', 3, ring('9', 'a'))];
    const change = { members, selected: ['a', 'b', 'c'] };
    expect(said(change)).to.include({ RingConsistent: 'False RingIncomplete' });
    expect(message('RingConsistent', change)).to.contain(': b');
    const whole = [members[0], good('b', 2, ring('5', 'c')), members[2]] as EvioNode[];
    expect(said({ ...change, members: whole })).to.include({ RingConsistent: 'True RingComplete' });
  });

  it('say that it is being deleted', () => {
    const network = aNetwork({}, { deletionTimestamp: NOW });
    expect(said({ network })).to.include({ Ready: 'False Deleting', Progressing: 'True Deleting' });
  });

  it('keep the time of a transition while the status stays, and take the new one when it changes', () => {
    const first = networkStatus(view(), 1, NOW);
    const network = { ...aNetwork(), status: first };
    const second = networkStatus(view({ network, signalling: DOWN }), 1, LATER);
    const time = (type: string) => second.conditions?.find((c) => c.type === type)?.lastTransitionTime;
    expect([time('SignallingReady'), time('Ready'), time('AddressPoolReady')]).to.deep.equal([LATER, LATER, NOW]);
  });
});

describe("an EvioNetwork's numbers", () => {
  it('are sums of what the nodes tell', () => {
    const tunnels = [
      { peer: 'b', state: 'Down' as const },
      { peer: 'c', state: 'Down' as const, path: 'Via' as const },
    ];
    const members = [
      good('a', 1, { summary: { tunnels: 3, direct: 2, relayed: 1, failed: 1 }, versions: { agent: '1.0' }, tunnels }),
      good('b', 2, {
        summary: { tunnels: 2, direct: 2 },
        versions: { agent: '1.1' },
        tunnels: [{ peer: 'a', state: 'Down' }],
      }),
    ];
    const status = networkStatus(view({ members, silent: new Set(['b']) }), 7, NOW);
    expect(status).to.deep.include({
      observedGeneration: 7,
      nodes: { desired: 2, ready: 1, offline: 1, summary: '1/2' },
      tunnels: { total: 6, direct: 4, relayed: 1, failed: 1 },
      addresses: { nodesFree: 65_532, podPrefixesFree: 254 },
      effectiveMTU: 1400,
      versions: [
        { version: '1.0', nodes: 1 },
        { version: '1.1', nodes: 1 },
      ],
      unreachablePairs: [{ from: 'a', to: 'b' }],
    });
  });
});
