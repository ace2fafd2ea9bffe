import { expect } from 'chai';
import fc from 'fast-check';
import { FakeSwitch, type Fields } from '../../../../test/sim/fake-switch.ts';
import { parseAddress } from '../../wire/address.ts';
import { parseMac } from '../../wire/mac.ts';
import { messageOf } from '../edit.ts';
import { flowKey, flowText } from '../flow.ts';
import { groupText } from '../group.ts';
import { encode, entries, PORT, toNumber } from '../openflow/index.ts';
import type { SwitchMember } from '../parts.ts';
import { ownGroup } from './groups.ts';
import { OVS_PIPELINE, OVS_TABLE_NAMES } from './pipeline.ts';
import { type OvsState, ovsProgram, tapsFor } from './program.ts';

const SELF = member(1);
const [B, C, D] = [member(2), member(3), member(4)];
const [TAP_B, TAP_C] = [21, 22];
const POD = '02:46:0a:01:00:05';
const POD_PORT = 7;
const HOST_PORT = 8;
/** Taps to B and C; D is reached over C, or else over B. */
const STATE: OvsState = {
  self: SELF,
  members: [SELF, B, C, D],
  taps: new Map([
    [B.label, TAP_B],
    [C.label, TAP_C],
  ]),
  hops: new Map([
    [B.label, [B.label, C.label]],
    [C.label, [C.label, B.label]],
    [D.label, [C.label, B.label]],
  ]),
  leaves: [
    { port: POD_PORT, macs: [POD] },
    { port: HOST_PORT, macs: [] },
  ],
  drained: [],
};
const LOCAL = PORT.local;

function member(n: number): SwitchMember {
  return {
    label: (BigInt(n) << 56n) + 7n,
    mac: `02:45:0a:00:00:0${n}`,
    macs: [
      { mac: `02:45:0a:00:00:0${n}`, mask: 'ff:ff:ff:ff:ff:ff' },
      { mac: `02:46:0a:0${n}:00:00`, mask: 'ff:ff:ff:ff:00:00' },
    ],
    addresses: [{ address: `10.0.0.${n}` }, { address: `fd00::${n}` }],
  };
}

function switchWith(state: OvsState): FakeSwitch {
  const fake = new FakeSwitch(1n);
  const { flows, groups } = ovsProgram.wanted(state);
  const refused = [
    ...groups.map((group) => messageOf({ command: 'add', group }, 1)),
    ...flows.map((flow) => messageOf({ command: 'add', flow }, 1)),
  ].flatMap((message) => fake.handle(message));
  expect(refused).to.deep.equal([]);
  return fake;
}

const mac = (text: string) => toNumber(parseMac(text));
const ip = (text: string) => toNumber(parseAddress(text));
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const FOREIGN = '52:54:00:00:00:01';

function frame(port: number, dst: string, more: Fields = {}): Fields {
  return { in_port: BigInt(port), eth_src: mac(SELF.mac), eth_dst: mac(dst), eth_type: 0x0800n, ...more };
}

function arpRequest(port: number, target: string, more: Fields = {}): Fields {
  const arp = { eth_type: 0x0806n, arp_op: 1n, arp_spa: ip('10.0.0.77'), arp_tpa: ip(target) };
  return frame(port, BROADCAST, { ...arp, ...more });
}

function solicitation(port: number, target: string): Fields {
  const nd = { eth_type: 0x86ddn, ip_proto: 58n, icmpv6_type: 135n, ipv6_nd_target: ip(target) };
  return frame(port, '33:33:ff:00:00:02', nd);
}

