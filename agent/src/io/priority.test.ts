import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { expect } from 'chai';
import { raisePriority, TRAFFIC_NICE } from './priority.ts';

describe('the priority of what carries traffic', () => {
  /** A process in a session of its own, with a given nice value. */
  async function during(nice: number, run: (pid: number) => void): Promise<void> {
    const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    try {
      await once(child, 'spawn');
      const pid = child.pid ?? 0;
      setPriority(pid, nice);
      run(pid);
    } finally {
      child.kill('SIGKILL');
    }
  }

  it('is raised, and that of its session with it', () =>
    during(0, (pid) => {
      raisePriority(pid);
      expect(getPriority(pid)).to.equal(TRAFFIC_NICE);
      const group = `/proc/${pid}/autogroup`;
      if (existsSync(group)) expect(readFileSync(group, 'utf8')).to.match(/ nice -10$/m);
    }));

  it('stays what an operator has made it', () =>
    during(5, (pid) => {
      raisePriority(pid);
      expect(getPriority(pid)).to.equal(5);
    }));

  it('of a process that has ended is nobody’s trouble', () => {
    raisePriority(2 ** 22 + 1);
  });
});
