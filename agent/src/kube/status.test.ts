import { expect } from 'chai';
import fc from 'fast-check';
import { evioNodeStatus } from '../../../crds/src/evio-node.ts';
import { finding } from '../diagnosis/finding.ts';
import type { EdgeFacts, NodeFacts } from '../view.ts';
import { Conditions, type Picture, verdicts } from './conditions.ts';
import { statusOf } from './status.ts';

const KEYS = {
  identityKey: Buffer.alloc(32, 1).toString('base64'),
  sessionKey: Buffer.alloc(32, 2).toString('base64'),
};
const WALL = Date.parse('2030-05-05T12:00:00Z');

const edge = (name: string, more: Partial<EdgeFacts> = {}): EdgeFacts => ({
  name,
  kinds: ['successor'],
  path: 'direct',
  relayed: false,
  rttMs: 5,
  loss: 0,
  bps: 0,
  sinceMs: 60_000,
  ...more,
});
const FACTS: NodeFacts = {
  tincan: '0.1.0',
  tincanBoot: 'boot',
  signalling: { online: true, error: undefined },
  settled: true,
  members: ['aa'],
  addresses: ['10.45.0.3/16'],
  bridge: 'evio0',
  mtu: 1400,
  label: '0123456789abcdef',
  nat: 'endpoint-independent',
  publicAddresses: ['203.0.113.7'],
  ringComplete: true,
  problems: [],
  findings: [],
  edges: [edge('a')],
};
const GOOD: Picture = {
  standing: { kind: 'enrolled', serial: '7' },
  facts: FACTS,
  proof: { ok: true, message: 'a answers' },
  pods: { kind: 'configured', message: '' },
};
const told = (picture: Picture) => verdicts(picture).map(({ type, status, reason }) => `${type} ${status} ${reason}`);
const make = (facts: NodeFacts | undefined, before?: ReturnType<typeof statusOf>, wallMs = WALL) =>
  statusOf(
    {
      keys: KEYS,
      serial: '7',
      conditions: new Conditions().stamp(verdicts({ ...GOOD, facts }), 3, wallMs),
      facts,
      ipam: { used: 3, free: 251 },
      agentVersion: '0.1.0',
    },
    before,
    wallMs,
  );

