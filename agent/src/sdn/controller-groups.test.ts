import { expect } from 'chai';
import { FakeSwitch } from '../../../test/sim/fake-switch.ts';
import { Controller, type ControllerAction } from './controller.ts';
import { messageOf } from './edit.ts';
import { flowText } from './flow.ts';
import { groupText } from './group.ts';
import { BUCKET_DEFAULTS, type Group, type Message, PORT } from './openflow/index.ts';
import { type OvsState, ovsProgram } from './ovs/program.ts';
import type { SwitchMember } from './parts.ts';

function member(n: number): SwitchMember {
  const mac = `02:45:0a:00:00:0${n}`;
  const macs = [{ mac, mask: 'ff:ff:ff:ff:ff:ff' }];
  return { label: BigInt(n), mac, macs, addresses: [{ address: `10.0.0.${n}` }] };
}

/** A neighbour for each number, its tap on port 20 and up; each is its own first hop. */
function stateWith(...others: readonly number[]): OvsState {
  return {
    self: member(1),
    members: others.map(member),
    taps: new Map(others.map((n) => [BigInt(n), 20 + n])),
    hops: new Map(others.map((n) => [BigInt(n), [BigInt(n)]])),
    leaves: [],
    drained: [],
  };
}

class Pair {
  readonly controller = new Controller<OvsState>(1n, ovsProgram);
  readonly sw: FakeSwitch;
  readonly others: ControllerAction[] = [];
  readonly sent: Message[] = [];
  now = 0;

  constructor(sw = new FakeSwitch(1n)) {
    this.sw = sw;
  }

  run(actions: readonly ControllerAction[]): void {
    for (const action of actions) {
      if (action.kind !== 'send') {
        this.others.push(action);
        continue;
      }
      this.sent.push(action.message);
      for (const message of this.sw.handle(action.message)) this.heard(message);
    }
  }

  heard(message: Message): void {
    this.run(this.controller.handle({ kind: 'message', message }, this.now));
  }

  connect(): void {
    this.run(this.controller.handle({ kind: 'connected' }, this.now));
  }

  state(state: OvsState, settled = true): void {
    this.run(this.controller.handle({ kind: 'state', state, settled }, this.now));
  }

  until(end: number): void {
    for (;;) {
      const at = this.controller.deadline() ?? Infinity;
      if (at > end) break;
      this.now = at;
      this.run(this.controller.handle({ kind: 'deadline' }, at));
    }
  }

  get logs(): readonly string[] {
    return this.others.flatMap((action) => (action.kind === 'log' ? [action.text] : []));
  }

  expectEqual(state: OvsState): void {
    const wanted = ovsProgram.wanted(state);
    expect(this.sw.flows.map(flowText).sort()).to.deep.equal(wanted.flows.map(flowText).sort());
    expect(this.sw.groups.map(groupText).sort()).to.deep.equal(wanted.groups.map(groupText).sort());
  }
}

function up(state: OvsState, sw?: FakeSwitch): Pair {
  const pair = new Pair(sw);
  pair.state(state);
  pair.connect();
  return pair;
}

const kinds = (messages: readonly Message[]) =>
  messages.flatMap((m) => {
    if (m.type === 'group-mod' || m.type === 'flow-mod') return [`${m.type} ${m.command}`];
    return m.type === 'barrier-request' ? ['barrier'] : [];
  });

