/** The `evio` command as a program, and a server of its own on loopback addresses, for tests. */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../../agent/src/api.ts';
import type { XmppName } from '../../cli/src/server/settings.ts';

export interface Done {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const MAIN = resolve(import.meta.dirname, '../../cli/src/main.ts');

/** Runs a command to its end. */
export function evio(...args: readonly string[]): Promise<Done> {
  return program(process.execPath, MAIN, ...args);
}

export function program(name: string, ...args: readonly string[]): Promise<Done> {
  return new Promise((done, fail) => {
    const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000, killSignal: 'SIGKILL' });
    const [out, err]: [string[], string[]] = [[], []];
    child.stdout.on('data', (data: Buffer) => out.push(data.toString()));
    child.stderr.on('data', (data: Buffer) => err.push(data.toString()));
    child.on('error', fail);
    child.on('close', (code) => done({ code, stdout: out.join(''), stderr: err.join('') }));
  });
}

/** What `evio status -o json` printed, where an agent answered; it ends with 1 when that knows of a fault, as a server that is not there. */
export function answered({ stdout, stderr }: Done): Status {
  const report = stdout === '' ? undefined : (JSON.parse(stdout) as Status & { readonly running: boolean });
  if (report?.running !== true) throw new Error(stderr);
  return report;
}

/** A command that has to succeed, with its JSON. */
export async function evioJson<T>(...args: readonly string[]): Promise<T> {
  const done = await evio(...args, '-o', 'json');
  if (done.code !== 0) throw new Error(`evio ${args.join(' ')}: exit code ${done.code}: ${done.stderr}`);
  return JSON.parse(done.stdout) as T;
}

/** Its users have to get in: mkdtemp alone makes it private. */
export function scratch(): { readonly dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), 'evio-e2e-'));
  chmodSync(dir, 0o755);
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** `evio server run` with what it has said so far. */
export class RunningServer {
  readonly child: ChildProcess;
  readonly lines: string[] = [];

  readonly #xmpp: XmppName;

  constructor(dir: string, xmpp: XmppName = 'prosody', more: readonly string[] = []) {
    this.#xmpp = xmpp;
    this.child = spawn(process.execPath, [MAIN, 'server', 'run', '--dir', dir, ...more], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (data: Buffer) => this.lines.push(...data.toString().split('\n').filter(Boolean)));
    }
  }

  async until(what: string, holds: (lines: readonly string[]) => boolean, timeoutMs = 25_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!holds(this.lines)) {
      if (performance.now() > end)
        throw new Error(`${what}: not within ${timeoutMs} ms; it said:\n${this.lines.join('\n')}`);
      await sleep(50);
    }
  }

  ready(times = 1): Promise<void> {
    const count = (lines: readonly string[], name: string): number =>
      lines.filter((line) => line.startsWith(`${name}: ready`)).length;
    return this.until('both servers are ready', (l) => count(l, this.#xmpp) >= times && count(l, 'coturn') >= times);
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const ended = new Promise<number | null>((done) => this.child.once('exit', (code) => done(code)));
    this.child.kill(signal);
    return ended;
  }
}
