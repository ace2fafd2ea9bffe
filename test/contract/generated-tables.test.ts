/**
 * Generated tables in tincan and in a real Open vSwitch: each frame must ask the controller by the same flows, with the same tunnel
 * ids and in the same order as in the simulator's switch, and as many must leave by the port that is up. `EVIO_GENERATED=full` asks
 * 200 tables 10,000 frames each, `EVIO_GENERATED=SEED` the one table that failed.
 */

import { expect } from 'chai';
import { messageOf } from '../../agent/src/sdn/edit.ts';
import { flowText, groupText } from '../../agent/src/sdn/index.ts';
import {
  ALL_FLOWS,
  ALL_GROUPS,
  FLOW_MOD_DEFAULTS,
  type Message,
  PORT,
  WHOLE_FRAME,
} from '../../agent/src/sdn/openflow/index.ts';
import { FakeSwitch } from '../sim/fake-switch.ts';
import { barrier, type Connection, portStats, toReal } from './switch/connection.ts';
import { DOWN, type Generated, type GeneratedFrame, generate, UP } from './switch/generated.ts';
import { ALPHA } from './switch/overlay.ts';
import { RealTincan } from './switch/real.ts';
import { RealOvs } from './switch/real-ovs.ts';

const ASKED = process.env.EVIO_GENERATED ?? '';
const FULL = ASKED === 'full';
const SEEDS = /^\d+$/.test(ASKED) ? [Number(ASKED)] : Array.from({ length: FULL ? 200 : 8 }, (_, i) => i + 1);
const FRAMES = ASKED === '' ? 500 : 10_000;
/** Open vSwitch drops packet-ins when a hundred of them wait for one controller. */
const PACKET_INS_AT_ONCE = 80;
/** Nothing came for so long: nothing more will, even on a machine that has much else to do. */
const WAIT_MS = 30_000;

interface SwitchUnderTest {
  readonly path: string;
  stop(): Promise<void>;
}

const KINDS: readonly { readonly name: string; readonly start: () => Promise<SwitchUnderTest> }[] = [
  {
    name: 'Open vSwitch',
    start: async () => {
      const ovs = await RealOvs.start(ALPHA.mac);
      for (const port of [UP, ...DOWN]) await ovs.addPort(`port${port}`, port);
      for (const port of DOWN) await ovs.carrier(`port${port}`, false);
      return { path: ovs.switchPath, stop: () => ovs.stop() };
    },
  },
  {
    name: 'tincan',
    start: async () => {
      const tincan = await RealTincan.start();
      expect(Object.values(tincan.ports)).to.deep.equal(DOWN);
      return { path: tincan.switchPath, stop: () => tincan.stop() };
    },
  },
];

for (const { name, start } of KINDS) {
  describe(`generated tables in ${name}`, function () {
    this.timeout(FULL ? 1_200_000 : 120_000);
    let sw: SwitchUnderTest;

    before(async () => {
      sw = await start();
    });
    after(async () => {
      await sw?.stop();
    });

    for (const seed of SEEDS) {
      it(`send ${FRAMES} frames where those of the fake switch do (seed ${seed})`, async () => {
        const generated = generate(seed, FRAMES);
        const fake = filled(generated);
        const expected = generated.frames.map((frame) => outcome(fake, frame));
        const connection = await toReal(sw.path);
        try {
          await fill(connection, generated);
          const before = await leftBy(connection);
          const actual = await sendAll(connection, generated, expected);
          for (const [i, { asked }] of expected.entries()) {
            if (same(actual[i] ?? [], asked)) continue;
            const { bytes, fields } = generated.frames[i] ?? expect.fail();
            const words = [
              `frame ${i} by port ${fields.in_port}, tunnel ${fields.tunnel_id}: ${bytes.toString('hex')}`,
            ];
            const silent = actual.slice(i).every((asked) => asked.length === 0);
            if (silent) words.push('(nothing came for any frame after it either)');
            words.push(...generated.groups.map(groupText), ...generated.flows.map(flowText));
            expect(actual[i], words.join('\n')).to.deep.equal(asked);
          }
          expect((await leftBy(connection)) - before).to.equal(expected.reduce((sum, { left }) => sum + left, 0));
        } finally {
          connection.close();
        }
      });
    }
  });
}

