import { expect } from 'chai';
import { seeded } from '../../../test/sim/random.ts';
import type { NodeId } from '../wire/ids.ts';
import {
  CONNECT_MS,
  CUT_OFF_MS,
  isSeat,
  LEAVE_MS,
  Lobby,
  type LobbyAction,
  type LobbyEvent,
  RETURN_SPREAD_MS,
  SEATS,
  WELCOME_MS,
} from './lobby.ts';

/** The id at this place of 256 around the ring. */
const at = (place: number): NodeId => place.toString(16).padStart(2, '0').padEnd(32, '1');
const SELF = at(0x90);

function lobby(options: { readonly self?: NodeId; readonly seed?: number; readonly early?: boolean } = {}): Lobby {
  return new Lobby({ self: options.self ?? SELF, random: seeded(options.seed ?? 1), early: options.early });
}

const occupant = (nodeId: NodeId, members?: number, nick = nodeId): LobbyEvent => ({
  kind: 'occupant',
  nick,
  nodeId,
  members,
});

const kinds = (actions: readonly LobbyAction[]) => actions.map((action) => action.kind);
const entered = (actions: readonly LobbyAction[]) => actions.flatMap((a) => (a.kind === 'enter' ? [a.nick] : []));

/** What it does until the time, by its own deadlines. */
function until(machine: Lobby, from: number, to: number): readonly LobbyAction[] {
  const actions: LobbyAction[] = [];
  for (let now = from; ; ) {
    const due = machine.deadline();
    if (due === undefined || due > to) return actions;
    now = Math.max(now, due);
    actions.push(...machine.handle({ kind: 'deadline' }, now));
    if (machine.deadline() === due) throw new Error(`asks for ${due} again`);
  }
}

/** What a guest does that wants to be made known. */
const INTRODUCED = (...greeters: readonly NodeId[]): readonly LobbyAction[] => [
  ...greeters.map((to) => ({ kind: 'introduce', to }) as const),
  { kind: 'leave' },
  { kind: 'outside' },
];

/** A guest of a large overlay that has been let in. */
function guest(machine: Lobby, greeters: readonly NodeId[], now = 0): readonly LobbyAction[] {
  const [nick] = entered(machine.handle({ kind: 'connected' }, now));
  for (const id of greeters) machine.handle(occupant(id, 1_000), now);
  return machine.handle({ kind: 'joined', nick: nick ?? '' }, now);
}

