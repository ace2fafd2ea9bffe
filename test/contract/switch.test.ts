/** What the agent takes for granted of a switch, asked of the simulator's fake and of a real tincan alike. */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { desiredFlows, type Flow, flowText, tincanProgram } from '../../agent/src/sdn/index.ts';
import { FLOW_MOD_DEFAULTS, type Message, PORT } from '../../agent/src/sdn/openflow/index.ts';
import { FakeSwitch } from '../sim/fake-switch.ts';
import { barrier, type Connection, dump, heard, toFake, toReal } from './switch/connection.ts';
import { Driver } from './switch/driver.ts';
import { ALPHA, BETA, DELTA, POD_MAC, stateOf } from './switch/overlay.ts';
import { pipelinePage } from './switch/page.ts';
import { RealTincan } from './switch/real.ts';

const PAGE = fileURLToPath(new URL('../../docs/pipeline.md', import.meta.url));

interface SwitchUnderTest {
  readonly ports: { readonly beta: number; readonly gamma: number };
  connect(hello?: boolean): Promise<Connection>;
  stop(): Promise<void>;
}

const KINDS: readonly { readonly name: string; readonly start: () => Promise<SwitchUnderTest> }[] = [
  {
    name: 'the fake switch',
    start: async () => {
      const sw = new FakeSwitch(ALPHA.label);
      return { ports: { beta: 16, gamma: 17 }, connect: async () => toFake(sw), stop: async () => {} };
    },
  },
  {
    name: 'tincan',
    start: async () => {
      const tincan = await RealTincan.start();
      return { ports: tincan.ports, connect: (hello) => toReal(tincan.switchPath, hello), stop: () => tincan.stop() };
    },
  },
];

const hex = (text: string) => Buffer.from(text.replaceAll(/[\s:]/g, ''), 'hex');
const label = (name: string, frame: Buffer) => ({ name, frame });
const ARP = '0806 0001 0800 06 04 0001';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const FRAMES = [
  label('ARP for a member', hex(`${BROADCAST} ${ALPHA.mac} ${ARP} ${ALPHA.mac} 0a630001 000000000000 0a630002`)),
  label('ARP for a foreign host', hex(`${BROADCAST} ${ALPHA.mac} ${ARP} ${ALPHA.mac} 0a630001 000000000000 0a6300fe`)),
  label('gratuitous ARP', hex(`${BROADCAST} ${ALPHA.mac} ${ARP} ${ALPHA.mac} 0a630001 000000000000 0a630001`)),
  label(
    'neighbor solicitation for a member',
    hex(`33:33:ff:00:00:04 ${ALPHA.mac} 86dd 60000000 0020 3a ff fd990000000000000000000000000001
         ff0200000000000000000001ff000004 8700 0000 00000000 fd990000000000000000000000000004 0101 ${ALPHA.mac}`),
  ),
  label('a frame for a neighbour', hex(`${BETA.mac} ${ALPHA.mac} 88b5 00`)),
  label('a frame for a pod of a further member', hex(`02:46:0a:64:04:09 ${ALPHA.mac} 88b5 00`)),
  label(
    'a packet the kernel routes for a pod',
    hex(`${BETA.mac} ${ALPHA.mac} 0800 45000014 00000000 40110000 0a640105 0a640206`),
  ),
  label(
    'ARP of a pod on the bridge for a pod of another member',
    hex(`${BROADCAST} ${POD_MAC} ${ARP} ${POD_MAC} 0a640105 000000000000 0a640206`),
  ),
  label('a frame for a foreign MAC', hex(`52:54:00:00:00:01 ${ALPHA.mac} 88b5 00`)),
  label('multicast', hex(`33:33:00:00:00:fb ${ALPHA.mac} 88b5 00`)),
  label('a frame in another member’s name', hex(`${BETA.mac} ${DELTA.mac} 88b5 00`)),
  label('a spanning-tree frame', hex(`01:80:c2:00:00:00 ${ALPHA.mac} 88b5 00`)),
];

function add(flow: Flow, xid = 1): Message {
  return { type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...flow, xid, command: 'add' };
}

/** Frames are padded as on a wire. */
function through(frame: Buffer): Message {
  const padded = Buffer.concat([frame, Buffer.alloc(Math.max(0, 60 - frame.length))]);
  return { type: 'packet-out', xid: 9, inPort: 1, actions: [{ type: 'output', port: PORT.table }], frame: padded };
}

/** Which flows each frame met, and whether the controller saw it. */
const met = new Map<string, Outcome>();

interface Outcome {
  readonly flows: readonly string[];
  readonly asked: readonly object[];
}

