/** The tables of the edge in a real Open vSwitch: they are taken and given back as they are, and forward as the fake switch says. */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { messageOf } from '../../agent/src/sdn/edit.ts';
import { flowText, groupText, type OvsState, ovsProgram } from '../../agent/src/sdn/index.ts';
import { type Message, PORT } from '../../agent/src/sdn/openflow/index.ts';
import { FakeSwitch } from '../sim/fake-switch.ts';
import { fieldsOf } from '../sim/frame.ts';
import { barrier, type Connection, dump, dumpGroups, portStats, toReal } from './switch/connection.ts';
import { Driver } from './switch/driver.ts';
import { ALPHA, BETA, DELTA, GAMMA, ovsStateOf, POD_MAC } from './switch/overlay.ts';
import { ovsPipelinePage } from './switch/ovs-page.ts';
import { RealOvs } from './switch/real-ovs.ts';

const PAGE = fileURLToPath(new URL('../../docs/pipeline-ovs.md', import.meta.url));

const hex = (text: string) => Buffer.from(text.replaceAll(/[\s:]/g, ''), 'hex');
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const FOREIGN = '52:54:00:00:00:01';
/** Frames are padded as on a wire. */
const padded = (frame: Buffer) => Buffer.concat([frame, Buffer.alloc(Math.max(0, 60 - frame.length))]);
const plain = (dst: string, src: string) => padded(hex(`${dst} ${src} 88b5 00`));
const arp = (src: string, spa: string, tpa: string) =>
  padded(hex(`${BROADCAST} ${src} 0806 0001 0800 06 04 0001 ${src} ${spa} 000000000000 ${tpa}`));
const solicitation = (src: string, target: string) =>
  hex(`33:33:ff:00:00:04 ${src} 86dd 60000000 0020 3a ff fd990000000000000000000000000001
       ff0200000000000000000001ff000004 8700 0000 00000000 ${target} 0101 ${src}`);

const FRAMES: Readonly<Record<string, Buffer>> = {
  'a frame for a neighbour': plain(BETA.mac, ALPHA.mac),
  'a frame for the other neighbour': plain(GAMMA.mac, ALPHA.mac),
  'a frame for a pod of a further member': plain('02:46:0a:64:04:09', ALPHA.mac),
  'a frame for this node': plain(ALPHA.mac, FOREIGN),
  'a frame for a pod of this node': plain(POD_MAC, FOREIGN),
  'a frame for a pod nobody knows the port of': plain('02:46:0a:64:01:06', FOREIGN),
  'a frame for a foreign MAC': plain(FOREIGN, ALPHA.mac),
  'a broadcast': plain(BROADCAST, ALPHA.mac),
  multicast: plain('33:33:00:00:00:fb', POD_MAC),
  'a spanning-tree frame': plain('01:80:c2:00:00:00', ALPHA.mac),
  'a frame in another member’s name': plain(BETA.mac, DELTA.mac),
  'ARP for a member': arp(ALPHA.mac, '0a630001', '0a630002'),
  'ARP for a foreign host': arp(ALPHA.mac, '0a630001', '0a6300fe'),
  'ARP for this node': arp(POD_MAC, '0a640105', '0a630001'),
  'gratuitous ARP': arp(ALPHA.mac, '0a630001', '0a630001'),
  'a neighbor solicitation for a member': solicitation(ALPHA.mac, 'fd990000000000000000000000000004'),
  'a neighbor solicitation for this node': solicitation(POD_MAC, 'fd990000000000000000000000000001'),
};