describe('the lobby', () => {
  it('lets a newcomer in as a guest, and in a small overlay under its own name as soon as it is in', () => {
    const machine = lobby();
    const [nick] = entered(machine.handle({ kind: 'connected' }, 0));
    expect(isSeat(nick ?? '')).to.equal(true);
    machine.handle(occupant(at(1)), 10);
    machine.handle({ kind: 'members', count: 2 }, 10);
    expect(machine.handle({ kind: 'joined', nick: nick ?? '' }, 10)).to.deep.equal([
      { kind: 'heard-of', whole: true },
      { kind: 'enter', nick: SELF, members: undefined },
    ]);
    machine.handle({ kind: 'joined', nick: SELF }, 20);
    expect(until(machine, 20, 86_400_000)).to.deep.equal([]);
  });

  it('comes back to a small overlay at once and under its own name', () => {
    const machine = lobby();
    machine.handle({ kind: 'connected' }, 0);
    machine.handle({ kind: 'joined', nick: SELF }, 20);
    machine.handle({ kind: 'disconnected' }, 30);
    expect(machine.handle({ kind: 'connected' }, 40)).to.deep.equal([
      { kind: 'enter', nick: SELF, members: undefined },
    ]);
  });

  it('lets one of the first nodes of an overlay in under its own name, and to stay', () => {
    const machine = lobby({ early: true });
    expect(entered(machine.handle({ kind: 'connected' }, 0))).to.deep.equal([SELF]);
    machine.handle(occupant(at(1)), 10);
    expect(machine.handle({ kind: 'joined', nick: SELF }, 10)).to.deep.equal([{ kind: 'heard-of', whole: true }]);
    expect(until(machine, 10, 86_400_000)).to.deep.equal([]);
  });

  it('has one of the first nodes of an overlay that became large made known by a greeter, as a guest is', () => {
    const machine = lobby({ early: true });
    expect(guest(machine, [at(0x20), at(0xa0)])).to.deep.equal(INTRODUCED(at(0xa0)));
    expect(until(machine, 0, WELCOME_MS)).to.deep.equal([{ kind: 'introduce', to: at(0x20) }]);
    expect(machine.handle({ kind: 'welcomed', by: at(0x20) }, WELCOME_MS + 1)).to.deep.equal([
      { kind: 'heard-of', whole: false },
    ]);
    // With nobody there that greets it stays, to be the first.
    const first = lobby({ early: true });
    first.handle({ kind: 'members', count: 100 }, 0);
    first.handle({ kind: 'connected' }, 0);
    until(first, 0, RETURN_SPREAD_MS + CUT_OFF_MS);
    expect(kinds(first.handle({ kind: 'joined', nick: SELF }, RETURN_SPREAD_MS + CUT_OFF_MS))).to.include('heard-of');
    expect(first.presence).to.deep.equal({ nick: SELF, members: 100 });
  });

  it('waits by chance for a place that others have, longer each time, and tries all places', () => {
    const machine = lobby();
    const nicks = new Set(entered(machine.handle({ kind: 'connected' }, 0)));
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 100; i++) {
      machine.handle({ kind: 'taken' }, now);
      const due = machine.deadline() ?? 0;
      waits.push(due - now);
      now = due;
      for (const nick of entered(machine.handle({ kind: 'deadline' }, now))) nicks.add(nick);
    }
    expect(waits[0]).to.be.at.most(400);
    expect(waits.at(-1)).to.be.within(2_500, 5_000);
    expect(nicks.size).to.be.within(SEATS, SEATS + 1);
  });

  it('waits longer for a place when the server is slow to answer', () => {
    const machine = lobby();
    machine.handle({ kind: 'connected' }, 0);
    machine.handle({ kind: 'taken' }, 1_000);
    expect(machine.deadline()).to.be.within(3_000, 5_000);
  });

  it('asks the greeter that follows on the ring to make it known in a large overlay, leaves, and asks the next from outside', () => {
    const machine = lobby();
    expect(guest(machine, [at(0x20), at(0xa0), at(0xf0)])).to.deep.equal(INTRODUCED(at(0xa0)));
    expect(until(machine, 0, WELCOME_MS)).to.deep.equal([{ kind: 'introduce', to: at(0xf0) }]);
    expect(kinds(machine.handle({ kind: 'welcomed', by: at(0x20) }, WELCOME_MS + 1))).to.deep.equal([]);
    expect(machine.handle({ kind: 'welcomed', by: at(0xf0) }, WELCOME_MS + 1)).to.deep.equal([
      { kind: 'heard-of', whole: false },
    ]);
    expect(until(machine, WELCOME_MS + 1, 2 * WELCOME_MS)).to.deep.equal([]);
  });

  it('enters again when no greeter answered, and asks all then', () => {
    const machine = lobby();
    guest(machine, [at(0x20), at(0xa0)]);
    const [next, ...then] = until(machine, 0, 2 * WELCOME_MS + 2 * CONNECT_MS);
    expect(next).to.deep.equal({ kind: 'introduce', to: at(0x20) });
    const [nick] = entered(then);
    for (const id of [at(0x20), at(0xa0)]) machine.handle(occupant(id, 1_000), 40_000);
    expect(machine.handle({ kind: 'joined', nick: nick ?? '' }, 40_000)).to.deep.equal(INTRODUCED(at(0xa0), at(0x20)));
  });

  it('comes again when it is not connected a while after it was made known, and asks all greeters then', () => {
    const machine = lobby();
    guest(machine, [at(0x20), at(0xa0)]);
    machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
    const again = until(machine, 100, 3 * CONNECT_MS);
    const [nick] = entered(again);
    expect(isSeat(nick ?? '')).to.equal(true);
    for (const id of [at(0x20), at(0xa0)]) machine.handle(occupant(id, 1_000), 30_000);
    expect(machine.handle({ kind: 'joined', nick: nick ?? '' }, 30_000)).to.deep.equal(INTRODUCED(at(0xa0), at(0x20)));
  });

  it('of all that are in the room when an overlay becomes large only the greeters stay, one for each place', () => {
    const ids = Array.from({ length: 70 }, (_, i) => at(Math.floor((i * 256) / 70)));
    const all = ids.map((self, seed) => lobby({ self, seed }));
    const left = all.map((machine, i) => {
      machine.handle({ kind: 'connected' }, 0);
      for (const other of ids) if (other !== ids[i]) machine.handle(occupant(other), 0);
      machine.handle({ kind: 'joined', nick: ids[i] ?? '' }, 0);
      machine.handle({ kind: 'members', count: 70 }, 1_000);
      return kinds(until(machine, 1_000, 1_000 + LEAVE_MS)).includes('leave');
    });
    expect(left.filter((gone) => !gone)).to.have.length(8);
  });

  it('stays outside of the room of a large overlay it is connected to, and takes the place of a greeter that died', () => {
    const machine = lobby();
    guest(machine, [at(0x20), at(0xa0)]);
    machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
    machine.handle({ kind: 'ring', peers: [at(0x88), at(0xa0)], complete: true }, 500);
    machine.handle({ kind: 'members', count: 1_000 }, 500);
    expect(until(machine, 500, 3_600_000)).to.deep.equal([]);
    // The place at 0x80 was that of 0x88.
    machine.handle({ kind: 'ring', peers: [at(0x70), at(0xa0)], complete: true }, 3_600_000);
    const back = until(machine, 3_600_000, 3_600_000 + RETURN_SPREAD_MS);
    expect(back).to.deep.equal([{ kind: 'enter', nick: SELF, members: 1_000 }]);
  });

  it('gives way to a greeter that is nearer to the place, and does not come back at once', () => {
    const machine = lobby();
    guest(machine, [at(0x20)]);
    machine.handle({ kind: 'members', count: 1_000 }, 0);
    machine.handle({ kind: 'ring', peers: [at(0x70)], complete: true }, 0);
    machine.handle({ kind: 'joined', nick: SELF }, 0);
    machine.handle(occupant(at(0x84)), 1_000);
    expect(kinds(until(machine, 1_000, 1_000 + LEAVE_MS))).to.deep.equal(['leave', 'outside']);
    expect(until(machine, 3_000, 20_000)).to.deep.equal([]);
  });

  it('comes back when it is cut off, thousands of them spread over seconds', () => {
    const times = Array.from({ length: 200 }, (_, seed) => {
      const machine = lobby({ seed });
      guest(machine, [at(0xa0)]);
      machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
      machine.handle({ kind: 'members', count: 1_000 }, 100);
      machine.handle({ kind: 'ring', peers: [at(0x88), at(0xa0)], complete: true }, 500);
      machine.handle({ kind: 'ring', peers: [], complete: false }, 10_000);
      let now = 10_000;
      while (entered(machine.handle({ kind: 'deadline' }, now)).length === 0)
        now = Math.max(now, machine.deadline() ?? 0);
      return now - 10_000;
    });
    expect(Math.min(...times)).to.be.at.least(CUT_OFF_MS);
    expect(Math.max(...times)).to.be.at.most(2 * CUT_OFF_MS);
    for (const share of [0.25, 0.5, 0.75])
      expect(times.filter((ms) => ms < CUT_OFF_MS * (1 + share)).length).to.be.within(
        share * 200 - 30,
        share * 200 + 30,
      );
  });

  it('after an outage of the server a connected node of a large overlay stays outside, greeters come spread', () => {
    const back = [at(0x88), at(0x90)].map((self) => {
      const machine = lobby({ self });
      guest(machine, [at(0xa0)]);
      machine.handle({ kind: 'members', count: 1_000 }, 100);
      machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
      machine.handle({ kind: 'ring', peers: [at(self === SELF ? 0x88 : 0x70), at(0xa0)], complete: true }, 500);
      machine.handle({ kind: 'disconnected' }, 60_000);
      return [...machine.handle({ kind: 'connected' }, 90_000), ...until(machine, 90_000, 90_000 + RETURN_SPREAD_MS)];
    });
    expect(back).to.deep.equal([[{ kind: 'enter', nick: at(0x88), members: 1_000 }], [{ kind: 'outside' }]]);
  });

  it('somebody is the first of a large overlay that comes up anew', () => {
    const machine = lobby();
    machine.handle({ kind: 'members', count: 1_000 }, 0);
    machine.handle({ kind: 'connected' }, 0);
    const [nick] = entered(until(machine, 0, RETURN_SPREAD_MS));
    expect(machine.handle({ kind: 'joined', nick: nick ?? '' }, 6_000)).to.deep.include({
      kind: 'enter',
      nick: SELF,
      members: 1_000,
    });
  });

  it('comes back into the room when the overlay is small again', () => {
    const machine = lobby();
    guest(machine, [at(0xa0)]);
    machine.handle({ kind: 'members', count: 70 }, 100);
    machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
    machine.handle({ kind: 'ring', peers: [at(0x88), at(0xa0)], complete: true }, 500);
    machine.handle({ kind: 'whole' }, 1_000);
    machine.handle({ kind: 'members', count: 60 }, 2_000);
    expect(until(machine, 2_000, 60_000)).to.deep.equal([]);
    machine.handle({ kind: 'members', count: 48 }, 60_000);
    expect(entered(until(machine, 60_000, 60_000 + RETURN_SPREAD_MS))).to.deep.equal([SELF]);
  });

  it('believes a large number of members that an occupant tells only until it knows them all', () => {
    const machine = lobby();
    guest(machine, [at(0xa0)]);
    machine.handle({ kind: 'members', count: 5 }, 100);
    machine.handle({ kind: 'welcomed', by: at(0xa0) }, 100);
    machine.handle({ kind: 'ring', peers: [at(0x88), at(0xa0)], complete: true }, 500);
    expect(machine.large).to.equal(true);
    machine.handle({ kind: 'whole' }, 1_000);
    expect(machine.large).to.equal(false);
    expect(entered(until(machine, 1_000, 1_000 + RETURN_SPREAD_MS))).to.deep.equal([SELF]);
    machine.handle({ kind: 'joined', nick: SELF }, 7_000);
    machine.handle(occupant(at(0xa0), 1_000), 7_000);
    expect(until(machine, 7_000, 60_000)).to.deep.equal([]);
  });
});
