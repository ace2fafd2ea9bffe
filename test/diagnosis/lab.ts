/** Where faults are injected: the demo's internet with its server, and one overlay whose nodes run only where a case wants them to. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding } from '../../agent/src/diagnosis/finding.ts';
import type { NetcheckReport } from '../../cli/src/netcheck/check.ts';
import type { StatusReport } from '../../cli/src/status.ts';
import { createOverlay, EVIO, enrolNode, type Joined, runServer, type Server, startAgent } from '../demo/overlay.ts';
import { attempt, type Finished, feed, run, start, until } from '../demo/shell.ts';

export class Lab {
  readonly dir: string;
  readonly home: string;
  readonly #children: ChildProcess[] = [];
  readonly #spare = new Map<string, Joined[]>();
  #changes: Promise<unknown> = Promise.resolve();
  readonly #ends: (() => Promise<void>)[] = [];
  server: Server;
  #count = 0;

  private constructor(dir: string, home: string, server: Server) {
    this.dir = dir;
    this.home = home;
    this.server = server;
  }

  static async open(dir: string, server: Server): Promise<Lab> {
    return new Lab(dir, await createOverlay(server, 'diag', dir, []), server);
  }

  /** A new node, which no case before has touched; its files are on the machine `at`. */
  async node(at: string, options: readonly string[] = [], keys?: object): Promise<Joined> {
    const spare = options.length === 0 && keys === undefined ? this.#spare.get(at)?.shift() : undefined;
    return spare ?? this.#enrol(at, options, keys ?? {});
  }

  /** Enrols so many nodes that `node` gives later: for cases that run while the server is not as it should be. */
  async prepare(at: string, count: number): Promise<void> {
    const nodes: Joined[] = [];
    while (nodes.length < count) nodes.push(await this.#enrol(at, [], {}));
    this.#spare.set(at, nodes);
  }

  async #enrol(at: string, options: readonly string[], keys: object): Promise<Joined> {
    const name = `${at}-${++this.#count}`;
    const place = join(this.dir, 'nodes', name);
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const joined = await this.alone(() => enrolNode(this.home, name, place, { options, keys }));
    return { ...joined, name: at };
  }

  /** Commands that change the overlay, one after the other: a second one at a time is refused. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(work);
    this.#changes = done.catch(() => undefined);
    return done;
  }

  /** What `change` makes of a node's file. */
  edit(node: Joined, change: (file: NodeFileValue) => void): void {
    const file = JSON.parse(readFileSync(node.config, 'utf8')) as NodeFileValue;
    change(file);
    writeFileSync(node.config, JSON.stringify(file, null, 2), { mode: 0o600 });
  }

  /** `evio netcheck`, as an administrator of that node gives it; `before` is what the command is begun with. */
  async netcheck(
    node: Joined,
    { before = [], more = [] }: { before?: readonly string[]; more?: readonly string[] } = {},
  ): Promise<Asked<NetcheckReport>> {
    const since = performance.now();
    const args = ['netcheck', '--config', node.config, '-o', 'json', ...more];
    return asked(await attempt(node.name, [...before, EVIO, ...args], 30_000), since);
  }

  async status(node: Joined, { before = [] }: { before?: readonly string[] } = {}): Promise<Asked<StatusReport>> {
    const since = performance.now();
    const args = ['status', '--config', node.config, '-o', 'json'];
    return asked(await attempt(node.name, [...before, EVIO, ...args], 30_000), since);
  }

  /** The same of the agent that has this run directory. */
  async statusAt(ns: string, runDir: string): Promise<Asked<StatusReport>> {
    const since = performance.now();
    return asked(await attempt(ns, [EVIO, 'status', '--run-dir', runDir, '-o', 'json'], 30_000), since);
  }

  /** Runs an agent; it answers afterwards. */
  async start(node: Joined): Promise<ChildProcess> {
    const child = startAgent(node);
    this.#children.push(child);
    await until(`the agent of ${node.name} answers`, 15_000, async () => (await this.status(node)).value?.running, 200);
    return child;
  }

  /** Its status until `holds`; the last one after `withinMs`. */
  async statusWhen(
    node: Joined,
    holds: (report: StatusReport) => boolean,
    withinMs = 30_000,
  ): Promise<Asked<StatusReport>> {
    const end = performance.now() + withinMs;
    for (;;) {
      const found = await this.status(node);
      if ((found.value !== undefined && holds(found.value)) || performance.now() > end) return found;
      await new Promise((done) => setTimeout(done, 300));
    }
  }

  async stop(node: Joined): Promise<void> {
    await attempt(node.name, [EVIO, 'agent', 'stop', '--run-dir', node.runDir], 15_000);
  }

  /** Ends both servers, lets `change` do what it does to their files, and starts them again. */
  async restartServer(change: () => Promise<void> | void, turn: 'answers' | 'does not' = 'answers'): Promise<void> {
    await this.stopServer();
    await change();
    if (turn === 'answers') this.server = await runServer(this.server.dir);
    else {
      const child = start('server', this.server.log, EVIO, 'server', 'run', '--verbose', '--dir', this.server.dir);
      this.server = { ...this.server, process: child };
      await until('the XMPP server answers', 15_000, async () =>
        /:5223\b/.test((await attempt('server', ['ss', '-Hltn'])).stdout),
      );
    }
  }

  async stopServer(): Promise<void> {
    const { process: child } = this.server;
    if (child.exitCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
  }

  /** A process to end when the lab is closed. */
  keep(child: ChildProcess): void {
    this.#children.push(child);
  }

  /** Something to do when the lab is closed. */
  atEnd(work: () => Promise<void>): void {
    this.#ends.push(work);
  }

  async close(): Promise<void> {
    for (const work of this.#ends) await work();
    for (const child of this.#children) if (child.exitCode === null) child.kill('SIGKILL');
  }
}

/** What cases change of a node file. */
export interface NodeFileValue {
  signalling: { service: string; password: string; ca: string; room: string; domain: string };
  ice: { stun: string[] };
  stateDir: string;
  runDir: string;
  network?: object;
  overlay: { revocations?: string };
}

export interface Asked<T> {
  /** Undefined: it printed nothing. */
  readonly value: T | undefined;
  readonly code: number;
  readonly ms: number;
  readonly words: string;
}

function asked<T>({ code, stdout, stderr }: Finished, since: number): Asked<T> {
  return {
    value: stdout === '' ? undefined : (JSON.parse(stdout) as T),
    code,
    ms: performance.now() - since,
    words: stderr.trim(),
  };
}

export const codesOf = (report: { readonly findings: readonly Finding[] } | undefined): readonly string[] =>
  report?.findings.map(({ code }) => code) ?? [];

/** A table of nftables in a namespace for as long as `during` takes. */
export async function withRules<T>(ns: string, rules: string, during: () => Promise<T>): Promise<T> {
  await feed(ns, `table inet evio_diag {\n${rules}\n}`, 'nft', '-f', '-');
  try {
    return await during();
  } finally {
    await run(ns, 'nft', 'delete', 'table', 'inet', 'evio_diag');
  }
}
