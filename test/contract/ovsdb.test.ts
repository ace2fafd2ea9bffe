/** What the keeper takes for granted of Open vSwitch, asked of a real ovsdb-server and a real ovs-vswitchd. */
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect as dial, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { managementSocket, Ovsdb } from '../../agent/src/io/ovsdb.ts';
import type { OvsState } from '../../agent/src/ovsdb/keeper.ts';
import type { Wanted } from '../../agent/src/ovsdb/wanted.ts';
import {
  FLOW_MOD_DEFAULTS,
  type Message,
  PORT,
  SEND_FLOW_REMOVED,
  WHOLE_FRAME,
} from '../../agent/src/sdn/openflow/index.ts';
import { Ovs } from '../servers/ovs.ts';
import { barrier, heard, toReal } from './switch/connection.ts';

/** How soon everything has to be there again after a daemon is. */
const BACK_MS = 3_000;

function wanted(...ports: readonly string[]): Wanted {
  const numbered = ports.map((name, i) => ({ name, number: 20 + i }));
  return {
    overlay: 'overlay-1',
    bridge: 'evio0',
    datapath: 'netdev',
    mac: '02:45:0a:00:00:01',
    mtu: 1_400,
    ports: numbered,
  };
}

class Agent {
  readonly said: string[] = [];
  readonly states: OvsState[] = [];
  readonly ovsdb: Ovsdb;

  constructor(socket: string, want: Wanted | undefined) {
    this.ovsdb = new Ovsdb(
      { socket },
      { state: (state) => this.states.push(state), say: (_, text) => this.said.push(text) },
    );
    if (want !== undefined) this.ovsdb.want(want);
    this.ovsdb.start();
  }

  get state(): OvsState {
    return this.ovsdb.state;
  }

  async until(what: string, holds: (state: OvsState) => boolean, ms = 10_000): Promise<number> {
    const since = Date.now();
    while (!holds(this.state)) {
      if (Date.now() - since > ms)
        throw new Error(`not ${what} within ${ms} ms: ${JSON.stringify(this.state)} ${this.said.join(' | ')}`);
      await sleep(10);
    }
    return Date.now() - since;
  }

  inPlace(ms?: number): Promise<number> {
    return this.until('in place', (state) => state.inPlace, ms);
  }
}

/** Numbers by name, asked of the bridge itself. */
async function numbersOf(ovs: Ovs): Promise<Readonly<Record<string, number>>> {
  const until = Date.now() + BACK_MS;
  for (;;) {
    try {
      const lines = ovs.openflow('evio0').matchAll(/^ (\d+)\((\S+)\)/gm);
      return Object.fromEntries([...lines].map(([, number, name]) => [name, Number(number)]));
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(20);
    }
  }
}

