/** A room, an administrator and nodes for the tests against a real server. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RoomEvent, XmppRoom, type XmppRoomOptions, type XmppState } from '../../agent/src/io/xmpp.ts';
import { XmppAdmin } from '../../agent/src/io/xmpp-admin.ts';
import type { Service } from '../../agent/src/signal/services.ts';
import { CONFERENCE, type XmppServer } from '../servers/xmpp-server.ts';

const QUIET_MS = 300;

export const ROOM = `lab@${CONFERENCE}`;

/** The server's administrator. */
export function adminOf({ admin, service, domain, ca }: XmppServer): Promise<XmppAdmin> {
  return XmppAdmin.connect({ ...admin, service, domain, ca });
}

/** The room, with node1 as its only member. */
export async function roomOfOne(server: XmppServer): Promise<void> {
  const admin = await adminOf(server);
  await admin.createRoom(ROOM);
  await admin.addUser('node1', 'password 1');
  await admin.addMember(ROOM, 'node1');
  admin.close();
}

/** A connection to the room whose events can be waited for. */
export class Occupant {
  readonly room: XmppRoom;
  readonly events: RoomEvent[] = [];
  readonly states: XmppState[] = [];
  services: readonly Service[] | undefined;

  /** The hello is any text: the room does not look at it. */
  constructor(options: XmppRoomOptions, hello = 'AAAA') {
    this.room = new XmppRoom(options, {
      event: (event) => {
        this.events.push(event);
        if (event.kind === 'connected') this.room.perform({ kind: 'send-presence', hello });
      },
      services: (services) => {
        this.services = services;
      },
      state: (state) => {
        this.states.push(state);
      },
    });
    this.room.start();
  }

  get errors(): readonly string[] {
    return this.states.flatMap((s) => s.error ?? []);
  }

  online(): Promise<void> {
    return until(
      () => this.room.state.state === 'online',
      () => `not online: ${this.errors.join('; ')}`,
    );
  }

  /** The first failure in words. */
  async failure(): Promise<string> {
    await until(
      () => this.errors.length > 0,
      () => `no failure, state ${this.room.state.state}`,
    );
    return this.errors[0] ?? '';
  }
}

export async function until(condition: () => boolean, otherwise: () => string, timeoutMs = 8_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(otherwise());
    await sleep(10);
  }
}

export const nickOf = (n: number): string => n.toString(16).padStart(32, '0');

export const accountOf = (server: XmppServer, n: number): XmppRoomOptions => ({
  service: server.service,
  domain: server.domain,
  ca: server.ca,
  username: `node${n}`,
  password: `password ${n}`,
  room: ROOM,
  nickname: nickOf(n),
});

/** A proxy in front of the server that may change what the server says, and remembers what the client said. */
export class Interceptor {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Everything the client sent, as text. */
  heard = '';
  /** A frozen proxy keeps connections open and passes nothing on. */
  frozen = false;
  #passedAt = performance.now();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(targetPort: number, change: (text: string) => string = (t) => t): Promise<Interceptor> {
    const server = createServer();
    const proxy = new Interceptor(server);
    server.on('connection', (client) => proxy.#serve(client, targetPort, change));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  #serve(client: Socket, targetPort: number, change: (text: string) => string): void {
    const server = connect(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.on('data', (chunk: Buffer) => {
        if (from === client) this.heard += chunk.toString('latin1');
        if (this.frozen) return;
        this.#passedAt = performance.now();
        to.write(from === client ? chunk : Buffer.from(change(chunk.toString('latin1')), 'latin1'));
      });
    }
  }

  /** Nothing is on its way any more: what a client hears from here on came after what it says from here on. */
  async quiet(): Promise<void> {
    while (performance.now() < this.#passedAt + QUIET_MS) await sleep(20);
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
