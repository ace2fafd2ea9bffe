import { expect } from 'chai';
import { FakeSwitch } from '../../../test/sim/fake-switch.ts';
import { Controller, type ControllerAction, ECHO_AFTER_MS, RESYNC_MS, SILENT_AFTER_MS } from './controller.ts';
import { desiredFlows, type SwitchState, tincanProgram } from './desired.ts';
import { flowText } from './flow.ts';
import { FLOW_MOD_DEFAULTS, type Message, PORT } from './openflow/index.ts';
import type { SwitchMember } from './parts.ts';

function member(n: number): SwitchMember {
  const mac = `02:45:0a:00:00:0${n}`;
  return {
    label: BigInt(n) << 56n,
    mac,
    macs: [{ mac, mask: 'ff:ff:ff:ff:ff:ff' }],
    addresses: [{ address: `10.0.0.${n}` }],
  };
}

function stateWith(...others: readonly number[]): SwitchState {
  const core = others.map((n) => ({
    value: BigInt(n) << 56n,
    mask: 0xff00000000000000n,
    port: 14 + n,
    priority: 1_008,
  }));
  return { self: member(1), members: others.map(member), core, drained: [] };
}

/** A controller and a switch with a wire between them that can be cut. */
class Pair {
  readonly controller = new Controller(1n, tincanProgram);
  readonly sw = new FakeSwitch(1n);
  readonly others: ControllerAction[] = [];
  readonly sent: Message[] = [];

  run(actions: readonly ControllerAction[], now = 0): void {
    for (const action of actions) {
      if (action.kind !== 'send') {
        this.others.push(action);
        continue;
      }
      this.sent.push(action.message);
      for (const message of this.sw.handle(action.message)) {
        this.run(this.controller.handle({ kind: 'message', message }, now), now);
      }
    }
  }

  connect(now = 0): void {
    this.run(this.controller.handle({ kind: 'connected' }, now), now);
  }

  state(state: SwitchState, settled = true): void {
    this.run(this.controller.handle({ kind: 'state', state, settled }, 0));
  }

  table(): readonly string[] {
    return this.sw.flows.map(flowText).sort();
  }
}

const wanted = (state: SwitchState) => desiredFlows(state).map(flowText).sort();

