/** Answers frames the tables send to the controller: ARP and ND for members' addresses, from the membership. */

import { DecodeError } from '../wire/reader.ts';
import { answer } from './neighbours.ts';
import { type PacketIn, type PacketOut, PORT } from './openflow/index.ts';
import { addressesOf } from './parts.ts';
import type { ProgramState } from './program.ts';

export class Answerer {
  #owners: ReadonlyMap<string, string> = new Map();

  setState({ self, members }: ProgramState): void {
    const others = members.filter((m) => m.label !== self.label);
    this.#owners = new Map(
      others.flatMap((m) => [...addressesOf(m, 4), ...addressesOf(m, 6)].map((address) => [address, m.mac] as const)),
    );
  }

  /** The answer, by the port the question came in: 1 at tincan, LOCAL or any leaf port at Open vSwitch. */
  answer({ match, frame }: PacketIn): Omit<PacketOut, 'xid'> | undefined {
    if (match.in_port === undefined) return undefined;
    const reply = this.#answer(frame);
    if (reply === undefined) return undefined;
    const actions = [{ type: 'output', port: Number(match.in_port.value) }] as const;
    return { type: 'packet-out', inPort: PORT.controller, actions, frame: reply };
  }

  #answer(frame: Buffer): Buffer | undefined {
    try {
      return answer(frame, (address) => this.#owners.get(address));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return undefined;
    }
  }
}