describe('the keeper of a real Open vSwitch', function () {
  this.timeout(60_000);
  let ovs: Ovs;
  let agents: Agent[] = [];
  const agent = (want?: Wanted, socket = ovs.socket) => {
    const made = new Agent(socket, want);
    agents.push(made);
    return made;
  };
  const both = wanted('t1', 't2');

  before(async () => {
    ovs = await Ovs.start();
    for (const name of ['t1', 't2', 'x1']) ovs.tap(name);
  });
  afterEach(() => {
    for (const { ovsdb } of agents) ovsdb.stop();
    agents = [];
  });
  after(async () => ovs?.stop());

  it('gets bridge and ports, with their numbers, MAC and MTU', async () => {
    const a = agent(both);
    await a.inPlace();
    expect([...a.state.ports]).to.deep.equal([
      ['t1', 20],
      ['t2', 21],
    ]);
    expect(a.said).to.deep.equal([]);
    expect(await numbersOf(ovs)).to.deep.equal({ t1: 20, t2: 21 });
    expect(ovs.ip('link', 'show', 'evio0')).to.match(/mtu 1400 [\s\S]*02:45:0a:00:00:01/);
    expect(ovs.vsctl('get', 'bridge', 'evio0', 'fail_mode', 'protocols').trim()).to.equal('secure\n[OpenFlow13]');
    await a.ovsdb.confirm();
  });

  it('is adopted by another agent without a change', async () => {
    const before = ovs.vsctl('get', 'Open_vSwitch', '.', 'next_cfg');
    const size = statSync(join(ovs.disk, 'conf.db')).size;
    await agent(both).inPlace();
    await sleep(300);
    expect(ovs.vsctl('get', 'Open_vSwitch', '.', 'next_cfg')).to.equal(before);
    expect(statSync(join(ovs.disk, 'conf.db')).size).to.equal(size);
  });

  it('serves a controller at its management socket: role, packet-in, port-status, flow-removed', async () => {
    const controller = await toReal(managementSocket(ovs.runDir, 'evio0'));
    const other = await toReal(managementSocket(ovs.runDir, 'evio0'));
    try {
      const ask = {
        type: 'apply',
        actions: [{ type: 'output', port: PORT.controller, maxBytes: WHOLE_FRAME }],
      } as const;
      const flow = { table: 0, priority: 5, cookie: 9n, flags: SEND_FLOW_REMOVED, match: {}, instructions: [ask] };
      controller.send(
        { type: 'set-config', xid: 1, missSendBytes: WHOLE_FRAME },
        { type: 'role-request', xid: 2, role: 'master', generation: 7n },
        { type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 3, command: 'add' },
      );
      await barrier(controller);
      const [inPort, actions] = [PORT.controller, [{ type: 'output', port: PORT.table }] as const];
      other.send({ type: 'packet-out', xid: 4, inPort, actions, frame: Buffer.alloc(60, 1) });
      other.send({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid: 5, command: 'delete' });
      await barrier(other);
      ovs.vsctl('add-port', 'evio0', 'x1', '--', 'del-port', 't2');
      for (const type of ['role-reply', 'packet-in', 'flow-removed', 'port-status'] as const)
        await heard(controller, (message): message is Message => message.type === type);
      expect(controller.received.filter((message) => message.type === 'error')).to.deep.equal([]);
      // Who has not asked for them by its miss_send_len hears nothing.
      expect(other.received.map((message) => message.type)).to.deep.equal(['hello', 'barrier-reply']);
    } finally {
      controller.close();
      other.close();
      ovs.vsctl('--if-exists', 'del-port', 'x1');
    }
  });

  it('gets a port back that somebody deleted, and loses a controller that somebody set', async () => {
    const a = agent(both);
    await a.inPlace();
    ovs.vsctl('del-port', 't1');
    await a.until('said', () => a.said.length > 0);
    await a.inPlace();
    expect(await numbersOf(ovs)).to.deep.equal({ t1: 20, t2: 21 });
    ovs.vsctl('set-controller', 'evio0', 'tcp:127.0.0.1:9');
    await a.until('said', () => a.said.length > 1);
    await a.inPlace();
    expect(ovs.vsctl('get-controller', 'evio0')).to.equal('');
    expect(a.said).to.deep.equal([
      'somebody deleted port t1; put back',
      'somebody set controller tcp:127.0.0.1:9 on bridge evio0; put back',
    ]);
  });

  it('opens a tap anew that was made anew, which ovs-vswitchd does not by itself', async () => {
    const a = agent(both);
    await a.inPlace();
    const opened = () => ovs.log('ovs-vswitchd').match(/added interface t1 on port 20/g)?.length ?? 0;
    const before = opened();
    ovs.ip('link', 'del', 't1');
    await a.until('told', (state) => state.problems.includes('interface t1 is gone'));
    ovs.tap('t1');
    await a.inPlace();
    expect(opened()).to.equal(before + 1);
    expect(a.said).to.deep.equal(['interface t1 is gone', 'Open vSwitch is as wanted again']);
  });

  it('keeps ports of others, and those of ours go that are no longer wanted', async () => {
    const a = agent(both);
    await a.inPlace();
    ovs.vsctl('add-port', 'evio0', 'x1');
    a.ovsdb.want(wanted('t1'));
    await a.until('in place', (state) => state.inPlace && state.ports.size === 1);
    expect(Object.keys(await numbersOf(ovs))).to.have.members(['t1', 'x1']);
    a.ovsdb.want(both);
    await a.until('in place', (state) => state.inPlace && state.ports.size === 2);
    ovs.vsctl('del-port', 'x1');
    expect(a.said).to.deep.equal([]);
  });

  it('says what ovs-vswitchd says of an interface, which name another bridge has, and which number another port', async () => {
    ovs.vsctl('add-br', 'br1', '--', 'set', 'bridge', 'br1', 'datapath_type=netdev');
    ovs.vsctl('--if-exists', 'del-port', 't2', '--', 'add-port', 'br1', 't2');
    try {
      const a = agent({ ...wanted('t1', 'nosuch'), ports: [...both.ports, { name: 'nosuch', number: 30 }] });
      await a.until('told of both', (state) => state.problems.length === 2);
      expect(a.state.problems.join('\n')).to.match(/the name t2 is taken by port t2 of bridge br1; .* del-port br1 t2/);
      expect(a.state.problems.join('\n')).to.match(/cannot use interface nosuch: could not open network device nosuch/);
      expect(a.state.inPlace).to.equal(false);
      ovs.vsctl('del-br', 'br1');
      // The number of a port of somebody else is not taken away from it.
      ovs.vsctl('add-port', 'evio0', 'x1', '--', 'set', 'interface', 'x1', 'ofport_request=40');
      a.ovsdb.want({ ...both, ports: [...both.ports.slice(0, 1), { name: 't2', number: 40 }] });
      await a.until('told of the number', (state) => state.problems.length === 1 && state.ports.size === 2);
      expect(a.state.problems[0]).to.match(/^port t2 has number \d+ instead of 40, which x1 has$/);
      ovs.vsctl('del-port', 'x1');
      await a.until('free of problems', (state) => state.inPlace && state.problems.length === 0);
      expect((await numbersOf(ovs)).t2).to.equal(40);
    } finally {
      ovs.vsctl('--if-exists', 'del-port', 'x1', '--', '--if-exists', 'del-br', 'br1');
    }
  });

  it('has everything again within three seconds of a killed ovs-vswitchd, by itself', async () => {
    const a = agent(both);
    await a.inPlace();
    await ovs.killVswitchd();
    await ovs.startVswitchd();
    const since = Date.now();
    const { inPlace } = await a.ovsdb.confirm();
    expect(inPlace).to.equal(true);
    expect(await numbersOf(ovs)).to.deep.equal({ t1: 20, t2: 21 });
    expect(Date.now() - since).to.be.below(BACK_MS);
    expect(a.said).to.deep.equal([]);
  });

  it('outlives ovsdb-server: nothing of the switch changes, and one line is said', async () => {
    const a = agent(both);
    await a.inPlace();
    const touched = () => ovs.log('ovs-vswitchd').match(/(added|deleted) interface/g)?.length;
    const before = touched();
    await ovs.killServer();
    await a.until('away', (state) => !state.connected);
    await sleep(500);
    await ovs.startServer();
    expect(await a.inPlace()).to.be.below(BACK_MS);
    await a.ovsdb.confirm();
    expect(await numbersOf(ovs)).to.deep.equal({ t1: 20, t2: 21 });
    expect(touched()).to.equal(before);
    expect(a.said).to.deep.equal([
      'ovsdb-server is away: it closed the connection; until it is back ovs-vswitchd passes no frames (datapath_type netdev)',
      'Open vSwitch is as wanted again',
    ]);
  });

  it('is made again in a database that was emptied', async () => {
    const a = agent(both);
    await a.inPlace();
    await ovs.killServer();
    ovs.emptyDatabase();
    await ovs.startServer();
    await a.until('said', () => a.said.some((line) => line.startsWith('somebody')));
    expect(await a.inPlace()).to.be.below(BACK_MS);
    expect(a.said).to.include('somebody emptied the database of Open vSwitch; put back');
    expect(await numbersOf(ovs)).to.deep.equal({ t1: 20, t2: 21 });
  });

  it('goes away on request, but for what others have there', async () => {
    const a = agent(both);
    await a.inPlace();
    await a.ovsdb.remove(both);
    expect(ovs.vsctl('list-br')).to.equal('');
  });

  it('is kept through a server that knows plain monitor only', async () => {
    const path = join(ovs.directory, 'plain.sock');
    const server = await plainServer(path, ovs.socket);
    try {
      const a = agent(both, path);
      await a.inPlace();
      ovs.vsctl('del-port', 't2');
      await a.until('said', () => a.said.length > 0);
      await a.inPlace();
      expect(a.said).to.deep.equal(['somebody deleted port t2; put back']);
      await a.ovsdb.remove(both);
    } finally {
      server.close();
    }
  });
});