describe('the conditions of an EvioNode', () => {
  it('of a node on which all is well', () => {
    expect(told(GOOD)).to.deep.equal([
      'Ready True Ready',
      'AgentReady True Running',
      'DataPlaneReady True Verified',
      'PodNetworkReady True Configured',
      'SignallingConnected True Connected',
      'RingJoined True RingComplete',
      'AddressConflict False NoConflict',
    ]);
  });

  it('name the cause where the node knows it, and what to do, without what changes from one minute to the next', () => {
    const clock =
      "this machine's clock is 5 years ahead (it says 2031-01-01 00:00 UTC): set it; certificates are judged by 2026-01-01 00:00 UTC";
    const facts: NodeFacts = {
      ...FACTS,
      signalling: { online: false, error: 'no' },
      findings: [
        finding('xmpp-password', 'xmpps://h:1 refuses the password', 'renew the node'),
        finding('clock', clock, 'set it'),
        finding('turn-secret', 'the TURN server h:2 refuses', 'give both the same secret'),
      ],
    };
    const message = (type: string) => verdicts({ ...GOOD, facts }).find((one) => one.type === type)?.message;
    expect(message('SignallingConnected')).to.equal('xmpps://h:1 refuses the password: renew the node');
    expect(message('AgentReady')).to.equal("this machine's clock is 5 years ahead: set it: set it");
    expect(message('DataPlaneReady')).to.equal('a answers; the TURN server h:2 refuses: give both the same secret');
    expect(told({ ...GOOD, facts })[0]).to.equal('Ready True Ready');
  });

  for (const [name, change, expected] of [
    [
      'awaits its enrolment',
      { standing: { kind: 'awaiting', message: 'not yet' }, facts: undefined },
      ['Ready False AwaitingEnrolment', 'SignallingConnected Unknown Pending'],
    ],
    [
      'has no tincan',
      { proof: { ok: false, reason: 'DataPlaneAbsent', message: 'none' } },
      ['Ready False DataPlaneAbsent', 'DataPlaneReady False DataPlaneAbsent'],
    ],
    ['lacks the CNI configuration', { pods: { kind: 'missing', message: 'no' } }, ['Ready False Pending']],
    [
      'is in HostNetwork mode',
      { pods: { kind: 'not-wanted' } },
      ['Ready True Ready', 'PodNetworkReady True NotWanted'],
    ],
    [
      'was given an enrolment that it does not take, and runs on',
      { standing: { kind: 'refused', message: 'no' } },
      ['Ready True Ready', 'AgentReady True EnrolmentInvalid'],
    ],
    [
      'was given an enrolment that it does not take, and has no other',
      { standing: { kind: 'refused', message: 'no' }, facts: undefined },
      ['Ready False EnrolmentInvalid', 'AgentReady False EnrolmentInvalid'],
    ],
    [
      'has lost the XMPP server, which stops no traffic',
      { facts: { ...FACTS, signalling: { online: false, error: 'refused' } } },
      ['Ready True Ready', 'SignallingConnected False Disconnected'],
    ],
    [
      'misses a neighbour on the ring',
      { facts: { ...FACTS, ringComplete: false, edges: [edge('a', { path: 'via' })] } },
      ['Ready True Ready', 'RingJoined False RingIncomplete'],
    ],
    [
      'has a route in the way',
      { facts: { ...FACTS, problems: [{ kind: 'address-conflict', text: '10.45.0.0/24 on eth1' }] } },
      ['Ready True Ready', 'AddressConflict True RouteOverlaps'],
    ],
    [
      'cannot keep its firewall, which stops no traffic',
      { facts: { ...FACTS, problems: [{ kind: 'firewall', text: 'no nft' }] } },
      ['Ready True Ready', 'DataPlaneReady True Verified', 'AddressConflict False NoConflict'],
    ],
  ] as const satisfies readonly (readonly [string, Partial<Picture>, readonly string[]])[])
    it(`of a node that ${name}`, () => expect(told({ ...GOOD, ...change })).to.include.members([...expected]));

  it('keep the time at which their status came, over a restart too', () => {
    const conditions = new Conditions();
    const later = WALL + 60_000;
    const first = conditions.stamp(verdicts(GOOD), 1, WALL);
    const lost: Picture = { ...GOOD, facts: { ...FACTS, signalling: { online: false, error: 'x' } } };
    const times = (list: typeof first) => Object.fromEntries(list.map((one) => [one.type, one.lastTransitionTime]));
    const second = times(conditions.stamp(verdicts(lost), 2, later));
    expect(second.Ready).to.equal('2030-05-05T12:00:00Z');
    expect(second.SignallingConnected).to.equal('2030-05-05T12:01:00Z');
    const restarted = new Conditions();
    restarted.adopt(first);
    expect(times(restarted.stamp(verdicts(GOOD), 2, later)).Ready).to.equal('2030-05-05T12:00:00Z');
    // The API server was away at the start.
    const late = new Conditions();
    late.stamp(verdicts(lost), 2, later);
    late.stamp(verdicts(GOOD), 2, later + 5_000);
    late.adopt(first);
    const third = times(late.stamp(verdicts(GOOD), 2, later + 10_000));
    expect(third.Ready).to.equal('2030-05-05T12:00:00Z');
    expect(third.SignallingConnected).to.equal('2030-05-05T12:01:05Z');
  });
});