describe('the controller with groups', () => {
  it('adds groups before the flows that lead to them, with a barrier between', () => {
    const pair = up(stateWith(2, 3));
    pair.expectEqual(stateWith(2, 3));
    const order = kinds(pair.sent).filter((kind, i, all) => kind !== all[i - 1]);
    expect(order).to.deep.equal(['group-mod add', 'barrier', 'flow-mod add', 'barrier']);
    expect(pair.logs).to.deep.equal([]);
    expect(pair.others.filter((a) => a.kind === 'synced')).to.have.length(1);
  });

  it('moves flows to another group before the one they led to is deleted', () => {
    const pair = up(stateWith(2, 3));
    pair.sent.length = 0;
    pair.state(stateWith(2));
    pair.expectEqual(stateWith(2));
    const order = kinds(pair.sent).filter((kind, i, all) => kind !== all[i - 1]);
    expect(order).to.deep.equal([
      'group-mod add',
      'barrier',
      'flow-mod add',
      'flow-mod delete-strict',
      'barrier',
      'group-mod delete',
      'barrier',
    ]);
    expect(pair.logs).to.deep.equal([]);
  });

  it('changes nothing in a switch that has flows and groups already, as after a restart of the agent', () => {
    const { sw } = up(stateWith(2, 3));
    sw.changes = 0;
    up(stateWith(2, 3), sw).expectEqual(stateWith(2, 3));
    expect(sw.changes).to.equal(0);
  });

  it('keeps a group that flows lead to which it may not delete yet', () => {
    const { sw } = up(stateWith(2, 3));
    const again = new Pair(sw);
    again.state(stateWith(2), false);
    again.connect();
    expect(again.logs).to.deep.equal([]);
    const before = ovsProgram.wanted(stateWith(2, 3)).flows.filter((flow) => flow.table === 3).length;
    expect(sw.flows.filter((flow) => flow.table === 3)).to.have.length(before);
    again.state(stateWith(2), true);
    again.expectEqual(stateWith(2));
  });

  it('puts back a group that somebody deletes together with its flows, at once, and says so in one line', () => {
    const pair = up(stateWith(2, 3));
    const [group] = pair.sw.groups.filter(({ type }) => type === 'fast-failover');
    for (const message of pair.sw.deleteGroupByHand(group?.group ?? 0)) pair.heard(message);
    pair.until(pair.now + 200);
    pair.expectEqual(stateWith(2, 3));
    expect(pair.logs).to.have.length(1);
    expect(pair.logs[0]).to.match(/^somebody deleted \d flows? and deleted 1 group; put back \(the first: group_id=/);
    expect(pair.controller.counters.errors).to.equal(0);
  });

  it('puts back what somebody changed in a group within five seconds', () => {
    const pair = up(stateWith(2, 3));
    const [group] = pair.sw.groups;
    if (group === undefined) throw new Error('no group');
    pair.sw.handle(messageOf({ command: 'modify', group: { ...group, buckets: [] } }, 1));
    pair.until(4_500);
    pair.expectEqual(stateWith(2, 3));
    expect(pair.logs).to.have.length(1);
    expect(pair.logs[0]).to.include('somebody changed 1 group; put back');
  });

  it('leaves groups of others alone', () => {
    const sw = new FakeSwitch(1n);
    const foreign: Group = { group: 1, type: 'select', buckets: [{ ...BUCKET_DEFAULTS, weight: 1, actions: [] }] };
    sw.handle(messageOf({ command: 'add', group: foreign }, 1));
    const pair = up(stateWith(2), sw);
    pair.until(20_000);
    expect(sw.groups).to.deep.include(foreign);
    expect(pair.logs).to.deep.equal([]);
  });

  it('goes on with a switch that refuses to describe its groups', () => {
    const pair = new Pair();
    pair.state(stateWith(2));
    const asked = pair.controller.handle({ kind: 'connected' }, 0);
    expect(asked).to.have.length(1);
    const reads = pair.controller.handle({ kind: 'message', message: { type: 'hello', xid: 1, versions: [4] } }, 0);
    const xid = (of: string) =>
      reads.flatMap((a) =>
        a.kind === 'send' && a.message.type === 'multipart-request' && a.message.body.of === of ? [a.message.xid] : [],
      )[0] ?? 0;
    const refused: Message = { type: 'error', xid: xid('groups'), errorType: 1, code: 2, data: Buffer.alloc(0) };
    const flows: Message = {
      type: 'multipart-reply',
      xid: xid('flows'),
      more: false,
      body: { of: 'flows', flows: [] },
    };
    pair.run(pair.controller.handle({ kind: 'message', message: refused }, 0));
    expect(pair.logs.join()).to.include('error type 1 code 2');
    pair.run(pair.controller.handle({ kind: 'message', message: flows }, 0));
    pair.expectEqual(stateWith(2));
  });

  it('answers by LOCAL and by any leaf port, where the question came in', () => {
    const pair = up(stateWith(2));
    const frame = Buffer.from(
      'ffffffffffff02450a0000010806000108000604000102450a0000010a0000010000000000000a000002',
      'hex',
    );
    for (const port of [PORT.local, 7]) {
      pair.sent.length = 0;
      const match = { in_port: { value: BigInt(port) } };
      pair.heard({ type: 'packet-in', xid: 0, reason: 'action', table: 2, cookie: 0n, match, frame });
      expect(pair.sent[0]).to.deep.include({ type: 'packet-out', actions: [{ type: 'output', port }] });
    }
  });
});