for (const { name, start } of KINDS) {
  describe(`${name} as a switch`, function () {
    this.timeout(60_000);
    let sw: SwitchUnderTest;
    let connection: Connection;

    before(async () => {
      sw = await start();
    });
    after(async () => {
      await sw?.stop();
    });
    beforeEach(async () => {
      connection = await sw.connect();
    });
    afterEach(async () => {
      for (const flow of await dump(connection)) {
        const { table, priority, match } = flow;
        const what = { table, priority, match, instructions: [], xid: 2 };
        connection.send({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...what, command: 'delete-strict' });
      }
      await barrier(connection);
      connection.close();
    });

    const texts = async () => (await dump(connection)).map((flow) => flowText(flow)).sort();
    const desired = () => desiredFlows(stateOf(sw.ports));

    it('has the node’s label as its datapath id', async () => {
      connection.send({ type: 'features-request', xid: 5 });
      const reply = await heard(
        connection,
        (m): m is Message & { type: 'features-reply' } => m.type === 'features-reply',
      );
      expect(reply.datapathId).to.equal(ALPHA.label);
    });

    it('answers an echo with what was in it, and gives the master role', async () => {
      connection.send({ type: 'echo-request', xid: 6, data: Buffer.from('evio') });
      const echo = await heard(connection, (m): m is Message & { type: 'echo-reply' } => m.type === 'echo-reply');
      expect(echo.data.toString()).to.equal('evio');
      connection.send({ type: 'role-request', xid: 7, role: 'master', generation: BigInt(Date.now()) });
      const role = await heard(connection, (m): m is Message & { type: 'role-reply' } => m.type === 'role-reply');
      expect(role.role).to.equal('master');
    });

    it('has no flows of its own, and gives every flow back as it was given', async () => {
      expect(await texts()).to.deep.equal([]);
      connection.send(...desired().map((flow) => add(flow)));
      await barrier(connection);
      expect(await texts()).to.deep.equal(desired().map(flowText).sort());
    });

    it('replaces a flow of the same match and priority, and deletes exactly the one it is told to', async () => {
      const [first, second] = desired().filter((flow) => flow.table === 4);
      if (first === undefined || second === undefined) throw new Error('two core flows are needed');
      const elsewhere: Flow = { ...first, instructions: second.instructions };
      connection.send(add(first), add(second), add(elsewhere));
      await barrier(connection);
      expect(await texts()).to.deep.equal([flowText(elsewhere), flowText(second)].sort());
      connection.send({ type: 'flow-mod', ...FLOW_MOD_DEFAULTS, ...second, xid: 3, command: 'delete-strict' });
      await barrier(connection);
      expect(await texts()).to.deep.equal([flowText(elsewhere)]);
    });

    it('is filled by the controller once, and left alone by the next one', async () => {
      for (const expected of [desired().length, 0]) {
        const driver = new Driver(await sw.connect(false), tincanProgram);
        await driver.reach(stateOf(sw.ports));
        driver.stop();
        expect(driver.changes).to.equal(expected);
        expect(driver.controller.counters.errors).to.equal(0);
        expect(await texts()).to.deep.equal(desired().map(flowText).sort());
      }
    });

    const outcomeOf = async (frame: Buffer) => {
      const before = connection.received.length;
      // Adding a flow again sets its counters back.
      connection.send(...desired().map((flow) => add(flow)));
      await barrier(connection);
      connection.send(through(frame));
      await barrier(connection);
      const counted = (await dump(connection)).filter((flow) => flow.packets > 0n);
      const asked = connection.received.slice(before).filter((m) => m.type === 'packet-in');
      return {
        flows: counted.map((flow) => flowText(flow)).sort(),
        asked: asked.map((m) => ({ table: m.table, inPort: m.match.in_port?.value, frame: m.frame.toString('hex') })),
      };
    };

    for (const { name: what, frame } of FRAMES) {
      it(`takes ${what} through its tables like the other one`, async () => {
        const outcome = await outcomeOf(frame);
        expect(outcome.flows).not.to.have.length(0);
        const others = met.get(what);
        if (others === undefined) {
          met.set(what, outcome);
          return;
        }
        expect(outcome).to.deep.equal(others);
      });
    }
  });
}

describe('docs/pipeline.md', function () {
  this.timeout(60_000);

  it('shows the tables of a real tincan as they are', async () => {
    const tincan = await RealTincan.start();
    try {
      const connection = await toReal(tincan.switchPath);
      connection.send(...desiredFlows(stateOf(tincan.ports)).map((flow) => add(flow)));
      await barrier(connection);
      const page = await pipelinePage(tincan.switchPath);
      connection.close();
      if (process.env.EVIO_UPDATE === '1') writeFileSync(PAGE, page);
      expect(readFileSync(PAGE, 'utf8')).to.equal(page);
    } finally {
      await tincan.stop();
    }
  });
});
