import { expect } from 'chai';
import { FakeSwitch, type Fields } from '../../../test/sim/fake-switch.ts';
import { parseAddress } from '../wire/address.ts';
import { parseMac } from '../wire/mac.ts';
import { desiredFlows, type SwitchState } from './desired.ts';
import { type Flow, flowKey, flowText, planFlows } from './flow.ts';
import { encode, entries, FLOW_MOD_DEFAULTS, PORT, toNumber } from './openflow/index.ts';
import type { SwitchMember } from './parts.ts';
import { PIPELINE, TABLE_NAMES } from './pipeline.ts';

const SELF = member(1);
const [B, C] = [member(2), member(3)];
const STATE: SwitchState = {
  self: SELF,
  members: [SELF, B, C],
  core: [
    { value: 0n, mask: 0n, port: 16, priority: 1_000 },
    { value: 3n << 56n, mask: 0xff00000000000000n, port: 17, priority: 1_008 },
  ],
  drained: [],
};

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

function switchWith(flows: readonly Flow[]): FakeSwitch {
  const fake = new FakeSwitch(1n);
  for (const flow of flows) fake.handle({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 1, command: 'add' });
  return fake;
}

const mac = (text: string) => toNumber(parseMac(text));
const ip = (text: string) => toNumber(parseAddress(text));

function fromTap(dst: string, more: Fields = {}): Fields {
  return { in_port: 1n, eth_src: mac(SELF.mac), eth_dst: mac(dst), eth_type: 0x0800n, ...more };
}

function arpRequest(target: string, more: Fields = {}): Fields {
  const arp = { eth_type: 0x0806n, arp_op: 1n, arp_spa: ip('10.0.0.1'), arp_tpa: ip(target) };
  return fromTap('ff:ff:ff:ff:ff:ff', { ...arp, ...more });
}

function solicitation(target: string): Fields {
  const nd = { eth_type: 0x86ddn, ip_proto: 58n, icmpv6_type: 135n, ipv6_nd_target: ip(target) };
  return fromTap('33:33:ff:00:00:02', nd);
}

