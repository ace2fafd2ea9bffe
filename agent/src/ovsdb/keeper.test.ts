import { expect } from 'chai';
import fc from 'fast-check';
import { FakeOvsdb } from '../../../test/sim/fake-ovsdb.ts';
import type { Json } from './json-rpc.ts';
import { Keeper, type KeeperAction, type KeeperEvent, type OvsState, VSWITCHD_MS } from './keeper.ts';
import { plan } from './plan.ts';
import type { Wanted } from './wanted.ts';

const WANTED: Wanted = {
  overlay: 'o1',
  bridge: 'evio0',
  datapath: 'system',
  mac: '02:45:0a:00:00:01',
  mtu: 1_400,
  ports: [
    { name: 't1', number: 20 },
    { name: 't2', number: 21 },
  ],
};

/** A keeper and a database with a socket between them, in simulated time. */
class Rig {
  readonly keeper = new Keeper(() => 0.5);
  readonly db: FakeOvsdb;
  now = 1_000;
  /** ovsdb-server runs. */
  serves = true;
  readonly said: string[] = [];
  readonly others: KeeperAction[] = [];
  state: OvsState | undefined;
  connects = 0;
  #connected = false;
  readonly #queue: KeeperEvent[] = [];

  constructor(db = new FakeOvsdb(), wanted = WANTED) {
    this.db = db;
    this.event({ kind: 'want', wanted });
    this.event({ kind: 'start' });
  }

  /** What an action leads to comes after the actions beside it, as with sockets. */
  event(event: KeeperEvent): void {
    this.#queue.push(event);
    if (this.#queue.length > 1) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      for (const action of this.keeper.handle(next, this.now)) this.#carryOut(action);
      this.#queue.shift();
    }
  }

  /** Time goes by, with everything that falls due. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (let at = this.keeper.deadline(); at !== undefined && at <= end; at = this.keeper.deadline()) {
      this.now = Math.max(this.now, at);
      this.event({ kind: 'deadline' });
    }
    this.now = end;
  }

  /** Somebody changes the database: the client is told. */
  change(...operations: readonly { readonly [key: string]: Json }[]): void {
    this.db.transact(operations);
    this.push();
  }

  push(): void {
    for (const message of this.db.updates()) this.#arrives(message);
  }

  bytes(text: string): void {
    this.event({ kind: 'bytes', bytes: Buffer.from(text) });
  }

  crash(): void {
    this.serves = false;
    this.#connected = false;
    this.db.disconnect();
    this.event({ kind: 'closed', reason: 'it closed the connection' });
  }

  deletePort(name: string): void {
    const [bridge, port] = [this.db.replica().named('Bridge', 'evio0'), this.db.replica().named('Port', name)];
    const where = [['_uuid', '==', ['uuid', bridge?.uuid ?? '']]];
    this.change({ op: 'mutate', table: 'Bridge', where, mutations: [['ports', 'delete', ['uuid', port?.uuid ?? '']]] });
  }

  get asWanted(): boolean {
    return plan(this.db.replica(), WANTED).operations.length === 0;
  }

  #carryOut(action: KeeperAction): void {
    switch (action.kind) {
      case 'connect':
        this.connects++;
        this.#connected = this.serves;
        this.event(this.serves ? { kind: 'connected' } : { kind: 'closed', reason: 'nobody answers' });
        break;
      case 'send':
        if (this.#connected)
          for (const message of this.db.receive(JSON.parse(action.text) as { [key: string]: Json }))
            this.#arrives(message);
        break;
      case 'close':
        this.#connected = false;
        this.db.disconnect();
        break;
      case 'state':
        this.state = action.state;
        break;
      case 'say':
        this.said.push(action.text);
        break;
      default:
        this.others.push(action);
    }
  }

  #arrives(message: Json): void {
    if (this.#connected) this.bytes(JSON.stringify(message));
  }
}

