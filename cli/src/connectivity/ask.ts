/** The pod that asks: all of its tasks, step by step, and what came of them. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Ask, type AskedStep, bracketed, type Found, familyOf, PORT, type Task } from './order.ts';

/** More tasks of a step wait for one of these to end: a thousand sockets at once would measure the machine. */
const AT_ONCE = 16;
const TRY_MS = 3_000;
const AGAIN_MS = 250;
const SHORTEST_TRY_MS = 500;
/** What one try waited, where all of them are meant. */
const WITHIN = /within [0-9.]+ s$/;
/** Some hundred full packets. */
const BODY_BYTES = 200_000;
const HEADERS = { 4: 20 + 8, 6: 40 + 8 } as const;

export interface Asking {
  /** Addresses of this pod. */
  readonly own: readonly string[];
  /** For one ask, all its tries together. */
  readonly patienceMs: number;
  /** Of the pod's interface: the largest packet it can send. */
  readonly mtu: number;
  /** Where the answering pods listen; for tests. */
  readonly port?: number;
}

/** The tasks of one step, all of them. */
export async function askStep(step: AskedStep, tasks: readonly Task[], asking: Asking): Promise<Found> {
  const began = performance.now();
  const failed: { to: string; why: string }[] = [];
  let retried = 0;
  const queue = tasks.values();
  const work = async (): Promise<void> => {
    for (const task of queue) {
      const { tries, why } = await askPatiently(task.ask, asking);
      if (why !== undefined) failed.push({ to: task.to, why });
      else if (tries > 1) retried++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { step, asked: tasks.length, failed, retried, ms: Math.round(performance.now() - began) };
}

/** Tries until it works or patience ends: the first packet to a node may have to set up a way to it. */
async function askPatiently(ask: Ask, asking: Asking): Promise<{ readonly tries: number; readonly why?: string }> {
  const end = performance.now() + asking.patienceMs;
  for (let tries = 1; ; tries++) {
    const left = end - performance.now();
    const why = await once(ask, asking, Math.max(1, Math.min(TRY_MS, left)));
    if (why === undefined) return { tries };
    // A last try that has next to no time would say nothing new.
    if (performance.now() + AGAIN_MS + SHORTEST_TRY_MS >= end)
      return { tries, why: tries === 1 ? why : why.replace(WITHIN, `within ${seconds(asking.patienceMs)}`) };
    await sleep(AGAIN_MS);
  }
}

/** Undefined when all is well, else what is wrong. */
function once(ask: Ask, asking: Asking, withinMs: number): Promise<string | undefined> {
  switch (ask.kind) {
    case 'http':
      return askHttp(ask, asking, withinMs);
    case 'whole':
      return askWhole(ask.host, asking, withinMs);
    case 'connect':
      return askConnect(ask.host, ask.port, withinMs);
  }
}

async function askHttp(ask: Ask & { kind: 'http' }, asking: Asking, withinMs: number): Promise<string | undefined> {
  const port = ask.port === PORT ? (asking.port ?? PORT) : ask.port;
  const family = ask.family === undefined ? {} : { family: ask.family };
  const { body, why } = await http({ host: ask.host, port, path: '/', ...family }, undefined, withinMs);
  if (body === undefined) return why;
  let said: { node?: unknown; client?: unknown };
  try {
    said = JSON.parse(body.toString()) as typeof said;
  } catch {
    return 'what answered is not a pod of this test';
  }
  if (ask.node !== undefined && said.node !== ask.node) return `the pod of ${String(said.node)} answered instead`;
  if (ask.own === true && !asking.own.includes(String(said.client)))
    return `it saw ${String(said.client)} ask, not ${asking.own.join(' or ')}: the source is translated`;
  return undefined;
}

/** One datagram that fills a packet, echoed; then many full packets of TCP. */
async function askWhole(host: string, asking: Asking, withinMs: number): Promise<string | undefined> {
  const port = asking.port ?? PORT;
  const size = asking.mtu - HEADERS[familyOf(host)];
  const end = performance.now() + withinMs;
  const came = await echoed(host, port, randomBytes(size), withinMs / 2);
  if (came !== undefined) return `a packet of ${asking.mtu} bytes (UDP to ${bracketed(host)}): ${came}`;
  const sent = randomBytes(BODY_BYTES);
  const { body, why } = await http({ host, port, path: '/body', method: 'POST' }, sent, end - performance.now());
  if (body === undefined) return `${BODY_BYTES} bytes by TCP to ${bracketed(host)}: ${why}`;
  return body.equals(sent) ? undefined : `${BODY_BYTES} bytes by TCP to ${bracketed(host)} came back changed`;
}

interface Where {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method?: string;
  readonly family?: 4 | 6;
}

function http(
  where: Where,
  sent: Buffer | undefined,
  withinMs: number,
): Promise<{ readonly body?: Buffer; readonly why: string }> {
  return new Promise((resolve) => {
    const asked = request({ ...where, agent: false, headers: { 'content-length': sent?.length ?? 0 } });
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${seconds(withinMs)}`)), withinMs);
    const done = (result: { readonly body?: Buffer; readonly why: string }): void => {
      clearTimeout(timer);
      resolve(result);
    };
    asked.on('error', (error) => done({ why: reason(error) }));
    asked.on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', (error) => done({ why: reason(error) }));
      response.on('end', () => {
        if (response.statusCode === 200) done({ body: Buffer.concat(parts), why: '' });
        else done({ why: `HTTP ${response.statusCode}` });
      });
    });
    asked.end(sent);
  });
}

/** Linux forbids routers to cut a datagram that fills the MTU (path MTU discovery is on by itself), so it arrives whole or not. */
export function echoed(host: string, port: number, data: Buffer, withinMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(familyOf(host) === 4 ? 'udp4' : 'udp6');
    const done = (why: string | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(why);
    };
    const timer = setTimeout(() => done(`no answer within ${seconds(withinMs)}`), withinMs);
    socket.on('error', (error) => done(reason(error)));
    socket.on('message', (back) => done(back.equals(data) ? undefined : 'it came back changed'));
    socket.connect(port, host, (error?: Error) => {
      if (error !== undefined && error !== null) done(reason(error));
      else socket.send(data, (problem) => (problem === null ? undefined : done(reason(problem))));
    });
  });
}

function askConnect(host: string, port: number, withinMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (why: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => done(`no connection within ${seconds(withinMs)}`), withinMs);
    socket.on('error', (error) => done(reason(error)));
    socket.on('connect', () => done(undefined));
  });
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ENOTFOUND: 'its name is unknown to DNS',
  EAI_AGAIN: 'DNS does not answer',
  EMSGSIZE: 'it is larger than the path takes',
};

function reason(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  const words = WORDS[code ?? ''];
  return words === undefined ? error.message : `${words} (${code})`;
}

/** Of the interface that leads to the other pods, or of the node's own; 1280 where there is none to be seen. */
export function mtuOf(link = 'eth0'): number {
  try {
    return Number(readFileSync(`/sys/class/net/${link}/mtu`, 'utf8'));
  } catch {
    return 1_280;
  }
}