describe('the tables of Open vSwitch', function () {
  this.timeout(120_000);
  let ovs: RealOvs;
  let state: OvsState;
  const names = new Map<number, string>([
    [PORT.local, 'LOCAL'],
    [PORT.controller, 'controller'],
  ]);
  let driver: Driver<OvsState>;
  let connection: Connection;
  const number = (name: string) => [...names].find(([, n]) => n === name)?.[0] ?? expect.fail(name);

  before(async () => {
    ovs = await RealOvs.start(ALPHA.mac);
    const port = async (name: string) => {
      const made = await ovs.addPort(name);
      names.set(made, name);
      return made;
    };
    const [beta, gamma] = [await port('beta'), await port('gamma')];
    state = ovsStateOf({ beta, gamma, pod: await port('pod'), host: await port('host') });
  });
  after(async () => {
    await ovs?.stop();
  });
  beforeEach(async () => {
    driver = new Driver(await toReal(ovs.switchPath, false), ovsProgram);
    await driver.reach(state);
    connection = await toReal(ovs.switchPath);
  });
  afterEach(() => {
    driver.stop();
    connection.close();
  });

  const texts = async () => [
    ...(await dump(connection)).map((flow) => flowText(flow)).sort(),
    ...(await dumpGroups(connection)).map(groupText).sort(),
  ];
  const wanted = (of: OvsState) => {
    const { flows, groups } = ovsProgram.wanted(of);
    return [...flows.map(flowText).sort(), ...groups.map(groupText).sort()];
  };

  /** How many frames left by each port since the last time. */
  const counter = async () => {
    let before = await sent(connection, names);
    return async () => {
      const now = await sent(connection, names);
      const more = [...now].flatMap(([name, n]) =>
        n > (before.get(name) ?? 0) ? [[name, n - (before.get(name) ?? 0)] as const] : [],
      );
      before = now;
      return Object.fromEntries(more);
    };
  };
  const through = async (inPort: number, frame: Buffer) => {
    const actions = [{ type: 'output', port: PORT.table }] as const;
    connection.send({ type: 'packet-out', xid: 9, inPort, actions, frame });
    await barrier(connection);
  };

  it('are taken without an error and given back as they were given', async () => {
    expect(await texts()).to.deep.equal(wanted(state));
    expect(driver.controller.counters.errors).to.equal(0);
    expect(driver.logs).to.deep.equal([]);
  });

  it('are those of docs/pipeline-ovs.md', async () => {
    const page = await ovsPipelinePage(ovs);
    if (process.env.EVIO_UPDATE === '1') writeFileSync(PAGE, page);
    expect(readFileSync(PAGE, 'utf8')).to.equal(page);
  });

  it('are left alone by the controller of the next connection', async () => {
    driver.stop();
    driver = new Driver(await toReal(ovs.switchPath, false), ovsProgram);
    await driver.reach(state);
    expect(driver.changes).to.equal(0);
  });

  it('follow the state there and back, with groups and all', async () => {
    const fewer = { ...state, taps: new Map([[GAMMA.label, number('gamma')]]), leaves: state.leaves.slice(0, 1) };
    for (const next of [fewer, state]) {
      await driver.reach(next);
      expect(await texts()).to.deep.equal(wanted(next));
    }
    expect(driver.controller.counters.errors).to.equal(0);
  });

  it('are put back when somebody deletes every group, and the flows with them', async () => {
    await ovs.ofctl('del-groups');
    const mended = async () => JSON.stringify(await texts()) === JSON.stringify(wanted(state));
    await driver.until(mended, 'the groups are not put back');
    expect(driver.logs.join('\n')).to.match(/^somebody deleted \d+ flows and deleted 3 groups; put back/);
    expect(driver.controller.counters.errors).to.equal(0);
  });

  it('take flows and groups of others, with words this agent does not have, as they are', async () => {
    await ovs.ofctl('add-group', 'group_id=7,type=select,bucket=weight:9,actions=push_vlan:0x8100,output:1');
    await ovs.ofctl('add-flow', 'table=9,priority=5,tcp,tcp_flags=+syn,actions=dec_ttl,learn(table=8),group:7');
    driver.stop();
    driver = new Driver(await toReal(ovs.switchPath, false), ovsProgram);
    await driver.reach(state);
    expect([driver.changes, driver.logs]).to.deep.equal([0, []]);
    await ovs.ofctl('del-groups', 'group_id=7');
  });

  for (const [what, frame] of Object.entries(FRAMES)) {
    it(`send ${what} where the fake switch does, whatever port it comes by and whatever carrier is down`, async () => {
      for (const down of [undefined, 'beta', 'gamma']) {
        const fake = fakeWith(state);
        if (down !== undefined) {
          fake.down.add(number(down));
          await setCarrier(ovs, down, false);
        }
        for (const port of [...names.keys()].filter((port) => port !== PORT.controller)) {
          const outputs = fake.outputs({ in_port: BigInt(port), ...fieldsOf(frame) });
          const expected = outputs.map((output) => names.get(output.port) ?? String(output.port));
          const where = `by ${names.get(port)}, ${down ?? 'nothing'} down`;
          expect([...(await ovs.trace(port, frame))].sort(), where).to.deep.equal(expected.sort());
          const tap = port === number('beta') || port === number('gamma');
          if (tap) expect(expected, where).not.to.include.oneOf(['beta', 'gamma', 'controller']);
        }
        if (down !== undefined) await setCarrier(ovs, down, true);
      }
    });
  }

  it('send real frames by the first tap, and by the next one when its carrier is down, with no controller there', async () => {
    driver.stop();
    const frame = FRAMES['a frame for a neighbour'] ?? expect.fail();
    const broadcast = FRAMES['a broadcast'] ?? expect.fail();
    const count = await counter();
    await through(PORT.local, frame);
    expect(await count()).to.deep.equal({ beta: 1 });
    await setCarrier(ovs, 'beta', false);
    await count();
    for (let i = 0; i < 10; i++) await through(PORT.local, frame);
    expect(await count()).to.deep.equal({ gamma: 10 });
    await through(PORT.local, broadcast);
    expect(await count()).to.deep.equal({ gamma: 1, pod: 1, host: 1 });
    await setCarrier(ovs, 'beta', true);
    await count();
    await through(PORT.local, frame);
    expect(await count()).to.deep.equal({ beta: 1 });
  });

  it('give a broadcast from a leaf port to one tap once, and one from a tap to no tap', async () => {
    const broadcast = FRAMES['a broadcast'] ?? expect.fail();
    const count = await counter();
    await through(number('host'), broadcast);
    expect(await count()).to.deep.equal({ LOCAL: 1, pod: 1, beta: 1 });
    await through(number('gamma'), broadcast);
    expect(await count()).to.deep.equal({ LOCAL: 1, pod: 1, host: 1 });
  });

  it('let the agent answer ARP of the kernel behind LOCAL, whose frames then leave by the right tap', async () => {
    await ovs.address('10.99.0.1/16');
    const count = await counter();
    // Nobody answers the ping itself.
    await ovs.inside('ping', '-c', '1', '-W', '1', '10.99.0.4').catch(() => {});
    expect(await ovs.ip('neigh', 'show', '10.99.0.4')).to.include(`lladdr ${DELTA.mac}`);
    expect(driver.controller.counters.answered).to.equal(1);
    // The kernel got the answer, and the echo request went over gamma; nobody else heard of any of it.
    expect(await count()).to.deep.equal({ LOCAL: 1, gamma: 1 });
  });

  it('let the agent answer ARP of a pod by its port', async () => {
    const count = await counter();
    await through(number('pod'), arp(POD_MAC, '0a640105', '0a630003'));
    await driver.until(() => driver.controller.counters.answered === 1, 'nobody answers');
    await driver.until(async () => (await count()).pod === 1, 'the answer does not come');
  });
});

function fakeWith(state: OvsState): FakeSwitch {
  const fake = new FakeSwitch(ALPHA.label);
  const { flows, groups } = ovsProgram.wanted(state);
  const messages: readonly Message[] = [
    ...groups.map((group) => messageOf({ command: 'add', group }, 1)),
    ...flows.map((flow) => messageOf({ command: 'add', flow }, 1)),
  ];
  for (const message of messages) expect(fake.handle(message)).to.deep.equal([]);
  return fake;
}

async function sent(connection: Connection, names: ReadonlyMap<number, string>): Promise<ReadonlyMap<string, number>> {
  const stats = await portStats(connection);
  return new Map(stats.map((port) => [names.get(port.port) ?? String(port.port), Number(port.txPackets)]));
}

/** Until the switch has seen it. */
async function setCarrier(ovs: RealOvs, name: string, up: boolean): Promise<void> {
  await ovs.carrier(name, up);
  const end = Date.now() + 10_000;
  for (;;) {
    const port = (await ovs.ofctl('show')).split(/^ (?=\S+\()/m).find((text) => text.includes(`(${name})`)) ?? '';
    if (port.includes('LINK_DOWN') !== up) return;
    if (Date.now() > end) throw new Error(`the carrier of ${name} is not seen:\n${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
