import { expect } from 'chai';
import fc from 'fast-check';
import { FakeSwitch } from '../../../test/sim/fake-switch.ts';
import { DecodeError } from '../wire/reader.ts';
import { Controller, type ControllerAction, type ControllerEvent } from './controller.ts';
import { flowText } from './flow.ts';
import { groupText } from './group.ts';
import { decode, encode, type Message } from './openflow/index.ts';
import { type OvsState, ovsProgram } from './ovs/program.ts';
import type { SwitchMember } from './parts.ts';

function member(n: number): SwitchMember {
  const mac = `02:45:0a:00:00:0${n}`;
  const macs = [{ mac, mask: 'ff:ff:ff:ff:ff:ff' }];
  return { label: BigInt(n), mac, macs, addresses: [{ address: `10.0.0.${n}` }] };
}

const STATE: OvsState = {
  self: member(1),
  members: [member(2), member(3)],
  taps: new Map([
    [2n, 22],
    [3n, 23],
  ]),
  hops: new Map([
    [2n, [2n, 3n]],
    [3n, [3n, 2n]],
  ]),
  leaves: [{ port: 40, macs: [] }],
  drained: [],
};

/** What a switch may say without being asked. */
const UNASKED: readonly Message[] = [
  { type: 'echo-request', xid: 1, data: Buffer.from('echo') },
  { type: 'error', xid: 7, errorType: 2, code: 9, data: Buffer.alloc(8) },
  { type: 'barrier-reply', xid: 3 },
  { type: 'hello', xid: 1, versions: [4] },
];

interface Harm {
  readonly at: number;
  readonly value: number;
  /** Bytes cut off the end; the length field is left as it was. */
  readonly cut: number;
}

class Harmed {
  readonly controller = new Controller<OvsState>(1n, ovsProgram);
  readonly sw = new FakeSwitch(1n);
  readonly #harms: Harm[];

  constructor(harms: readonly Harm[]) {
    this.#harms = [...harms];
  }

  give(event: ControllerEvent<OvsState>, now: number): void {
    const queue: ControllerAction[] = [...this.controller.handle(event, now)];
    // A switch that answers nonsense may be asked again and again, but not without end in one moment.
    for (let rounds = 0; queue.length > 0; rounds++) {
      expect(rounds).to.be.lessThan(10_000);
      const action = queue.shift();
      if (action?.kind !== 'send') continue;
      for (const answer of this.sw.handle(action.message))
        queue.push(...this.controller.handle(this.#received(answer), now));
    }
  }

  #received(message: Message): ControllerEvent<OvsState> {
    const bytes = encode(message);
    const harm = this.#harms.shift();
    if (harm !== undefined) bytes[harm.at % bytes.length] = harm.value;
    try {
      return {
        kind: 'message',
        message: decode(harm === undefined ? bytes : bytes.subarray(0, bytes.length - harm.cut)),
      };
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: 'undecodable', reason: error.message };
    }
  }

  unharmed(): void {
    this.#harms.length = 0;
  }
}

describe('the controller of a switch that talks nonsense', () => {
  const harm = fc.record({ at: fc.nat(4_000), value: fc.nat(255), cut: fc.constantFrom(0, 0, 0, 1, 8, 40) });

  it('ends nothing, whatever byte of what the switch says is another', () => {
    fc.assert(
      fc.property(fc.array(harm, { maxLength: 60 }), fc.array(fc.constantFrom(...UNASKED)), (harms, unasked) => {
        const rig = new Harmed(harms);
        let now = 0;
        rig.give({ kind: 'state', state: STATE, settled: true }, now);
        rig.give({ kind: 'connected' }, now);
        for (const message of unasked) rig.give({ kind: 'message', message }, now);
        for (let i = 0; i < 20; i++) {
          now = Math.max(now, Math.min(rig.controller.deadline() ?? now, now + 60_000));
          rig.give({ kind: 'deadline' }, now);
        }
        rig.unharmed();
        rig.give({ kind: 'disconnected' }, now);
        rig.give({ kind: 'connected' }, now);
        const { flows, groups } = ovsProgram.wanted(STATE);
        expect(rig.sw.flows.map(flowText).sort()).to.deep.equal(flows.map(flowText).sort());
        expect(rig.sw.groups.map(groupText).sort()).to.deep.equal(groups.map(groupText).sort());
      }),
      { numRuns: 300 },
    );
  });
});
