/** A tincan with a network namespace of its own, configured as alpha. Needs root, as tincan does. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Control } from '../../../agent/src/io/control.ts';
import { findTincan } from '../../../agent/src/io/tincan-process.ts';
import { ALPHA, BETA, DELTA, GAMMA, parameters, SESSION_KEY } from './overlay.ts';

const START_MS = 10_000;
/** The kernel behind a real tap speaks when it likes (MLD, router solicitations), and flows would count that too: it is silenced. */
const QUIET = 'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; policy drop; }';

export class RealTincan {
  readonly switchPath: string;
  readonly ports: { readonly beta: number; readonly gamma: number };
  readonly #child: ChildProcess;
  readonly #control: Control;
  readonly #dir: string;

  private constructor(child: ChildProcess, control: Control, dir: string, ports: RealTincan['ports']) {
    this.#child = child;
    this.#control = control;
    this.#dir = dir;
    this.ports = ports;
    this.switchPath = join(dir, 'switch.sock');
  }

  static async start(): Promise<RealTincan> {
    const dir = mkdtempSync(join(tmpdir(), 'evio-switch-'));
    const tincan = [findTincan(), '--run-dir', dir, '--log-level', 'warn'];
    const args = ['--net', 'sh', '-c', 'nft "$1" && shift && exec "$@"', 'sh', QUIET, ...tincan];
    const child = spawn('unshare', args, { stdio: ['ignore', 'inherit', 'inherit'] });
    try {
      const control = await connect(join(dir, 'control.sock'));
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
      await control.request('hello', { client: 'contract' });
      await control.request('configure', {
        sessionKey: base64(SESSION_KEY),
        certificate: base64(ALPHA.bytes),
        parameters: base64(parameters),
        bridge: { name: 'evio0', tap: 'evio0-tap' },
        udp: { port: 0 },
        stun: [],
      });
      await control.request('members', { certificates: [BETA, GAMMA, DELTA].map((m) => base64(m.bytes)) });
      const port = async (peer: string) => {
        const answer = await control.request('tunnel-add', { peer, note: '' });
        return (answer as { readonly port: number }).port;
      };
      const ports = { beta: await port(BETA.nodeId), gamma: await port(GAMMA.nodeId) };
      return new RealTincan(child, control, dir, ports);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.#control.request('shutdown', { keepBridge: false }).catch(() => this.#child.kill());
    this.#control.close();
    await ended;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** As soon as somebody listens. */
async function connect(path: string): Promise<Control> {
  const end = Date.now() + START_MS;
  for (;;) {
    try {
      return await Control.open(path, { event: () => {}, closed: () => {} });
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
