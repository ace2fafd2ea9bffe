import { expect } from 'chai';
import fc from 'fast-check';
import { FakeOvsdb, portsOf } from '../../../test/sim/fake-ovsdb.ts';
import type { Json } from './json-rpc.ts';
import { isRecord } from './json-rpc.ts';
import { NO_PLAN, type Plan, plan } from './plan.ts';
import { planRemoval } from './removal.ts';
import { mapOf, type Replica, type Row, textOf, textsOf } from './replica.ts';
import { MARK, TSO, type Wanted } from './wanted.ts';

const WANTED: Wanted = {
  overlay: 'o1',
  bridge: 'evio0',
  datapath: 'netdev',
  mac: '02:45:0a:00:00:01',
  mtu: 1_400,
  ports: [
    { name: 't1', number: 20 },
    { name: 't2', number: 21 },
  ],
};

const ops = (operations: readonly Json[]) => operations.filter((op) => isRecord(op));

function apply(db: FakeOvsdb, { operations }: Plan): void {
  const result = db.transact(ops(operations));
  expect(JSON.stringify(result)).to.not.include('error');
}

/** The second time it is noted which devices ovs-vswitchd has opened. */
function settle(db: FakeOvsdb, wanted = WANTED): FakeOvsdb {
  for (let i = 0; i < 2; i++) apply(db, plan(db.replica(), wanted));
  return db;
}

function made(wanted = WANTED): FakeOvsdb {
  return settle(new FakeOvsdb(), wanted);
}

function bridgeOf(db: Replica, name = 'evio0'): Row {
  const bridge = db.named('Bridge', name);
  if (bridge === undefined) throw new Error(`no bridge ${name}`);
  return bridge;
}

/** A bridge or port by hand, with the columns of ovs-vsctl. */
function byHand(
  db: FakeOvsdb,
  bridge: string,
  ports: readonly string[],
  marks: Readonly<Record<string, string>> = {},
): void {
  const existing = db.replica().named('Bridge', bridge);
  const inserts = ports.flatMap((name) => [
    { op: 'insert', table: 'Interface', row: { name }, 'uuid-name': `i_${name}` },
    {
      op: 'insert',
      table: 'Port',
      row: {
        name,
        interfaces: ['named-uuid', `i_${name}`],
        external_ids: ['map', marks[name] ? [[MARK, marks[name]]] : []],
      },
      'uuid-name': `p_${name}`,
    },
  ]);
  const refs = ['set', ports.map((name) => ['named-uuid', `p_${name}`])];
  const into = existing
    ? {
        op: 'mutate',
        table: 'Bridge',
        where: [['_uuid', '==', ['uuid', existing.uuid]]],
        mutations: [['ports', 'insert', refs]],
      }
    : { op: 'insert', table: 'Bridge', row: { name: bridge, ports: refs }, 'uuid-name': 'b' };
  const root = {
    op: 'mutate',
    table: 'Open_vSwitch',
    where: [],
    mutations: [['bridges', 'insert', ['named-uuid', 'b']]],
  };
  expect(JSON.stringify(db.transact([...inserts, into, ...(existing ? [] : [root])] as never))).to.not.include('error');
}

function set(db: FakeOvsdb, table: 'Bridge' | 'Port' | 'Interface', name: string, row: Json): void {
  const uuid = db.replica().named(table, name)?.uuid ?? '';
  db.transact([{ op: 'update', table, where: [['_uuid', '==', ['uuid', uuid]]], row }]);
}