describe('the status of an EvioNode', () => {
  it('tells tunnels, what is wrong first, and counts them', () => {
    const status = make({
      ...FACTS,
      edges: [
        edge('direct'),
        edge('relayed', { path: 'webrtc', relayed: true }),
        edge('webrtc', { path: 'webrtc' }),
        edge('new', { path: 'via', rttMs: undefined, sinceMs: undefined }),
        edge('lost', { path: 'none' }),
      ],
    });
    expect(status.tunnels?.map(({ peer, state, path }) => `${peer} ${state} ${path}`)).to.deep.equal([
      'lost Down undefined',
      'new Connecting Via',
      'relayed Up Relayed',
      'direct Up Direct',
      'webrtc Up Direct',
    ]);
    expect(status.summary).to.deep.equal({ tunnels: 3, direct: 2, relayed: 1, failed: 1 });
  });

  it('tells the ring by names', () => {
    const edges = [
      edge('after'),
      edge('far', { kinds: ['long-distance'] }),
      edge('before2', { kinds: ['predecessor'] }),
      edge('before', { kinds: ['predecessor', 'long-distance'] }),
    ];
    expect(make({ ...FACTS, edges }).ring).to.deep.equal({
      label: FACTS.label,
      predecessor: 'before',
      successors: ['after'],
      longDistance: ['far', 'before'],
    });
  });

  it('does not change with noise: round-trip times that tremble, and times counted anew', () => {
    const first = make(FACTS);
    const again = make({ ...FACTS, edges: [edge('a', { rttMs: 7.6, sinceMs: 90_700 })] }, first, WALL + 30_000);
    expect(again.tunnels).to.deep.equal(first.tunnels);
    const slower = make({ ...FACTS, edges: [edge('a', { rttMs: 40 })] }, first);
    expect(slower.tunnels?.[0]?.rttMs).to.equal(40);
  });

  it('has loss and throughput of each tunnel, and changes with much of a change only', () => {
    const of = (loss: number, bps: number, before?: ReturnType<typeof make>) => {
      const status = make({ ...FACTS, edges: [edge('a', { loss, bps })] }, before);
      const { lossPercent, kbps } = status.tunnels?.[0] ?? {};
      return { status, told: [lossPercent, kbps] };
    };
    const first = of(0.071, 12_345_678);
    expect(first.told).to.deep.equal([7, 12_000]);
    expect(of(0.09, 23_000_000, first.status).told).to.deep.equal([7, 12_000]);
    expect(of(0.1, 25_000_000, first.status).told).to.deep.equal([10, 25_000]);
    expect(of(0, 9_999, first.status).told).to.deep.equal([0, 0]);
    expect(of(0, 11_000, of(0, 0).status).told).to.deep.equal([0, 11]);
  });

  it('tells a node that is known twice once, by the tunnel that carries', () => {
    const edges = [edge('a', { path: 'none' }), edge('a'), edge('a', { path: 'via' })];
    expect(make({ ...FACTS, edges }).tunnels?.map(({ peer, path }) => `${peer} ${path}`)).to.deep.equal(['a Direct']);
  });

  it('is what the API server takes, whatever the node is like', () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const edges = fc.uniqueArray(
      fc.record({
        name,
        kinds: fc.subarray(['successor', 'predecessor', 'long-distance', 'on-demand', 'static'] as const),
        path: fc.constantFrom('direct', 'webrtc', 'via', 'none'),
        relayed: fc.boolean(),
        rttMs: fc.option(fc.double({ min: 0, max: 60_000, noNaN: true }), { nil: undefined }),
        loss: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
        bps: fc.option(fc.double({ min: 0, max: 1e15, noNaN: true }), { nil: undefined }),
        sinceMs: fc.option(fc.nat(), { nil: undefined }),
      }),
      { selector: (one) => one.name, maxLength: 100 },
    );
    const facts = fc.record({
      edges,
      nat: fc.constantFrom('none', 'endpoint-independent', 'address-dependent', 'unknown'),
      publicAddresses: fc.array(fc.ipV4(), { maxLength: 20 }),
      ringComplete: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.option(facts, { nil: undefined }), (change) => {
        const status = make(change === undefined ? undefined : ({ ...FACTS, ...change } as NodeFacts));
        const checked = evioNodeStatus.safeParse(status);
        expect(checked.error?.message).to.equal(undefined);
      }),
    );
  });
});