describe('the pipeline', () => {
  const sw = switchWith(desiredFlows(STATE));
  const ports = (frame: Fields) => sw.outputs(frame).map((o) => o.port);

  it('sends a frame for a member by the tunnel towards its label, and by no other', () => {
    expect(sw.outputs(fromTap(B.mac))[0]).to.include({ port: 16, tunnelId: B.label });
    expect(sw.outputs(fromTap(C.mac))[0]).to.include({ port: 17, tunnelId: C.label });
    expect(ports(fromTap(C.mac))).to.deep.equal([17]);
  });

  it('sends a frame for a pod to the node it runs on', () => {
    expect(sw.outputs(fromTap('02:46:0a:03:00:09'))[0]).to.include({ port: 17, tunnelId: C.label });
  });

  it('gives a frame from a tunnel to the tap, whatever it is', () => {
    expect(ports({ in_port: 16n, tunnel_id: B.label, eth_dst: mac('ff:ff:ff:ff:ff:ff') })).to.deep.equal([1]);
    expect(ports({ in_port: 99n, eth_dst: mac(SELF.mac) })).to.deep.equal([1]);
  });

  it('passes a transit record on by its label alone', () => {
    expect(sw.outputs({ tunnel_id: C.label }, PIPELINE.core.id).map((o) => o.port)).to.deep.equal([17]);
  });

  it('floods broadcast and multicast', () => {
    expect(ports(fromTap('ff:ff:ff:ff:ff:ff'))).to.deep.equal([PORT.flood]);
    expect(ports(fromTap('33:33:00:00:00:fb'))).to.deep.equal([PORT.flood]);
  });

  it('leaves a foreign MAC to what the switch learned', () => {
    expect(ports(fromTap('52:54:00:00:00:01'))).to.deep.equal([PORT.normal]);
  });

  it('asks the controller about ARP and ND for members, link-local addresses included, and floods none of it', () => {
    expect(ports(arpRequest('10.0.0.2'))).to.deep.equal([PORT.controller]);
    expect(ports(solicitation('fd00::3'))).to.deep.equal([PORT.controller]);
    expect(ports(solicitation('fe80::45:aff:fe00:3'))).to.deep.equal([PORT.controller]);
  });

  it('floods ARP and ND for foreign hosts', () => {
    expect(ports(arpRequest('10.0.0.99'))).to.deep.equal([PORT.flood]);
    expect(ports(solicitation('fd00::99'))).to.deep.equal([PORT.flood]);
  });

  it('switches unicast ARP and lets our own gratuitous ARP out', () => {
    expect(ports(arpRequest('10.0.0.2', { eth_dst: mac(B.mac) }))).to.deep.equal([16]);
    expect(ports(arpRequest('10.0.0.1'))).to.deep.equal([PORT.flood]);
  });

  it('keeps questions for our own address behind our own tap', () => {
    expect(ports(arpRequest('10.0.0.1', { arp_spa: ip('10.0.0.99') }))).to.deep.equal([]);
    expect(ports(solicitation('fd00::1'))).to.deep.equal([]);
  });

  it('drops a frame from the tap that names another member as its source, or a group', () => {
    for (const src of [B.mac, '02:46:0a:02:00:01', '02:47:00:00:00:01', '01:00:5e:00:00:01']) {
      expect(ports(fromTap(C.mac, { eth_src: mac(src) })), src).to.deep.equal([]);
    }
  });

  it('takes what the kernel routes for pods of this node, by its own MAC and their addresses, to their node and from it', () => {
    // No flow looks at the source of an IP packet: the receiving tincan does.
    for (const eth_type of [0x0800n, 0x86ddn]) {
      expect(sw.outputs(fromTap(B.mac, { eth_type }))[0]).to.include({ port: 16, tunnelId: B.label });
      expect(ports({ in_port: 16n, eth_src: mac(B.mac), eth_dst: mac(SELF.mac), eth_type })).to.deep.equal([1]);
    }
  });

  it('lets pods on the bridge ask for each other: their addresses are nobody’s certificate’s', () => {
    const asking = { eth_src: mac('02:46:0a:01:00:05'), arp_spa: ip('10.1.0.5') };
    expect(ports(arpRequest('10.2.0.6', asking))).to.deep.equal([PORT.flood]);
    expect(ports({ ...solicitation('fd00:2::6'), eth_src: mac('02:46:0a:01:00:05') })).to.deep.equal([PORT.flood]);
    expect(ports(fromTap('02:46:0a:02:00:06', { eth_src: mac('02:46:0a:01:00:05') }))).to.deep.equal([16]);
  });

  it('takes pods of this node and foreign hosts behind the tap as sources', () => {
    for (const src of ['02:46:0a:01:00:05', '52:54:00:00:00:01']) {
      expect(ports(fromTap(B.mac, { eth_src: mac(src) })), src).to.deep.equal([16]);
    }
  });

  it('drops what must not cross a bridge, and what is for this node itself', () => {
    expect(ports(fromTap('01:80:c2:00:00:00'))).to.deep.equal([]);
    expect(ports(fromTap(SELF.mac))).to.deep.equal([]);
  });

  it('is as declared: every flow matches and goes on only as its table may', () => {
    const byId = new Map(TABLE_NAMES.map((name) => [PIPELINE[name].id as number, PIPELINE[name]]));
    for (const flow of desiredFlows(STATE)) {
      const table = byId.get(flow.table);
      for (const { name } of entries(flow.match)) expect(table?.matches, flowText(flow)).to.include(name);
      for (const instruction of flow.instructions) {
        if (instruction.type !== 'goto') continue;
        const next = TABLE_NAMES.find((name) => PIPELINE[name].id === instruction.table);
        expect(table?.next, flowText(flow)).to.include(next);
        expect(instruction.table).to.be.greaterThan(flow.table);
      }
    }
  });

  it('has no two flows in one place, and every one can be written', () => {
    const flows = desiredFlows(STATE);
    expect(new Set(flows.map(flowKey)).size).to.equal(flows.length);
    for (const flow of flows) encode({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 1, command: 'add' });
  });

  it('of a node that knows nobody floods and delivers, and routes nothing', () => {
    const alone = switchWith(desiredFlows({ self: SELF, members: [], core: [], drained: [] }));
    expect(alone.outputs(fromTap('ff:ff:ff:ff:ff:ff')).map((o) => o.port)).to.deep.equal([PORT.flood]);
    expect(alone.outputs({ tunnel_id: B.label }, 4)).to.deep.equal([]);
  });
});

describe('planFlows', () => {
  const flows = desiredFlows(STATE);

  it('has nothing to do for the same table', () => {
    expect(planFlows(flows.toReversed(), flows, () => true)).to.deep.equal([]);
  });

  it('adds the last table first and deletes after all additions', () => {
    const old: Flow = { table: 3, priority: 7, cookie: 0n, flags: 0, match: {}, instructions: [] };
    const edits = planFlows([old], flows, () => true);
    expect(edits[0]?.flow.table).to.equal(5);
    expect(edits.at(-1)).to.deep.equal({ command: 'delete-strict', flow: old });
    expect(edits.filter((e) => e.command === 'add')).to.have.length(flows.length);
  });

  it('deletes only what is obsolete', () => {
    expect(planFlows(flows, [], () => false)).to.deep.equal([]);
    expect(planFlows(flows, [], () => true)).to.have.length(flows.length);
  });

  it('replaces a flow that does something else now', () => {
    const moved = desiredFlows({ ...STATE, core: STATE.core.map((c) => ({ ...c, port: 18 })) });
    const edits = planFlows(flows, moved, () => true);
    expect(edits.map((e) => e.command)).to.deep.equal(['add', 'add']);
  });

  it('a change followed by its reverse gives the identical table', () => {
    const fewer = desiredFlows({ ...STATE, members: [B], core: STATE.core.slice(1) });
    const table = new Map(flows.map((f) => [flowKey(f), f]));
    for (const [from, to] of [
      [flows, fewer],
      [fewer, flows],
    ] as const) {
      for (const { command, flow } of planFlows(from, to, () => true)) {
        if (command === 'add') table.set(flowKey(flow), flow);
        else table.delete(flowKey(flow));
      }
    }
    expect([...table.values()].map(flowText).sort()).to.deep.equal(flows.map(flowText).sort());
  });
});
