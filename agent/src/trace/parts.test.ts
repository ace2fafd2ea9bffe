import { expect } from 'chai';
import { linkTo } from '../io/kernel-counts.ts';
import { echoFields, lookUp } from '../sdn/lookup.ts';
import { checksum } from '../sdn/neighbours.ts';
import type { FlowStats, Instruction, Match } from '../sdn/openflow/index.ts';
import { mac } from '../sdn/parts.ts';
import { beginOf, type End, EndError, endsOf } from './ends.ts';
import { flowLine, lookupOf } from './flows.ts';
import { FRAME_MIN_BYTES, probeFrame } from './frame.ts';
import { kernelSince, WATCH_MS, WATCHES_OF_ALL, WATCHES_OF_ONE, Watchman } from './watchman.ts';

const trace = '0123456789abcdef';
const MACS = { fromMac: '02:45:0a:09:00:01', toMac: '02:45:0a:09:00:02' };

describe('the frames of a trace', () => {
  it('are echo requests with right checksums that say whose they are', () => {
    const frame = probeFrame({ trace, sequence: 2, ...MACS, from: '10.9.0.1', to: '10.9.0.2', bytes: 200 });
    expect(frame).to.have.length(200);
    expect(frame.subarray(0, 14).toString('hex')).to.equal('02450a0900020245' + '0a090001' + '0800');
    expect(checksum(frame.subarray(14, 34)), 'IPv4 header').to.equal(0);
    expect(checksum(frame.subarray(34)), 'ICMP').to.equal(0);
    expect(frame.readUInt16BE(16)).to.equal(186);
    expect(frame.subarray(34, 36).toString('hex')).to.equal('0800');
    expect(frame.readUInt16BE(40), 'sequence').to.equal(2);
    expect(frame.subarray(42, 58).toString('latin1')).to.equal(
      `EvioTrac${Buffer.from(trace, 'hex').toString('latin1')}`,
    );
  });

  it('are ICMPv6 between IPv6 addresses', () => {
    const frame = probeFrame({ trace, sequence: 1, ...MACS, from: 'fd00::1', to: 'fd00::2', bytes: FRAME_MIN_BYTES });
    expect(frame).to.have.length(FRAME_MIN_BYTES);
    const length = Buffer.from([0, 0, 0, frame.length - 54, 0, 0, 0, 58]);
    expect(checksum(Buffer.concat([frame.subarray(22, 54), length, frame.subarray(54)]))).to.equal(0);
    expect(frame[54]).to.equal(128);
  });
});