describe('the plan for Open vSwitch', () => {
  it('makes bridge, ports and settings in one transaction, and then has nothing to do', () => {
    const db = made().replica();
    const bridge = bridgeOf(db);
    expect(portsOf(db, bridge)).to.have.members(['evio0', 't1', 't2']);
    expect(textOf(bridge, 'fail_mode')).to.equal('secure');
    expect(textOf(bridge, 'datapath_type')).to.equal('netdev');
    expect(textsOf(bridge, 'protocols')).to.deep.equal(['OpenFlow13']);
    expect(mapOf(bridge, 'other_config').get('disable-in-band')).to.equal('true');
    expect(mapOf(db.rows('Open_vSwitch')[0] ?? bridge, 'other_config').get(TSO)).to.equal('true');
    expect(plan(db, WANTED)).to.deep.equal(NO_PLAN);
  });

  it('makes the one row of all rows where the database has none', () => {
    const db = new FakeOvsdb();
    db.transact([{ op: 'delete', table: 'Open_vSwitch', where: [] }]);
    settle(db);
    expect(plan(db.replica(), WANTED).operations).to.deep.equal([]);
  });

  it('says that ovs-vswitchd must be restarted when TCP offload was not set', () => {
    const { notices, problems } = plan(new FakeOvsdb().replica(), WANTED);
    expect([notices.length, problems.length]).to.deep.equal([1, 0]);
    expect(notices[0]).to.include('restart ovs-vswitchd');
    expect(plan(new FakeOvsdb().replica(), { ...WANTED, datapath: 'system' }).notices).to.deep.equal([]);
  });

  it('leaves TCP offload off where somebody decided so, and says what that means', () => {
    const db = new FakeOvsdb();
    db.transact([{ op: 'update', table: 'Open_vSwitch', where: [], row: { other_config: ['map', [[TSO, 'false']]] } }]);
    settle(db);
    const { operations, problems, notices } = plan(db.replica(), WANTED);
    expect([operations, notices]).to.deep.equal([[], []]);
    expect(problems).to.have.length(1);
    expect(problems[0]).to.match(
      /userspace-tso-enable of Open vSwitch is false: .* set it to true and restart ovs-vswitchd/,
    );
  });

  it('sends only what differs when a port more and a port less are wanted', () => {
    const db = made();
    const ports = [
      { name: 't2', number: 21 },
      { name: 't3', number: 22 },
    ];
    const next = plan(db.replica(), { ...WANTED, ports });
    expect(ops(next.operations).map(({ op, table }) => `${op} ${table ?? ''}`.trim())).to.deep.equal([
      'wait Bridge',
      'insert Interface',
      'insert Port',
      'mutate Bridge',
      'mutate Bridge',
      'mutate Open_vSwitch',
      'comment',
    ]);
    apply(db, next);
    expect(portsOf(db.replica(), bridgeOf(db.replica()))).to.have.members(['evio0', 't2', 't3']);
  });

  it('adopts a bridge that somebody made, keeps its datapath type and says so', () => {
    const db = new FakeOvsdb();
    byHand(db, 'evio0', ['evio0', 'eth1', 't1']);
    const next = plan(db.replica(), WANTED);
    expect(next.problems).to.deep.equal([
      'bridge evio0 has datapath_type system, where netdev would be made; it stays as it is',
    ]);
    apply(db, next);
    expect(portsOf(db.replica(), bridgeOf(db.replica()))).to.have.members(['evio0', 'eth1', 't1', 't2']);
    expect(textOf(bridgeOf(db.replica()), 'datapath_type')).to.equal('');
    // Its ports go with a removal, the bridge and what others have there stay.
    apply(db, planRemoval(db.replica(), WANTED));
    expect(portsOf(db.replica(), bridgeOf(db.replica()))).to.have.members(['evio0', 'eth1']);
  });

  it('keeps away from a bridge of another overlay, and from names that others have', () => {
    const db = made();
    const other = plan(db.replica(), { ...WANTED, overlay: 'o2' });
    expect(other.operations).to.deep.equal([]);
    expect(other.problems.join()).to.include('belongs to overlay o1');
    const taken = made();
    byHand(taken, 'br1', ['br1', 't3']);
    const ports = [...WANTED.ports, { name: 't3', number: 22 }];
    const { operations, problems } = plan(taken.replica(), { ...WANTED, ports });
    expect(operations).to.deep.equal([]);
    expect(problems).to.deep.equal([
      'the name t3 is taken by port t3 of bridge br1; remove it there: ovs-vsctl del-port br1 t3',
    ]);
    const self = plan(taken.replica(), { ...WANTED, bridge: 't3', ports: [] });
    expect([self.operations, self.problems.length]).to.deep.equal([[], 1]);
  });

  it('names what somebody did', () => {
    const db = made();
    set(db, 'Bridge', 'evio0', { fail_mode: 'standalone', protocols: 'OpenFlow10' });
    set(db, 'Interface', 't1', { ofport_request: 7 });
    set(db, 'Port', 't2', { tag: 5 });
    byHand(db, 'evio0', ['t9'], { t9: 'o1' });
    const { differences, operations } = plan(db.replica(), WANTED);
    expect(differences).to.deep.equal([
      'set fail_mode of bridge evio0 to standalone',
      'set protocols of bridge evio0 to OpenFlow10',
      'set ofport_request of port t1 to 7',
      'set tag of port t2 to 5',
      'added port t9 in our name',
    ]);
    apply(db, { ...NO_PLAN, operations, differences });
    expect(plan(db.replica(), WANTED).operations).to.deep.equal([]);
  });

  it('brings a port of ours back that somebody moved to another bridge', () => {
    const db = made({ ...WANTED, ports: [] });
    byHand(db, 'br1', ['br1', 't1'], { t1: 'o1' });
    apply(db, plan(db.replica(), WANTED));
    expect(portsOf(db.replica(), bridgeOf(db.replica(), 'br1'))).to.deep.equal(['br1']);
    expect(portsOf(db.replica(), bridgeOf(db.replica()))).to.have.members(['evio0', 't1', 't2']);
  });

  it('leaves a bridge of ours in which others have ports, without our mark', () => {
    const db = made();
    byHand(db, 'evio0', ['eth1']);
    const removal = planRemoval(db.replica(), WANTED);
    expect(removal.problems).to.deep.equal(['bridge evio0 stays, for there are ports of somebody else in it: eth1']);
    apply(db, removal);
    expect(portsOf(db.replica(), bridgeOf(db.replica()))).to.have.members(['evio0', 'eth1']);
    expect(planRemoval(db.replica(), WANTED)).to.deep.equal(NO_PLAN);
    expect(planRemoval(made().replica(), { overlay: 'o1', bridge: 'evio9' })).to.deep.equal(NO_PLAN);
  });

  it('does nothing at all when the bridge is gone before it is carried out', () => {
    const db = made();
    const next = plan(db.replica(), { ...WANTED, ports: [{ name: 't5', number: 25 }] });
    apply(db, planRemoval(db.replica(), WANTED));
    expect(JSON.stringify(db.transact(ops(next.operations)))).to.include('timed out');
    expect(db.replica().rows('Interface')).to.deep.equal([]);
  });

  it('leads from any database to what is wanted, leaves what others have, and has nothing to do then', () => {
    const name = fc.constantFrom('evio0', 't1', 't2', 't3', 'eth0', 'eth1');
    const wanted = fc.uniqueArray(fc.constantFrom('t1', 't2', 't3'));
    const state = fc.record({
      names: fc.uniqueArray(name),
      marked: fc.uniqueArray(name),
      elsewhere: fc.uniqueArray(name),
      exists: fc.boolean(),
    });
    fc.assert(
      fc.property(state, wanted, ({ names, marked, elsewhere, exists }, ports) => {
        const db = new FakeOvsdb();
        const marks = Object.fromEntries(marked.map((m) => [m, 'o1']));
        if (exists) byHand(db, 'evio0', names, marks);
        const away = elsewhere.filter((n) => !exists || !names.includes(n));
        byHand(db, 'br1', ['br1', ...away], marks);
        const target = { ...WANTED, ports: ports.map((port, i) => ({ name: port, number: 20 + i })) };
        settle(db, target);
        const after = db.replica();
        expect(plan(after, target).operations).to.deep.equal([]);
        const others = (exists ? names : []).filter((n) => !marked.includes(n));
        const bridge = after.named('Bridge', 'evio0');
        if (bridge !== undefined) expect(portsOf(after, bridge)).to.include.members(others);
        expect(portsOf(after, bridgeOf(after, 'br1'))).to.include.members(away.filter((n) => !marked.includes(n)));
        apply(db, planRemoval(db.replica(), WANTED));
        expect(planRemoval(db.replica(), WANTED).operations).to.deep.equal([]);
      }),
    );
  });
});
