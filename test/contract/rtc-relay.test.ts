/** WebRTC connections by a real coturn, made and ended by the hundred: none may make the process stand still. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const CHILD = fileURLToPath(new URL('../../agent/src/io/testing/rtc-churn-child.ts', import.meta.url));
const NS = `evio-relay-${process.pid}`;
const HOST = '192.0.2.1';
const TURN = '192.0.2.9';
const CHURN_MS = Number(process.env.EVIO_CHURN_MS ?? 20_000);
/** It tells how far it is twice a second; a busy machine may be late, a deadlock is for ever. */
const SILENCE_MS = 8_000;

const ns = (...command: string[]) => execFileSync('ip', ['netns', 'exec', NS, ...command], { stdio: 'pipe' });
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

describe('WebRTC connections by a relay', function () {
  this.timeout(CHURN_MS + 40_000);
  const children: ChildProcess[] = [];
  let dir = '';

  const start = (...command: string[]): ChildProcess => {
    const child = spawn('ip', ['netns', 'exec', NS, ...command], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    return child;
  };

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-relay-'));
    execFileSync('ip', ['netns', 'add', NS]);
    ns('ip', 'link', 'set', 'lo', 'up');
    ns('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    ns('ip', 'address', 'add', `${HOST}/24`, 'dev', 'v0');
    ns('ip', 'address', 'add', `${TURN}/24`, 'dev', 'v0');
    ns('ip', 'link', 'set', 'v0', 'up');
    ns('ip', 'link', 'set', 'v1', 'up');
    // The two ends are one host: only the relay may be between them.
    ns('nft', 'add', 'table', 'ip', 'relay');
    ns('nft', 'add', 'chain', 'ip', 'relay', 'out', '{ type filter hook output priority 0; }');
    ns(
      'nft',
      'add',
      'rule',
      'ip',
      'relay',
      'out',
      'ip',
      'saddr',
      HOST,
      'ip',
      'daddr',
      HOST,
      'udp',
      'dport',
      '!=',
      '0',
      'drop',
    );
    const turnserver = ['turnserver', '-n', '--no-cli', '--lt-cred-mech', '--user', 'u:p', '--realm', 'evio'];
    start(
      ...turnserver,
      '--listening-ip',
      TURN,
      '--relay-ip',
      TURN,
      '--pidfile',
      join(dir, 'pid'),
      '--log-file',
      join(dir, 'log'),
    );
  });

  after(() => {
    for (const child of children) child.kill('SIGKILL');
    const pids = execFileSync('ip', ['netns', 'pids', NS]).toString().split('\n').filter(Boolean).map(Number);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    execFileSync('ip', ['netns', 'del', NS]);
    rmSync(dir, { recursive: true, force: true });
  });

  it('open and close for a while without a thread that waits for ever', async () => {
    await sleep(500);
    const child = start(process.execPath, CHILD, TURN, process.env.EVIO_CHURN_OFFERER ?? 'no');
    let last = '';
    let heard = performance.now();
    child.stdout?.on('data', (data: Buffer) => {
      heard = performance.now();
      last = data.toString().trim().split('\n').at(-1) ?? last;
    });
    const end = performance.now() + CHURN_MS;
    while (performance.now() < end) {
      await sleep(200);
      expect(child.exitCode, `the process ended after ${last}`).to.equal(null);
      expect(performance.now() - heard, `silent after ${last} (made, opened)`).to.be.below(SILENCE_MS);
    }
    const [made = 0, opened = 0] = last.split(' ').map(Number);
    expect(made).to.be.greaterThan(CHURN_MS / 500);
    expect(opened, `of ${made} made`).to.be.greaterThan(made / 3);
  });
});