describe('the controller', () => {
  it('deletes nothing before the picture is whole, but what leads by a drained port', () => {
    const pair = new Pair();
    pair.connect();
    pair.state(stateWith(2, 3), false);
    const before = pair.table();
    const less = { ...stateWith(), members: stateWith(2, 3).members };
    pair.state(less, false);
    expect(pair.table()).to.deep.equal(before);
    pair.state({ ...less, drained: [17] }, false);
    expect(before.filter((line) => !pair.table().includes(line)).join()).to.include('output:17');
    expect(pair.table()).to.have.length(before.length - 1);
    pair.state(less, true);
    expect(pair.table()).to.deep.equal(wanted(less));
  });

  it('fills an empty switch and says when the switch has confirmed it', () => {
    const pair = new Pair();
    pair.connect();
    pair.state(stateWith(2, 3));
    expect(pair.table()).to.deep.equal(wanted(stateWith(2, 3)));
    expect(pair.others).to.deep.include({ kind: 'synced', flows: pair.sw.flows.length });
  });

  it('asks for the master role, whole frames and the flow table before anything else', () => {
    const pair = new Pair();
    pair.connect();
    const types = ['hello', 'features-request', 'set-config', 'role-request', 'multipart-request'];
    expect(pair.sent.map((m) => m.type)).to.deep.equal(types);
  });

  it('sends only what differs when the state changes', () => {
    const pair = new Pair();
    pair.connect();
    pair.state(stateWith(2, 3));
    pair.sw.changes = 0;
    pair.state(stateWith(2));
    expect(pair.table()).to.deep.equal(wanted(stateWith(2)));
    // ARP, ND link-local, edge and core of the member that went.
    expect(pair.sw.changes).to.equal(4);
  });

  it('changes nothing in a switch that has the flows already, as after a restart of the agent', () => {
    const first = new Pair();
    first.connect();
    first.state(stateWith(2, 3));
    const second = new Pair();
    for (const flow of first.sw.flows) {
      second.sw.handle({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 1, command: 'add' });
    }
    second.sw.changes = 0;
    second.state(stateWith(), false);
    second.connect();
    expect(second.table()).to.deep.equal(first.table());
    second.state(stateWith(2, 3), true);
    expect(second.sw.changes).to.equal(0);
  });

  it('deletes what nobody wants once the picture is whole', () => {
    const pair = new Pair();
    pair.connect();
    pair.state(stateWith(2, 3));
    const again = new Pair();
    again.state(stateWith(2), false);
    for (const flow of pair.sw.flows) {
      again.sw.handle({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 1, command: 'add' });
    }
    again.connect();
    expect(again.table()).to.deep.equal(wanted(stateWith(2, 3)));
    again.state(stateWith(2), true);
    expect(again.table()).to.deep.equal(wanted(stateWith(2)));
  });

  it('fills the switch again when it lost everything', () => {
    const pair = new Pair();
    pair.connect();
    pair.state(stateWith(2));
    pair.controller.handle({ kind: 'disconnected' }, 1);
    expect(pair.controller.connected).to.equal(false);
    pair.sw.clear();
    pair.connect(2);
    expect(pair.table()).to.deep.equal(wanted(stateWith(2)));
  });

  it('finds drift by itself within a minute', () => {
    const pair = new Pair();
    pair.state(stateWith(2));
    pair.connect();
    pair.sw.clear();
    let now = 0;
    while (now < RESYNC_MS) {
      now = pair.controller.deadline() ?? Infinity;
      pair.run(pair.controller.handle({ kind: 'deadline' }, now), now);
    }
    expect(pair.table()).to.deep.equal(wanted(stateWith(2)));
  });

  it('puts back what somebody deletes as soon as the switch tells of it, and says so in one line', () => {
    const pair = new Pair();
    pair.state(stateWith(2, 3));
    pair.connect();
    pair.others.length = 0;
    const count = pair.sw.flows.length;
    for (const message of pair.sw.deleteByHand(() => true))
      pair.run(pair.controller.handle({ kind: 'message', message }, 100), 100);
    expect(pair.table()).to.deep.equal([]);
    const at = pair.controller.deadline() ?? Infinity;
    expect(at).to.be.at.most(200);
    pair.run(pair.controller.handle({ kind: 'deadline' }, at), at);
    expect(pair.table()).to.deep.equal(wanted(stateWith(2, 3)));
    const logs = pair.others.filter((action) => action.kind === 'log');
    expect(logs).to.have.length(1);
    expect(logs[0]?.text).to.include(`somebody deleted ${count} flows; put back (the first: cookie=0x`);
  });

  it('says nothing of the flows it deletes itself, and one line a minute when somebody goes on deleting', () => {
    const pair = new Pair();
    pair.state(stateWith(2, 3));
    pair.connect();
    pair.state(stateWith(2));
    pair.state(stateWith(2, 3));
    expect(pair.controller.deadline()).to.be.above(1_000);
    const logs = () => pair.others.flatMap((action) => (action.kind === 'log' ? [action.text] : []));
    expect(logs()).to.deep.equal([]);
    const harm = (now: number) => {
      for (const message of pair.sw.deleteByHand((flow) => flow.table === 5))
        pair.run(pair.controller.handle({ kind: 'message', message }, now), now);
      pair.run(pair.controller.handle({ kind: 'deadline' }, now + 50), now + 50);
      expect(pair.table()).to.deep.equal(wanted(stateWith(2, 3)));
    };
    for (const now of [0, 1_000, 2_000]) harm(now);
    expect(logs()).to.have.length(1);
    harm(70_000);
    expect(logs()).to.have.length(2);
    expect(logs()[1]).to.include('2 times more since this was last said');
  });

  it('puts back what somebody changed within five seconds', () => {
    const pair = new Pair();
    pair.state(stateWith(2));
    pair.connect();
    const [flow] = pair.sw.flows;
    if (flow === undefined) throw new Error('no flow');
    pair.sw.handle({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, instructions: [], xid: 1, command: 'add' });
    for (let now = 0; now < 4_500; ) {
      now = pair.controller.deadline() ?? Infinity;
      if (now < 4_500) pair.run(pair.controller.handle({ kind: 'deadline' }, now), now);
    }
    expect(pair.table()).to.deep.equal(wanted(stateWith(2)));
    const logs = pair.others.filter((action) => action.kind === 'log');
    expect(logs).to.have.length(1);
    expect(logs[0]?.text).to.include('somebody changed 1 flow;');
  });

  it('leaves flows of others alone, and says once that there are some', () => {
    const pair = new Pair();
    const match = { in_port: { value: 9n } };
    const foreign = { ...FLOW_MOD_DEFAULTS, table: 0, priority: 9, cookie: 7n, match, instructions: [] };
    pair.sw.handle({ type: 'flow-mod', ...foreign, xid: 1, command: 'add' });
    pair.state(stateWith(2));
    pair.connect();
    for (let now = 0; now < 20_000; ) {
      now = pair.controller.deadline() ?? Infinity;
      pair.run(pair.controller.handle({ kind: 'deadline' }, now), now);
    }
    expect(pair.table()).to.have.length(wanted(stateWith(2)).length + 1);
    const logs = pair.others.filter((action) => action.kind === 'log');
    expect(logs).to.have.length(1);
    expect(logs[0]).to.include({ level: 'info' });
    expect(logs[0]?.text).to.include('1 flow that is not ours stays in the table (the first: cookie=0x7,table=0');
  });

  it('logs an error with the flow it was about, and reads the table again', () => {
    const pair = new Pair();
    pair.state(stateWith(2));
    const actions = pair.controller.handle({ kind: 'connected' }, 0);
    expect(actions).to.have.length(1);
    const asked = pair.controller.handle({ kind: 'message', message: { type: 'hello', xid: 1, versions: [4] } }, 0);
    const dump = asked.flatMap((a) => (a.kind === 'send' && a.message.type === 'multipart-request' ? [a.message] : []));
    const empty = {
      type: 'multipart-reply',
      xid: dump[0]?.xid ?? 0,
      more: false,
      body: { of: 'flows', flows: [] },
    } as const;
    const edits = pair.controller.handle({ kind: 'message', message: empty }, 0);
    const mod = edits.find((a) => a.kind === 'send' && a.message.type === 'flow-mod');
    const xid = mod?.kind === 'send' ? mod.message.xid : 0;
    const error = { type: 'error', xid, errorType: 5, code: 1, data: Buffer.alloc(0) } as const;
    const told = pair.controller.handle({ kind: 'message', message: error }, 10);
    expect(told).to.have.length(1);
    expect(told[0]).to.have.property('kind', 'log');
    expect(told[0]).to.have.property('text').that.includes('add cookie=').and.includes('error type 5 code 1');
    expect(pair.controller.deadline()).to.equal(1_010);
    const reread = pair.controller.handle({ kind: 'deadline' }, 1_010);
    expect(reread.some((a) => a.kind === 'send' && a.message.type === 'multipart-request')).to.equal(true);
  });

  it('answers an ARP request by the port it came in', () => {
    const pair = new Pair();
    pair.state(stateWith(2));
    pair.connect();
    const frame = Buffer.from(
      'ffffffffffff02450a0000010806000108000604000102450a0000010a0000010000000000000a000002',
      'hex',
    );
    const message: Message = {
      type: 'packet-in',
      xid: 0,
      reason: 'action',
      table: 2,
      cookie: 0n,
      match: { in_port: { value: 1n } },
      frame,
    };
    const [reply] = pair.controller.handle({ kind: 'message', message }, 0);
    const sent = reply?.kind === 'send' && reply.message.type === 'packet-out' ? reply.message : undefined;
    expect(sent?.inPort).to.equal(PORT.controller);
    expect(sent?.actions).to.deep.equal([{ type: 'output', port: 1 }]);
    expect(sent?.frame.toString('hex', 0, 12)).to.equal('02450a00000102450a000002');
    const broken: Message = { ...message, frame: frame.subarray(0, 20) };
    expect(pair.controller.handle({ kind: 'message', message: broken }, 0)).to.deep.equal([]);
  });

  it('asks a silent switch for an echo, and gives it up when none comes', () => {
    const pair = new Pair();
    pair.connect();
    // An empty table is read again before; nothing of what is asked now is answered.
    const reads = pair.controller.deadline() ?? Infinity;
    expect(reads).to.be.below(ECHO_AFTER_MS);
    pair.controller.handle({ kind: 'deadline' }, reads);
    expect(pair.controller.deadline()).to.equal(ECHO_AFTER_MS);
    const [echo] = pair.controller.handle({ kind: 'deadline' }, ECHO_AFTER_MS);
    expect(echo).to.have.nested.property('message.type', 'echo-request');
    expect(pair.controller.deadline()).to.equal(SILENT_AFTER_MS);
    expect(pair.controller.handle({ kind: 'deadline' }, SILENT_AFTER_MS)).to.deep.equal([
      { kind: 'close', reason: 'the switch has been silent for 15 s' },
    ]);
    expect(pair.controller.deadline()).to.equal(undefined);
  });

  it('does not speak with a switch that lacks OpenFlow 1.3', () => {
    const controller = new Controller(1n, tincanProgram);
    controller.handle({ kind: 'connected' }, 0);
    const hello: Message = { type: 'hello', xid: 1, versions: [1, 6] };
    expect(controller.handle({ kind: 'message', message: hello }, 0)).to.deep.equal([
      { kind: 'close', reason: 'the switch speaks OpenFlow versions 1, 6, not 4' },
    ]);
  });

  it('tells of ports that come and go', () => {
    const pair = new Pair();
    pair.connect();
    const port = { number: 16, mac: '02:00:00:00:00:01', name: 't-home1', linkDown: true };
    const message: Message = { type: 'port-status', xid: 0, reason: 'modify', port };
    expect(pair.controller.handle({ kind: 'message', message }, 0)).to.deep.equal([
      { kind: 'port', reason: 'modify', port },
    ]);
  });
});