describe('the keeper of Open vSwitch', () => {
  for (const conditions of [true, false]) {
    it(`makes what is wanted and says when it is there (${conditions ? 'monitor_cond' : 'monitor'})`, () => {
      const db = new FakeOvsdb();
      db.conditions = conditions;
      const rig = new Rig(db);
      expect(rig.asWanted).to.equal(true);
      expect(rig.state?.inPlace).to.equal(true);
      expect([...(rig.state?.ports ?? [])]).to.deep.equal([
        ['t1', 20],
        ['t2', 21],
      ]);
      rig.deletePort('t1');
      rig.pass(100);
      expect(rig.asWanted).to.equal(true);
      expect(rig.said).to.deep.equal(['somebody deleted port t1; put back']);
    });
  }

  it('changes nothing and says nothing where everything is there, as after a restart of the agent', () => {
    const { db } = new Rig();
    const { transactions } = db;
    const next = new Rig(db);
    next.pass(60_000);
    expect(next.db.transactions).to.equal(transactions);
    expect(next.said).to.deep.equal([]);
    expect(next.state?.inPlace).to.equal(true);
  });

  it('makes the port of a device that was made anew anew, in two steps, and blames nobody', () => {
    const rig = new Rig();
    const uuid = () => rig.db.replica().named('Interface', 't1')?.uuid;
    const before = uuid();
    rig.db.ifindexes.set('t1', 0);
    rig.db.work();
    rig.push();
    expect(rig.state?.problems).to.deep.equal(['interface t1 is gone']);
    expect(rig.state?.inPlace).to.equal(false);
    rig.db.vswitchd = false;
    rig.db.transact([
      { op: 'update', table: 'Interface', where: [['_uuid', '==', ['uuid', before ?? '']]], row: { ifindex: 7 } },
    ]);
    rig.push();
    rig.pass(1_000);
    expect(uuid()).to.equal(undefined);
    rig.db.ifindexes.set('t1', 7);
    rig.db.vswitchd = true;
    rig.db.work();
    rig.push();
    rig.pass(1_000);
    expect(uuid()).to.not.be.oneOf([undefined, before]);
    expect(rig.state?.inPlace).to.equal(true);
    expect(rig.said).to.deep.equal(['interface t1 is gone', 'Open vSwitch is as wanted again']);
    const { transactions } = rig.db;
    rig.pass(60_000);
    expect(rig.db.transactions).to.equal(transactions);
  });

  it('follows what is wanted at once, and blames nobody', () => {
    const rig = new Rig();
    rig.event({ kind: 'want', wanted: { ...WANTED, ports: [{ name: 't3', number: 22 }] } });
    expect([...(rig.state?.ports ?? [])]).to.deep.equal([['t3', 22]]);
    expect(rig.said).to.deep.equal([]);
  });

  it('mends ever later what somebody undoes without end, and says it once a minute', () => {
    const rig = new Rig();
    const before = rig.db.transactions;
    for (let i = 0; i < 600; i++) {
      if (rig.asWanted) rig.deletePort('t2');
      rig.pass(100);
    }
    expect(rig.db.transactions - before).to.be.within(5, 30);
    expect(rig.said.length).to.be.at.most(2);
    rig.pass(20_000);
    expect(rig.asWanted).to.equal(true);
    rig.deletePort('t2');
    rig.pass(100);
    expect(rig.asWanted).to.equal(true);
  });

  it('says that ovsdb-server is away, once, and is there a moment after it is back', () => {
    const rig = new Rig();
    rig.crash();
    rig.pass(60_000);
    expect(rig.said).to.deep.equal(['ovsdb-server is away: it closed the connection']);
    expect(rig.state).to.include({ connected: false, inPlace: false });
    expect(rig.state?.ports.size).to.equal(2);
    rig.serves = true;
    rig.pass(2_000);
    expect(rig.state?.inPlace).to.equal(true);
    expect(rig.said.slice(1)).to.deep.equal(['Open vSwitch is as wanted again']);
  });

  it('says again that ovsdb-server is away the next time, whatever else stays as it is', () => {
    const { db } = new Rig();
    const rig = new Rig(db, { ...WANTED, datapath: 'netdev' });
    for (let i = 0; i < 2; i++) {
      rig.crash();
      rig.pass(90_000);
      rig.serves = true;
      rig.pass(2_000);
    }
    const away = 'ovsdb-server is away: it closed the connection';
    const there = 'Open vSwitch is there again';
    expect(rig.said.slice(1)).to.deep.equal([away, there, away, there]);
  });

  it('asks a silent server for an echo, and connects again without an answer', () => {
    const rig = new Rig();
    const { connects } = rig;
    rig.pass(60_000);
    expect(rig.connects).to.equal(connects);
    rig.db.receive = () => [];
    rig.pass(11_000);
    expect(rig.said).to.deep.equal(['ovsdb-server is away: the server did not answer for 5 s']);
    expect(rig.connects).to.be.above(connects);
  });

  it('makes everything again in a database that was emptied', () => {
    const rig = new Rig();
    rig.change({ op: 'delete', table: 'Open_vSwitch', where: [] }, { op: 'insert', table: 'Open_vSwitch', row: {} });
    rig.pass(100);
    expect(rig.asWanted).to.equal(true);
    expect(rig.said).to.deep.equal(['somebody emptied the database of Open vSwitch; put back']);
  });

  it('takes a controller away that somebody set, and says so too if that was before we looked', () => {
    const rig = new Rig();
    const where = [['_uuid', '==', ['uuid', rig.db.replica().named('Bridge', 'evio0')?.uuid ?? '']]];
    rig.change(
      { op: 'insert', table: 'Controller', row: { target: 'tcp:192.0.2.1:6653' }, 'uuid-name': 'c' },
      { op: 'update', table: 'Bridge', where, row: { controller: ['named-uuid', 'c'] } },
    );
    const next = new Rig(rig.db);
    expect(next.said).to.deep.equal(['somebody set controller tcp:192.0.2.1:6653 on bridge evio0; put back']);
    expect(next.db.replica().rows('Controller')).to.deep.equal([]);
  });

  it('tries again ever later while the disk is full, and says so once', () => {
    const db = new FakeOvsdb();
    db.refuses = 'I/O error: /var/lib/openvswitch/conf.db: write failed: No space left on device';
    const rig = new Rig(db);
    rig.pass(120_000);
    expect(db.transactions).to.be.within(6, 12);
    expect(rig.said).to.have.length(1);
    expect(rig.said[0]).to.match(/^the disk of Open vSwitch's database is full /);
    db.refuses = undefined;
    rig.pass(30_000);
    expect(rig.state?.inPlace).to.equal(true);
  });

  it('does not ask without end for what a server grants and does not do', () => {
    const db = new FakeOvsdb();
    db.transact = () => [];
    const rig = new Rig(db);
    rig.pass(60_000);
    expect(rig.db.transactions).to.be.within(5, 10);
  });

  it('says what ovs-vswitchd cannot use, and when that is over', () => {
    const db = new FakeOvsdb();
    db.broken.set('t2', 'could not open network device t2 (No such device)');
    const rig = new Rig(db);
    expect(rig.state?.inPlace).to.equal(false);
    expect(rig.said).to.deep.equal([
      'ovs-vswitchd cannot use interface t2: could not open network device t2 (No such device)',
    ]);
    db.broken.clear();
    db.work();
    rig.push();
    expect(rig.state?.inPlace).to.equal(true);
    expect(rig.said[1]).to.equal('Open vSwitch is as wanted again');
  });

  it('says that ovs-vswitchd does not do what it is told, and confirms when it does', () => {
    const rig = new Rig();
    rig.db.vswitchd = false;
    rig.event({ kind: 'confirm' });
    rig.pass(VSWITCHD_MS);
    const late = 'ovs-vswitchd has not done for 5 s what the database wants; does it run?';
    expect(rig.said).to.deep.equal([late]);
    expect(rig.others).to.deep.equal([{ kind: 'confirmed', error: late }]);
    rig.db.vswitchd = true;
    rig.db.work();
    rig.push();
    rig.event({ kind: 'confirm' });
    expect(rig.others[1]).to.deep.equal({ kind: 'confirmed', error: undefined });
    expect(rig.state?.inPlace).to.equal(true);
  });

  it('stays in place while others have ovs-vswitchd look at the database', () => {
    const rig = new Rig();
    rig.db.vswitchd = false;
    rig.change({ op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] });
    expect(rig.state?.inPlace).to.equal(true);
  });

  it('names what a database lacks, with its version, and goes on looking', () => {
    const db = new FakeOvsdb();
    const { receive } = FakeOvsdb.prototype;
    db.receive = (message) =>
      receive
        .call(db, message)
        .map((reply) =>
          message.method === 'get_schema'
            ? (JSON.parse(JSON.stringify(reply).replace('"mtu_request"', '"mtu"').replace('8.3.1', '7.0.0')) as Json)
            : reply,
        );
    const rig = new Rig(db);
    expect(rig.said).to.deep.equal([
      'the database of Open vSwitch is of no use: the database has schema version 7.0.0, which lacks Interface.mtu_request; install Open vSwitch 2.13 or later',
    ]);
    db.receive = receive;
    rig.pass(5_000);
    expect(rig.state?.inPlace).to.equal(true);
  });

  it('removes what is ours on request, and wants nothing any more', () => {
    const rig = new Rig();
    rig.event({ kind: 'remove', ours: WANTED });
    expect(rig.others).to.deep.equal([{ kind: 'removed' }]);
    rig.pass(60_000);
    expect(rig.db.replica().rows('Bridge')).to.deep.equal([]);
    expect(rig.said).to.deep.equal([]);
  });

  it('connects anew when a server cannot be understood, and throws at nothing that it sends', () => {
    const rig = new Rig();
    rig.bytes('HTTP/1.1 400 Bad Request');
    expect(rig.said[0]).to.include('it cannot be understood: what came is no JSON object');
    rig.pass(5_000);
    expect(rig.state?.inPlace).to.equal(true);
    const uuid = '6f64fab4-c5c0-4987-819e-6245d2a2f3ed';
    const change = fc.oneof(
      fc.jsonValue(),
      fc.record({ modify: fc.jsonValue() }),
      fc.record({ insert: fc.dictionary(fc.constantFrom('name', 'ports', 'ofport'), fc.jsonValue()) }),
    );
    const updates = fc.dictionary(fc.constantFrom('Bridge', 'Port'), fc.dictionary(fc.constantFrom(uuid, 'x'), change));
    const garbage = fc.oneof(
      fc.jsonValue(),
      fc.record({ id: fc.constant(null), method: fc.constantFrom('update', 'update2', 'x'), params: fc.jsonValue() }),
      fc.record({
        id: fc.constant(null),
        method: fc.constant('update2'),
        params: fc.tuple(fc.constant('evio'), updates),
      }),
      fc.record({ id: fc.nat(9), result: fc.jsonValue(), error: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(fc.array(garbage, { maxLength: 5 }), (messages) => {
        const one = new Rig();
        for (const message of messages) one.bytes(JSON.stringify(message));
        one.pass(10_000);
        expect(one.state?.connected).to.equal(true);
      }),
      { numRuns: 20 },
    );
  });

  it('answers the echo of a server, and leaves it alone after a stop', () => {
    const rig = new Rig();
    const sent = rig.keeper.handle(
      { kind: 'bytes', bytes: Buffer.from('{"id":"e","method":"echo","params":["x"]}') },
      rig.now,
    );
    expect(sent).to.deep.equal([{ kind: 'send', text: '{"id":"e","result":["x"],"error":null}' }]);
    rig.event({ kind: 'stop' });
    const { connects } = rig;
    rig.pass(60_000);
    expect(rig.connects).to.equal(connects);
    expect(rig.said).to.deep.equal([]);
  });
});