interface Outcome {
  /** Table, cookie and tunnel id of each packet-in. */
  readonly asked: readonly string[];
  /** Copies that left by the port that is up. */
  readonly left: number;
}

function outcome(fake: FakeSwitch, { fields }: GeneratedFrame): Outcome {
  const outputs = fake.outputs(fields);
  const asked = outputs.filter(({ port }) => port === PORT.controller);
  return {
    asked: asked.map(({ table, cookie, tunnelId }) => `${table}/${cookie}/${tunnelId ?? 0n}`),
    left: outputs.filter(({ port }) => port === UP).length,
  };
}

function messagesFor({ flows, groups }: Generated): readonly Message[] {
  return [
    ...groups.map((group) => messageOf({ command: 'add', group }, 1)),
    ...flows.map((flow) => messageOf({ command: 'add', flow }, 1)),
  ];
}

function filled(generated: Generated): FakeSwitch {
  const fake = new FakeSwitch(1n);
  for (const port of DOWN) fake.down.add(port);
  for (const message of messagesFor(generated)) expect(fake.handle(message)).to.deep.equal([]);
  return fake;
}

async function fill(connection: Connection, generated: Generated): Promise<void> {
  const { table, match } = ALL_FLOWS;
  connection.send(
    // Open vSwitch tells a controller without one of these nothing.
    { type: 'set-config', xid: 1, missSendBytes: WHOLE_FRAME },
    { type: 'flow-mod', ...FLOW_MOD_DEFAULTS, xid: 1, command: 'delete', table, priority: 0, match, instructions: [] },
    { type: 'group-mod', xid: 1, command: 'delete', groupType: 'all', group: ALL_GROUPS, buckets: [] },
    ...messagesFor(generated),
  );
  await barrier(connection);
  expect(connection.received.filter((m) => m.type === 'error')).to.deep.equal([]);
}

/** What came for each frame: as many frames at a time as no switch drops packet-ins of. */
async function sendAll(
  connection: Connection,
  { frames }: Generated,
  expected: readonly Outcome[],
): Promise<readonly (readonly string[])[]> {
  const came: string[][] = frames.map(() => []);
  let read = connection.received.length;
  const take = () => {
    let count = 0;
    for (; read < connection.received.length; read++) {
      const message = connection.received[read];
      if (message?.type !== 'packet-in') continue;
      count++;
      const tunnel = message.match.tunnel_id?.value ?? 0n;
      const number = message.frame.readUInt32BE(message.frame.length - 4);
      came[number]?.push(`${message.table}/${message.cookie}/${tunnel}`);
    }
    return count;
  };
  for (let next = 0; next < frames.length; ) {
    let due = 0;
    const batch: Message[] = [];
    for (; next < frames.length && batch.length < 1_000; next++) {
      const more = expected[next]?.asked.length ?? 0;
      if (due > 0 && due + more > PACKET_INS_AT_ONCE) break;
      due += more;
      batch.push(packetOut(frames[next] ?? expect.fail()));
    }
    connection.send(...batch);
    for (let heardAt = Date.now(); due > 0 && Date.now() < heardAt + WAIT_MS; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const count = take();
      due -= count;
      if (count > 0) heardAt = Date.now();
    }
    if (due > 0) break;
  }
  await barrier(connection);
  // What nobody expects may come after the barrier's answer.
  await new Promise((resolve) => setTimeout(resolve, 50));
  take();
  return came;
}

function packetOut({ fields, bytes }: GeneratedFrame): Message {
  const { in_port: inPort = 0n, tunnel_id: value = 0n } = fields;
  const actions = [
    { type: 'set-field', field: { name: 'tunnel_id', value } },
    { type: 'output', port: PORT.table },
  ] as const;
  return { type: 'packet-out', xid: 1, inPort: Number(inPort), actions, frame: bytes };
}

async function leftBy(connection: Connection): Promise<number> {
  await barrier(connection);
  return Number((await portStats(connection)).find(({ port }) => port === UP)?.txPackets ?? 0n);
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
