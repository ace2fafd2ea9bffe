/** Meters, timeouts and flow-removed of tincan's switch and of a real Open vSwitch, which must agree (OpenFlow 1.3.5 §5.5, §5.7, §7.4.2). */
import { execFile, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Message, PORT, WHOLE_FRAME } from '../../agent/src/sdn/openflow/index.ts';
import { barrier, type Connection, toReal } from './switch/connection.ts';
import { ALPHA } from './switch/overlay.ts';
import { RealTincan } from './switch/real.ts';
import { RealOvs } from './switch/real-ovs.ts';

const run = promisify(execFile);
const RATE = 200;
const SECONDS = 3;
const FRAME = Buffer.concat([Buffer.from('0245000000090245000000018888', 'hex'), Buffer.alloc(50)]);

interface SwitchUnderTest {
  readonly path: string;
  stop(): Promise<void>;
}

const KINDS: readonly { readonly name: string; readonly start: () => Promise<SwitchUnderTest> }[] = [
  {
    name: 'Open vSwitch',
    start: async () => {
      const ovs = await RealOvs.start(ALPHA.mac);
      return { path: ovs.switchPath, stop: () => ovs.stop() };
    },
  },
  {
    name: 'tincan',
    start: async () => {
      const tincan = await RealTincan.start();
      return { path: tincan.switchPath, stop: () => tincan.stop() };
    },
  },
];

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Removed = Message & { readonly type: 'flow-removed' };
const removed = (connection: Connection): readonly Removed[] =>
  connection.received.filter((message): message is Removed => message.type === 'flow-removed');

for (const { name, start } of KINDS) {
  describe(`time in ${name}`, function () {
    this.timeout(60_000);
    let sw: SwitchUnderTest;
    let connection: Connection;

    const ofctl = (...args: string[]) => {
      const [command = '', ...rest] = args;
      return run('ovs-ofctl', ['-O', 'OpenFlow13', command, `unix:${sw.path}`, ...rest]);
    };
    const through = (count: number): readonly Message[] =>
      Array.from({ length: count }, () => ({
        type: 'packet-out',
        xid: 9,
        inPort: PORT.controller,
        actions: [{ type: 'output', port: PORT.table }],
        frame: FRAME,
      }));

    before(async () => {
      sw = await start();
      connection = await toReal(sw.path);
      connection.send({ type: 'set-config', xid: 1, missSendBytes: WHOLE_FRAME });
      await barrier(connection);
    });
    after(async () => {
      connection?.close();
      await sw?.stop();
    });
    afterEach(() => ofctl('del-flows'));

    it(`lets ${RATE} packets a second pass a meter of that rate, give or take a tenth`, async () => {
      await ofctl('add-meter', `meter=1,pktps,burst,band=type=drop,rate=${RATE},burst_size=${RATE / 4}`);
      await ofctl('add-flow', 'table=0,priority=9,actions=meter:1,controller:128');
      const before = connection.received.length;
      const started = performance.now();
      // Five times as many as may pass, evenly; what is late by the machine's doing is within the burst.
      for (let tick = 0; performance.now() - started < SECONDS * 1_000; tick++) {
        connection.send(...through(RATE / 40));
        await sleep(Math.max(0, started + (tick + 1) * 5 - performance.now()));
      }
      await barrier(connection);
      await sleep(200);
      const passed = connection.received.slice(before).filter(({ type }) => type === 'packet-in').length;
      expect(passed).to.be.within(RATE * SECONDS * 0.9, RATE * SECONDS * 1.1 + RATE / 4);
      await ofctl('del-flows');
      await ofctl('del-meters');
    });

    it('shows to `ovs-ofctl monitor` what it asks a controller, and which flow was deleted', async () => {
      const monitor = spawn('ovs-ofctl', ['-O', 'OpenFlow13', 'monitor', `unix:${sw.path}`, '65534'], {
        stdio: ['ignore', 'pipe', 'pipe'],
        // It makes a control socket there.
        env: { ...process.env, OVS_RUNDIR: dirname(sw.path) },
      });
      let shown = '';
      for (const stream of [monitor.stdout, monitor.stderr]) {
        stream.on('data', (data: Buffer) => {
          shown += data.toString();
        });
      }
      try {
        await ofctl('add-flow', 'table=0,priority=9,cookie=0x95,send_flow_rem,actions=controller:128');
        const end = performance.now() + 8_000;
        // It may still be on its way in. With Open vSwitch it asks for that one's own kind of packet-in.
        while (!shown.includes('PACKET_IN') && performance.now() < end) {
          connection.send(...through(1));
          await sleep(100);
        }
        await ofctl('del-flows');
        while (!shown.includes('OFPT_FLOW_REMOVED') && performance.now() < end) await sleep(50);
      } finally {
        monitor.kill();
      }
      expect(shown)
        .to.match(/(OFPT_PACKET_IN|NXT_PACKET_IN2).*cookie=0x95/)
        .and.to.match(/OFPT_FLOW_REMOVED.*cookie:0x95/);
    });

    it('removes a flow when its time is up, used or not, and says why', async () => {
      await ofctl('add-flow', 'table=0,priority=9,cookie=0x91,hard_timeout=2,send_flow_rem,actions=drop');
      const started = performance.now();
      const before = removed(connection).length;
      while (removed(connection).length === before && performance.now() - started < 6_000) {
        connection.send(...through(1));
        await sleep(50);
      }
      const took = (performance.now() - started) / 1_000;
      const [said] = removed(connection).slice(before);
      expect([said?.cookie, said?.reason]).to.deep.equal([0x91n, 'hard-timeout']);
      expect(took).to.be.within(1, 3);
    });

    it('removes a flow that nothing met for its idle time, and counts what met it before', async () => {
      await ofctl('add-flow', 'table=0,priority=9,cookie=0x92,idle_timeout=2,send_flow_rem,actions=drop');
      const before = removed(connection).length;
      for (let i = 0; i < 30; i++) {
        connection.send(...through(1));
        await sleep(50);
      }
      await barrier(connection);
      expect(removed(connection).length).to.equal(before);
      const last = performance.now();
      while (removed(connection).length === before && performance.now() - last < 6_000) await sleep(20);
      const took = (performance.now() - last) / 1_000;
      const [said] = removed(connection).slice(before);
      expect([said?.cookie, said?.reason]).to.deep.equal([0x92n, 'idle-timeout']);
      expect(took).to.be.within(1, 3);
      expect(said?.packets).to.equal(30n);
    });

    it('says that a flow was deleted, to whom asked for it only', async () => {
      const before = removed(connection).length;
      await ofctl('add-flow', 'table=0,priority=9,cookie=0x93,send_flow_rem,actions=drop');
      await ofctl('add-flow', 'table=0,priority=8,cookie=0x94,actions=drop');
      await ofctl('del-flows');
      await barrier(connection);
      await sleep(100);
      const said = removed(connection).slice(before);
      expect(said.map(({ cookie, reason }) => [cookie, reason])).to.deep.equal([[0x93n, 'delete']]);
    });
  });
}
