/** A controller's connection to a switch under test: messages out, messages in, and waiting for one. */

import { OpenFlowSocket } from '../../../agent/src/io/openflow.ts';
import {
  ALL_FLOWS,
  type FlowStats,
  type Group,
  type Message,
  type PortStats,
} from '../../../agent/src/sdn/openflow/index.ts';
import type { FakeSwitch } from '../../sim/fake-switch.ts';

const WAIT_MS = 5_000;

export interface Connection {
  /** What came since the connection was made, in order. */
  readonly received: readonly Message[];
  send(...messages: readonly Message[]): void;
  close(): void;
}

export function toFake(sw: FakeSwitch): Connection {
  const received: Message[] = [];
  return {
    received,
    send: (...messages) => {
      for (const message of messages) received.push(...sw.handle(message));
    },
    close: () => {},
  };
}

/** @param hello not where a controller will say it: Open vSwitch takes one only */
export async function toReal(path: string, hello = true): Promise<Connection> {
  const received: Message[] = [];
  const socket = await new Promise<OpenFlowSocket>((resolve) => {
    const opened: OpenFlowSocket = new OpenFlowSocket(path, {
      connected: () => resolve(opened),
      message: (message) => received.push(message),
      undecodable: (reason) => {
        throw new Error(reason);
      },
      disconnected: () => {},
    });
    opened.start();
  });
  if (hello) socket.send([{ type: 'hello', xid: 0, versions: [4] }]);
  return { received, send: (...messages) => socket.send(messages), close: () => socket.stop() };
}

/** The first message that fits, or an error that says what came instead. */
export async function heard<T extends Message>(
  connection: Connection,
  fits: (message: Message) => message is T,
): Promise<T> {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const found = connection.received.find(fits);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`only ${connection.received.map((m) => m.type).join(', ')} came`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

let transaction = 1_000;

export async function barrier(connection: Connection): Promise<void> {
  const xid = ++transaction;
  connection.send({ type: 'barrier-request', xid });
  await heard(connection, (m): m is Message => m.type === 'barrier-reply' && m.xid === xid);
}

export async function dump(connection: Connection): Promise<readonly FlowStats[]> {
  const replies = await ask(connection, { of: 'flows', selection: ALL_FLOWS });
  return replies.flatMap((body) => (body.of === 'flows' ? body.flows : []));
}

export async function dumpGroups(connection: Connection): Promise<readonly Group[]> {
  const replies = await ask(connection, { of: 'groups' });
  return replies.flatMap((body) => (body.of === 'groups' ? body.groups : []));
}

export async function portStats(connection: Connection): Promise<readonly PortStats[]> {
  const replies = await ask(connection, { of: 'port-stats' });
  return replies.flatMap((body) => (body.of === 'port-stats' ? body.stats : []));
}

type Multipart<T extends 'multipart-request' | 'multipart-reply'> = (Message & { type: T })['body'];

async function ask(
  connection: Connection,
  body: Multipart<'multipart-request'>,
): Promise<readonly Multipart<'multipart-reply'>[]> {
  const xid = ++transaction;
  connection.send({ type: 'multipart-request', xid, more: false, body });
  const ours = (m: Message): m is Message & { type: 'multipart-reply' } =>
    m.type === 'multipart-reply' && m.xid === xid;
  await heard(connection, (m): m is Message => ours(m) && !m.more);
  return connection.received.filter(ours).map((m) => m.body);
}
