import { expect } from 'chai';
import { BACKOFF_MAX_MS, CONNECT_TIMEOUT_MS, PING_IDLE_MS, PING_TIMEOUT_MS, Reconnect } from './reconnect.ts';

const half = () => 0.5;

/** Connected at 0. */
function online(): Reconnect {
  const machine = new Reconnect(half);
  machine.handle({ kind: 'start' }, 0);
  machine.handle({ kind: 'online' }, 0);
  return machine;
}

describe('reconnection', () => {
  it('connects at once when started', () => {
    expect(new Reconnect(half).handle({ kind: 'start' }, 0)).to.deep.equal([{ kind: 'connect' }]);
  });

  it('waits longer after each failure, never below half a second nor above thirty', () => {
    for (const random of [() => 0, () => 0.999]) {
      const machine = new Reconnect(random);
      machine.handle({ kind: 'start' }, 0);
      let now = 0;
      const waits: number[] = [];
      for (let i = 0; i < 12; i++) {
        machine.handle({ kind: 'failed', lasting: false }, now);
        waits.push(machine.deadline()! - now);
        now = machine.deadline()!;
        expect(machine.handle({ kind: 'deadline' }, now)).to.deep.equal([{ kind: 'connect' }]);
      }
      expect(Math.min(...waits)).to.be.at.least(500);
      expect(Math.max(...waits)).to.be.at.most(BACKOFF_MAX_MS);
      expect(waits).to.deep.equal([...waits].sort((a, b) => a - b));
    }
  });

  it('a wrong password is tried again, slowly', () => {
    const machine = new Reconnect(half);
    machine.handle({ kind: 'start' }, 0);
    machine.handle({ kind: 'failed', lasting: true }, 0);
    expect(machine.deadline()).to.equal(0.75 * BACKOFF_MAX_MS);
  });

  it('an attempt that goes nowhere is given up', () => {
    const machine = new Reconnect(half);
    machine.handle({ kind: 'start' }, 0);
    expect(machine.handle({ kind: 'deadline' }, CONNECT_TIMEOUT_MS)[0]).to.include({ kind: 'abort' });
    expect(machine.state).to.equal('waiting');
  });

  it('a good connection that breaks is remade within a second', () => {
    const machine = online();
    machine.handle({ kind: 'closed' }, 60_000);
    expect(machine.deadline()! - 60_000).to.be.within(500, 1_000);
  });

  it('connections that break at once are not remade at full speed for ever', () => {
    const machine = new Reconnect(half);
    machine.handle({ kind: 'start' }, 0);
    let now = 0;
    let wait = 0;
    for (let i = 0; i < 10; i++) {
      machine.handle({ kind: 'online' }, now);
      machine.handle({ kind: 'closed' }, now + 100);
      wait = machine.deadline()! - now - 100;
      now = machine.deadline()!;
      machine.handle({ kind: 'deadline' }, now);
    }
    expect(wait).to.be.above(15_000);
  });

  it('a silent server is asked, and left when it does not answer', () => {
    const machine = online();
    expect(machine.handle({ kind: 'deadline' }, PING_IDLE_MS)).to.deep.equal([{ kind: 'ping' }]);
    expect(machine.handle({ kind: 'deadline' }, PING_IDLE_MS + PING_TIMEOUT_MS)[0]).to.include({ kind: 'abort' });
    expect(machine.state).to.equal('waiting');
  });

  it('an answer, or anything else, sets the clock back', () => {
    const machine = online();
    machine.handle({ kind: 'deadline' }, PING_IDLE_MS);
    machine.handle({ kind: 'received' }, PING_IDLE_MS + 5);
    expect(machine.deadline()).to.equal(2 * PING_IDLE_MS + 5);
  });

  it('after something was sent a dead server is noticed within twelve seconds', () => {
    const machine = online();
    machine.handle({ kind: 'sent' }, 1_000);
    expect(machine.handle({ kind: 'deadline' }, 3_000)).to.deep.equal([{ kind: 'ping' }]);
    machine.handle({ kind: 'sent' }, 12_000);
    expect(machine.handle({ kind: 'deadline' }, 13_000)[0]).to.include({ kind: 'abort' });
  });

  it('stopped, it does nothing more', () => {
    const machine = online();
    machine.handle({ kind: 'stop' }, 1);
    expect(machine.handle({ kind: 'closed' }, 2)).to.deep.equal([]);
    expect(machine.deadline()).to.equal(undefined);
  });
});