describe('the program of Open vSwitch', () => {
  const sw = switchWith(STATE);
  const ports = (fields: Fields, on = sw) => on.outputs(fields).map((o) => o.port);
  const withDown = (...down: readonly number[]) => {
    const other = switchWith(STATE);
    for (const port of down) other.down.add(port);
    return other;
  };

  it('sends a frame for a member, or a pod of it, by the tap of the best first hop alone', () => {
    expect(ports(frame(LOCAL, B.mac))).to.deep.equal([TAP_B]);
    expect(ports(frame(LOCAL, D.mac))).to.deep.equal([TAP_C]);
    expect(ports(frame(POD_PORT, '02:46:0a:04:00:09', { eth_src: mac(POD) }))).to.deep.equal([TAP_C]);
  });

  it('takes what the kernel routes for pods of this node, by its own MAC and their addresses, to their node and from it', () => {
    for (const eth_type of [0x0800n, 0x86ddn]) {
      expect(ports(frame(LOCAL, B.mac, { eth_type }))).to.deep.equal([TAP_B]);
      expect(ports(frame(TAP_B, SELF.mac, { eth_type, eth_src: mac(B.mac) }))).to.deep.equal([LOCAL]);
    }
  });

  it('takes the next tap when a carrier is down, and none when all are', () => {
    expect(ports(frame(LOCAL, D.mac), withDown(TAP_C))).to.deep.equal([TAP_B]);
    expect(ports(frame(LOCAL, D.mac), withDown(TAP_B, TAP_C))).to.deep.equal([]);
  });

  it('gives a broadcast to every leaf port but its own and one copy to one tap that is up', () => {
    for (const dst of [BROADCAST, '33:33:00:00:00:fb', FOREIGN]) {
      expect(ports(frame(LOCAL, dst)), dst).to.deep.equal([POD_PORT, HOST_PORT, TAP_B]);
      expect(ports(frame(POD_PORT, dst), withDown(TAP_B)), dst).to.deep.equal([LOCAL, HOST_PORT, TAP_C]);
    }
  });

  it('gives what comes by a tap to leaf ports, and never to a tap', () => {
    expect(ports(frame(TAP_B, SELF.mac))).to.deep.equal([LOCAL]);
    expect(ports(frame(TAP_B, POD))).to.deep.equal([POD_PORT]);
    for (const dst of [BROADCAST, FOREIGN, C.mac, '02:46:0a:01:00:06', '33:33:ff:00:00:02'])
      expect(ports(frame(TAP_B, dst)), dst).to.deep.equal([LOCAL, POD_PORT, HOST_PORT]);
  });

  it('takes a port it knows nothing of for a tap', () => {
    expect(ports(frame(99, BROADCAST))).to.deep.equal([LOCAL, POD_PORT, HOST_PORT]);
  });

  it('switches between leaf ports what is for one of them', () => {
    expect(ports(frame(POD_PORT, SELF.mac, { eth_src: mac(POD) }))).to.deep.equal([LOCAL]);
    expect(ports(frame(LOCAL, POD))).to.deep.equal([POD_PORT]);
    expect(ports(frame(LOCAL, '02:46:0a:01:00:06'))).to.deep.equal([POD_PORT, HOST_PORT]);
  });

  it('asks the controller about members’ addresses, whatever leaf port the question comes by', () => {
    for (const port of [LOCAL, POD_PORT, HOST_PORT]) {
      expect(ports(arpRequest(port, '10.0.0.2'))).to.deep.equal([PORT.controller]);
      expect(ports(solicitation(port, 'fd00::4'))).to.deep.equal([PORT.controller]);
      expect(ports(solicitation(port, 'fe80::45:aff:fe00:4'))).to.deep.equal([PORT.controller]);
    }
    expect(ports(arpRequest(TAP_B, '10.0.0.3'))).to.deep.equal([LOCAL, POD_PORT, HOST_PORT]);
  });

  it('leaves questions for this node’s own address to the kernel behind LOCAL', () => {
    expect(ports(arpRequest(POD_PORT, '10.0.0.1'))).to.deep.equal([LOCAL]);
    expect(ports(solicitation(POD_PORT, 'fd00::1'))).to.deep.equal([LOCAL]);
    expect(ports(solicitation(LOCAL, 'fd00::1'))).to.deep.equal([]);
    const gratuitous = arpRequest(LOCAL, '10.0.0.1', { arp_spa: ip('10.0.0.1') });
    expect(ports(gratuitous)).to.deep.equal([POD_PORT, HOST_PORT, TAP_B]);
  });

  it('drops spanning tree, group sources, and sources that are other members’', () => {
    expect(ports(frame(HOST_PORT, '01:80:c2:00:00:00'))).to.deep.equal([]);
    for (const src of [B.mac, '02:46:0a:02:00:01', '02:47:00:00:00:01', '01:00:5e:00:00:01'])
      expect(ports(frame(HOST_PORT, C.mac, { eth_src: mac(src) })), src).to.deep.equal([]);
  });

  it('believes no leaf port that another member’s MAC, or this node’s own, is behind it', () => {
    const claims = [B.mac, '02:46:0a:02:00:01', SELF.mac, BROADCAST];
    const lying = switchWith({ ...STATE, leaves: [{ port: POD_PORT, macs: claims }] });
    expect(ports(frame(LOCAL, B.mac), lying)).to.deep.equal([TAP_B]);
    expect(ports(frame(LOCAL, '02:46:0a:02:00:01'), lying)).to.deep.equal([TAP_B]);
    expect(ports(frame(TAP_B, SELF.mac), lying)).to.deep.equal([LOCAL]);
    expect(ports(frame(TAP_B, BROADCAST), lying)).to.deep.equal([LOCAL, POD_PORT]);
  });

  it('drops frames for members while there is no tap, and leads by no drained one', () => {
    const alone = switchWith({ ...STATE, taps: new Map() });
    expect(ports(frame(LOCAL, B.mac), alone)).to.deep.equal([]);
    expect(ports(frame(LOCAL, BROADCAST), alone)).to.deep.equal([POD_PORT, HOST_PORT]);
    expect(tapsFor({ ...STATE, drained: [TAP_C] }, D.label)).to.deep.equal([TAP_B]);
    expect(tapsFor({ ...STATE, hops: new Map() }, D.label)).to.deep.equal([TAP_B, TAP_C]);
  });

  it('takes the two best taps first and the others as they are numbered, so that groups stay few', () => {
    const order = [4n, 3n, 1n, 2n];
    const taps = new Map([1n, 2n, 3n, 4n].map((label) => [label, 20 + Number(label)]));
    const state = { ...STATE, taps, hops: new Map([[D.label, order]]) };
    expect(tapsFor(state, D.label)).to.deep.equal([24, 23, 21, 22]);
    expect(tapsFor({ ...state, drained: [24] }, D.label)).to.deep.equal([23, 21, 22]);
    expect(tapsFor({ ...state, hops: new Map([[D.label, [2n, 4n, 3n, 1n]]]) }, D.label)).to.deep.equal([
      22, 24, 21, 23,
    ]);
  });

  it('has one group for each order of taps, with the same number whatever else there is', () => {
    const texts = (state: OvsState) => ovsProgram.wanted(state).groups.map(groupText);
    // Of the leaf ports, by B, and by C.
    expect(texts(STATE)).to.have.length(3);
    const fewer = texts({ ...STATE, members: [SELF, B] });
    expect(texts(STATE)).to.include.members([...fewer]);
    for (const { group } of ovsProgram.wanted(STATE).groups) expect(ownGroup(group)).to.equal(true);
  });

  it('never gives two groups one number', () => {
    const label = fc.bigInt(1n, 2n ** 64n - 1n);
    const taps = fc.uniqueArray(label, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(taps, fc.array(fc.nat(), { maxLength: 40 }), (labels, turns) => {
        const members = turns.map((n, i) => ({ ...member(2), label: BigInt(i + 1), macs: member(n % 10).macs }));
        const order = (n: number) =>
          labels.toSorted((a, b) => Number((a * BigInt(n + 1)) % 101n) - Number((b * BigInt(n + 1)) % 101n));
        const hops = new Map(members.map(({ label }, i) => [label, order(turns[i] ?? 0)]));
        const state = { ...STATE, members, hops, taps: new Map(labels.map((label, i) => [label, 20 + i])) };
        const { groups } = ovsProgram.wanted(state);
        expect(new Set(groups.map((group) => group.group)).size).to.equal(groups.length);
        expect(new Set(groups.map((group) => groupText({ ...group, group: 0 }))).size).to.equal(groups.length);
      }),
      { numRuns: 50 },
    );
  });

  it('is as declared: every flow matches and goes on only as its table may', () => {
    const name = (id: number) => OVS_TABLE_NAMES.find((table) => OVS_PIPELINE[table].id === id);
    const { flows, groups } = ovsProgram.wanted(STATE);
    for (const flow of flows) {
      const table = OVS_PIPELINE[name(flow.table) ?? expect.fail(flowText(flow))];
      for (const field of entries(flow.match)) expect(table.matches, flowText(flow)).to.include(field.name);
      for (const instruction of flow.instructions) {
        if (instruction.type === 'goto') expect(table.next, flowText(flow)).to.include(name(instruction.table));
      }
    }
    expect(new Set(flows.map(flowKey)).size).to.equal(flows.length);
    for (const flow of flows) encode(messageOf({ command: 'add', flow }, 1));
    for (const group of groups) encode(messageOf({ command: 'add', group }, 1));
  });
});
