/**
 * The agent's end of Open vSwitch's database socket: bytes and timers of the keeper (ovsdb/keeper.ts).
 *
 *     const ovsdb = new Ovsdb({ socket: '/run/openvswitch/db.sock' }, { state, say });
 *     ovsdb.want({ overlay, bridge: 'evio0', datapath: datapathType(), mac, mtu, ports });
 *     ovsdb.start();
 *     ... new OpenFlowSocket(managementSocket(runDir, 'evio0'), ...) once `state` says `inPlace` ...
 */
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { release } from 'node:os';
import { join } from 'node:path';
import { Keeper, type KeeperAction, type KeeperEvent, type OvsState } from '../ovsdb/keeper.ts';
import type { DatapathType, Ours, Wanted } from '../ovsdb/wanted.ts';

/** Who waits longer for a removal than this waits for a server that is away. */
const REMOVE_MS = 5_000;

export interface OvsdbHandlers {
  state(state: OvsState): void;
  say(level: 'info' | 'warn', text: string): void;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

export class Ovsdb {
  readonly #path: string;
  readonly #handlers: OvsdbHandlers;
  readonly #keeper = new Keeper(Math.random);
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #state: OvsState = {
    connected: false,
    inPlace: false,
    ports: new Map(),
    others: new Map(),
    problems: [],
    version: '',
  };
  #confirming: Waiting[] = [];
  #removing: Waiting[] = [];

  constructor(options: { readonly socket: string }, handlers: OvsdbHandlers) {
    this.#path = options.socket;
    this.#handlers = handlers;
  }

  get state(): OvsState {
    return this.#state;
  }

  start(): void {
    this.#handle({ kind: 'start' });
  }

  want(wanted: Wanted): void {
    this.#handle({ kind: 'want', wanted });
  }

  /** Resolves when ovs-vswitchd has answered that it has done everything; rejects with what keeps it from that. */
  async confirm(): Promise<OvsState> {
    await new Promise<void>((resolve, reject) => {
      this.#confirming.push({ resolve, reject });
      this.#handle({ kind: 'confirm' });
    });
    return this.#state;
  }

  /** Takes away what is ours; nothing is wanted any more. */
  async remove(ours: Ours): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => {
          const [why = 'ovsdb-server does not answer'] = this.#state.problems;
          reject(new Error(`what is ours in Open vSwitch could not be removed: ${why}`));
        }, REMOVE_MS);
        this.#removing.push({ resolve, reject });
        this.#handle({ kind: 'remove', ours });
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Open vSwitch stays as it is. */
  stop(): void {
    this.#handle({ kind: 'stop' });
    clearTimeout(this.#timer);
    const stopped = new Error('stopped');
    for (const waiting of [...this.#confirming.splice(0), ...this.#removing.splice(0)]) waiting.reject(stopped);
  }

  #handle(event: KeeperEvent): void {
    for (const action of this.#keeper.handle(event, performance.now())) this.#carryOut(action);
    const at = this.#keeper.deadline();
    clearTimeout(this.#timer);
    if (at === undefined) return;
    // A timer may fire a little early.
    this.#timer = setTimeout(() => this.#handle({ kind: 'deadline' }), Math.max(0, Math.ceil(at - performance.now())));
    this.#timer.unref();
  }

  #carryOut(action: KeeperAction): void {
    switch (action.kind) {
      case 'connect':
        this.#connect();
        break;
      case 'send':
        this.#socket?.write(action.text);
        break;
      case 'close':
        this.#drop();
        break;
      case 'state':
        this.#state = action.state;
        this.#handlers.state(action.state);
        break;
      case 'say':
        this.#handlers.say(action.level, action.text);
        break;
      case 'removed':
        for (const { resolve } of this.#removing.splice(0)) resolve();
        break;
      case 'confirmed':
        for (const { resolve, reject } of this.#confirming.splice(0)) {
          if (action.error === undefined) resolve();
          else reject(new Error(action.error));
        }
    }
  }

  #connect(): void {
    this.#drop();
    const socket = connect(this.#path);
    this.#socket = socket;
    let reason = 'it closed the connection';
    socket.on('connect', () => this.#of(socket, { kind: 'connected' }));
    socket.on('data', (bytes: string | Buffer) => {
      if (typeof bytes !== 'string') this.#of(socket, { kind: 'bytes', bytes });
    });
    socket.on('error', (error) => {
      reason =
        socket.connecting || !socket.readable
          ? `nobody answers at ${this.#path} (${codeOf(error)}); does Open vSwitch run?`
          : codeOf(error);
    });
    socket.on('close', () => this.#of(socket, { kind: 'closed', reason }));
  }

  /** What a connection that was given up has to say is of no interest. */
  #of(socket: Socket, event: KeeperEvent): void {
    if (socket === this.#socket) this.#handle(event);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }
}

/** Where a controller of this bridge connects; see ovsdb/plan.ts. */
export function managementSocket(runDir: string, bridge: string): string {
  return join(runDir, `${bridge}.mgmt`);
}

/** Frames are switched in the kernel where it has Open vSwitch's module, loaded or to be loaded by ovs-vswitchd's start. */
export function datapathType(kernel = release()): DatapathType {
  if (existsSync('/sys/module/openvswitch')) return 'system';
  const lists = ['modules.builtin', 'modules.dep'].map((name) => readText(join('/lib/modules', kernel, name)));
  return lists.some((list) => /\/openvswitch\.ko\b/.test(list)) ? 'system' : 'netdev';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