describe('the ends of a trace', () => {
  const prefix = (address: string, length: number) => ({ family: 4 as const, address, length });
  const node = (name: string, n: number) => ({
    nodeId: String(n).repeat(32),
    name,
    mac: `02:45:0a:09:00:0${n}`,
    addresses: [prefix(`10.9.0.${n}`, 16)],
    routes: [prefix(`10.244.${n}.0`, 24)],
  });
  const [a, b] = [node('a', 1), node('b', 2)];
  const ends = (from: string | undefined, to: string) => endsOf(a, [b], from, to);
  const said = ({ name, address, pod }: End) => `${name} ${address}${pod ? ' pod' : ''}`;

  it('are named by name, id, overlay address, or an address behind a node', () => {
    for (const to of ['b', '2'.repeat(32), '10.9.0.2']) expect(said(ends('a', to).to)).to.equal('b 10.9.0.2');
    expect(said(ends(undefined, '10.244.2.7').to)).to.equal('b 10.244.2.7 pod');
    expect(said(ends('10.244.1.9', 'b').from)).to.equal('a 10.244.1.9 pod');
  });

  it('begin at the node that is named, or that has what is named behind it', () => {
    expect(['b', '10.9.0.2', '10.244.2.7', 'a'].map((from) => beginOf([a, b], from).name)).to.deep.equal([
      ...['b', 'b', 'b', 'a'],
    ]);
    expect(() => beginOf([a, b], 'x')).to.throw(EndError, '"x"');
  });

  for (const [what, from, to, text] of [
    ['nobody', 'a', 'c', /"c", nor a prefix with it; known members: b/],
    ['an address of nobody', 'a', '10.9.0.7', /"10\.9\.0\.7"/],
    ['a beginning at another node', 'b', 'b', /"b" is b's, not a's/],
    ['a beginning at nobody', 'x', 'b', /"x"/],
    ['an end here', 'a', '10.244.1.2', /a's own, where the trace begins/],
  ] as const)
    it(`refuse ${what}`, () => {
      expect(() => ends(from, to)).to.throw(EndError, text);
    });
});

describe('the flows that a frame meets', () => {
  const flow = (table: number, priority: number, match: Match, ...instructions: Instruction[]): FlowStats => ({
    table,
    priority,
    cookie: 0n,
    durationS: 5,
    idleTimeoutS: 0,
    hardTimeoutS: 0,
    flags: 0,
    packets: 10n,
    bytes: 1_000n,
    match,
    instructions,
  });
  const goto = (table: number): Instruction => ({ type: 'goto', table });
  const out: Instruction = { type: 'apply', actions: [{ type: 'output', port: 16 }] };
  const label: Instruction = {
    type: 'apply',
    actions: [{ type: 'set-field', field: { name: 'tunnel_id', value: 0xff00n } }],
  };
  const flows = [
    flow(0, 0, {}, goto(5)),
    flow(0, 200, { in_port: { value: 1n } }, goto(2)),
    flow(2, 100, { eth_type: { value: 0x0806n }, arp_op: { value: 1n } }, out),
    flow(2, 0, {}, goto(3)),
    flow(3, 150, { eth_dst: mac('02:45:0a:09:00:00', 'ff:ff:ff:ff:00:00') }, label, goto(4)),
    flow(3, 0, {}),
    flow(4, 10, { tunnel_id: { value: 0xff00n, mask: 0xff00n } }, out),
  ];
  const echo = { inPort: 1, ...MACS, from: '10.9.0.1', to: '10.9.0.2' };

  it('are those of the highest priority that match, on by goto, with the label that a flow sets', () => {
    const met = lookUp(flows, echoFields(echo)).map(({ table, flow: one }) => `${table} ${one?.priority}`);
    expect(met).to.deep.equal(['0 200', '2 0', '3 150', '4 10']);
  });

  it('end where nothing matches', () => {
    const met = lookUp(flows, echoFields({ ...echo, inPort: 16 }));
    expect(met.map(({ table, flow: one }) => [table, one?.priority])).to.deep.equal([
      [0, 0],
      [5, undefined],
    ]);
  });

  it('are shown with what they counted meanwhile', () => {
    const met = lookUp(flows, echoFields(echo));
    const after = flows.map((one) => ({ ...one, packets: one.packets + 3n }));
    expect(
      lookupOf('tincan', met, after).flows.map(({ tableName, packets }) => `${tableName} ${packets}`),
    ).to.deep.equal(['classify 3', 'local 3', 'edge 3', 'core 3']);
    expect(lookupOf('tincan', met, []).flows.map(({ packets }) => packets)).to.deep.equal([0, 0, 0, 0]);
    expect(flowLine(flows[4] as FlowStats)).to.include({
      tableName: 'edge',
      match: 'eth_dst=02:45:0a:09:00:00/ff:ff:ff:ff:00:00',
      actions: 'set_field:0xff00->tunnel_id,goto_table:4',
      ours: false,
    });
    expect(flowLine(flows[0] as FlowStats).match).to.equal('any');
  });
});

describe('who may have frames counted here', () => {
  it('is every member, for so many traces at once, and no others lose by it', () => {
    const watchman = new Watchman();
    const takes = (from: string, n: number, now = 0) => watchman.takes(from, `${from}${n}`, null, now);
    for (let n = 0; n < WATCHES_OF_ONE; n++) expect(takes('x', n)).to.equal(true);
    expect(takes('x', 0), 'asked again').to.equal(true);
    expect(takes('x', WATCHES_OF_ONE), 'one more').to.equal(true);
    expect(watchman.since('x', 'x0'), 'its oldest gave way').to.equal(undefined);
    expect(watchman.since('x', 'x1')).not.to.equal(undefined);
    expect(takes('y', 0)).to.equal(true);
    expect(takes('x', 99, WATCH_MS), 'later').to.equal(true);
  });

  it('is bounded for all together', () => {
    const watchman = new Watchman();
    const taken = Array.from({ length: 50 }, (_, i) => watchman.takes(`n${i}`, `t${i}`, null, 0)).filter(Boolean);
    expect(taken).to.have.length(WATCHES_OF_ALL);
  });

  it('is told of its own traces only, and what the kernel counted since then', () => {
    const watchman = new Watchman();
    const link = { name: 'veth7', sent: 10, received: 10, dropped: 1 };
    watchman.takes('x', 't', { echoIn: 5, replyOut: 4, link }, 0, '10.244.1.2');
    expect(watchman.takes('y', 't', null, 0)).to.equal(false);
    expect(watchman.since('y', 't')).to.equal(undefined);
    const { kernel: before = null, behind } = watchman.since('x', 't') ?? {};
    expect(behind).to.equal('10.244.1.2');
    const after = { echoIn: 8, replyOut: 4, link: { ...link, sent: 13 } };
    expect(kernelSince(before, after)).to.deep.equal({
      echoIn: 3,
      replyOut: 0,
      link: { name: 'veth7', sent: 3, received: 0, dropped: 0 },
    });
    expect(kernelSince(before, { ...after, link: { ...link, name: 'veth8' } })?.link).to.equal(null);
    expect(kernelSince(null, after)).to.equal(null);
  });

  it('is not heard when it asks without end', () => {
    const watchman = new Watchman();
    const heard = Array.from({ length: 100 }, () => watchman.hears('x', 0)).filter(Boolean).length;
    expect(heard).to.be.within(16, 50);
    expect(watchman.hears('y', 0)).to.equal(true);
    expect(watchman.hears('x', 1_000)).to.equal(true);
  });
});

describe('the link of an address behind a node', () => {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
  const route4 = (link: string, destination: string, flags: string, mask: string) =>
    `${link}\t${destination}\t00000000\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0\n`;
  const routes4 =
    head +
    route4('evio0', '0001F40A', '0001', '00FFFFFF') +
    route4('*', '0301F40A', '0205', 'FFFFFFFF') +
    route4('evcafe', '0201F40A', '0005', 'FFFFFFFF');
  const zero = '0'.repeat(32);
  const routes6 = `fd00000000000000000000000000000a 80 ${zero} 00 ${zero} 00000400 00000001 00000000 00000001 evbeef\n`;

  it('is that of its own route, as the kernel writes it, and no other', () => {
    expect(linkTo('10.244.1.2', routes4, '')).to.equal('evcafe');
    expect(linkTo('10.244.1.3', routes4, '')).to.equal(undefined);
    expect(linkTo('10.244.1.9', routes4, '')).to.equal(undefined);
    expect(linkTo('fd00::a', routes4, routes6)).to.equal('evbeef');
    expect(linkTo('fd00::b', routes4, routes6)).to.equal(undefined);
  });
});