describe('the keeper of an Open vSwitch whose disk is full', function () {
  this.timeout(60_000);
  let ovs: Ovs;
  before(async () => {
    ovs = await Ovs.start({ diskBytes: 128 * 1024, offload: false });
    ovs.tap('t1');
  });
  after(async () => ovs?.stop());

  it('says so in one line, and goes on when there is room', async () => {
    const ballast = join(ovs.disk, 'ballast');
    const a = new Agent(ovs.socket, undefined);
    try {
      fill(ballast);
      a.ovsdb.want(wanted('t1'));
      await a.until('refused', (state) => state.problems.some((problem) => problem.includes('is full')));
      const lines = a.said.filter((line) => line.includes('is full'));
      expect(lines.join('\n')).to.match(
        /^the disk of Open vSwitch's database is full \(.*No space left.*\); make room, it is tried again$/,
      );
      rmSync(ballast);
      await a.inPlace();
      expect(a.said.filter((line) => line.includes('is full'))).to.have.length(1);
      expect(a.said.join('\n')).to.include(
        'userspace-tso-enable of Open vSwitch was not set and is now: restart ovs-vswitchd',
      );
    } finally {
      a.ovsdb.stop();
    }
  });
});

/** To the last byte. */
function fill(path: string): void {
  for (let bytes = 64 * 1024; bytes > 0; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

/** Passes everything on, but answers "monitor_cond" as a server of RFC 7047 alone does. */
async function plainServer(path: string, real: string): Promise<Server> {
  const server = createServer((client) => {
    const upstream = dial(real);
    client.on('data', (data) => {
      const text = data.toString();
      const id = /^\{"id":(\d+),"method":"monitor_cond"/.exec(text)?.[1];
      if (id === undefined) upstream.write(text);
      else client.write(JSON.stringify({ id: Number(id), result: null, error: 'unknown method' }));
    });
    upstream.on('data', (data) => client.write(data));
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}
