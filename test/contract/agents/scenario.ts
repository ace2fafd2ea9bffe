/**
 * Three agents that meet by a real Prosody and real WebRTC, in a network namespace of their own; the frames below them are left
 * out (a stand-in answers for tincan). Prints what happened as one JSON object.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Peer, Status } from '../../../agent/src/api.ts';
import { LineReader, parseObject } from '../../../agent/src/io/json-lines.ts';
import { alive } from '../../alive.ts';
import { startProsody } from '../../servers/prosody.ts';
import { type EnrolledNode, enrol } from './overlay.ts';

const FAKE = fileURLToPath(new URL('../../../agent/src/io/testing/fake-tincan.ts', import.meta.url));
const AGENT = fileURLToPath(new URL('./agent-child.ts', import.meta.url));

const dir = mkdtempSync(join(tmpdir(), 'evio-agents-'));
const prosody = await startProsody();
const binary = join(dir, 'tincan');
writeFileSync(binary, `#!/bin/sh\nexec ${process.execPath} ${FAKE} "$@"\n`);
chmodSync(binary, 0o755);
const running = new Map<string, ChildProcess>();
const pids = new Set<number>();

function start(node: EnrolledNode): void {
  const log = openSync(join(dir, `${node.name}.log`), 'a');
  const child = spawn(process.execPath, [AGENT, node.file], {
    stdio: ['ignore', log, log],
    env: { ...process.env, EVIO_TINCAN: binary },
  });
  running.set(node.name, child);
}

async function end(node: EnrolledNode, signal: NodeJS.Signals): Promise<number | string | null> {
  const child = running.get(node.name) as ChildProcess;
  const exited = new Promise<number | string | null>((done) => child.once('exit', (code, by) => done(by ?? code)));
  child.kill(signal);
  return exited;
}

function ask(node: EnrolledNode, method: string, params: object = {}): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(node.runDir, 'agent.sock'));
    const lines = new LineReader();
    socket.setTimeout(5_000, () => socket.destroy(new Error(`${method}: no answer`)));
    socket.on('error', reject);
    socket.on('connect', () => socket.write(`${JSON.stringify({ id: 1, method, params })}\n`));
    socket.on('data', (data: string | Buffer) => {
      for (const line of lines.push(data as Buffer)) {
        socket.destroy();
        const answer = parseObject(line) ?? {};
        if (answer.error === undefined) resolve(answer.result as Record<string, unknown>);
        else reject(new Error(JSON.stringify(answer.error)));
      }
    });
  });
}

async function peersOf(node: EnrolledNode): Promise<readonly Peer[]> {
  try {
    return (await ask(node, 'peers')).peers as readonly Peer[];
  } catch {
    return [];
  }
}

async function statusOf(node: EnrolledNode): Promise<Status> {
  const status = (await ask(node, 'status')) as unknown as Status;
  if (status.tincan !== null) pids.add(status.tincan.pid);
  return status;
}

/** Milliseconds until all of these nodes reach all others by WebRTC. */
async function meshed(nodes: readonly EnrolledNode[], timeoutMs = 20_000): Promise<number | undefined> {
  const began = performance.now();
  while (performance.now() - began < timeoutMs) {
    const all = await Promise.all(nodes.map(peersOf));
    if (all.every((peers) => peers.length === nodes.length - 1 && peers.every((peer) => peer.path === 'webrtc')))
      return Math.round(performance.now() - began);
    await sleep(50);
  }
  return undefined;
}

const result: Record<string, unknown> = {};
try {
  const nodes = await enrol(prosody, dir, ['a', 'b', 'c']);
  const [a, b, c] = nodes as [EnrolledNode, EnrolledNode, EnrolledNode];
  for (const node of nodes) start(node);
  result.meshMs = await meshed(nodes);
  const before = await statusOf(a);
  result.members = before.members;
  result.ringComplete = before.ringComplete;
  result.signalling = before.signalling.state;
  result.rssMb = Math.round(before.agent.rssBytes / 1e6);
  result.peer = (await peersOf(a))[0];
  result.unknown = await ask(a, 'ping', { to: 'nobody' }).catch((error: Error) => error.message);

  await end(b, 'SIGKILL');
  start(b);
  await sleep(500);
  result.afterKillMs = await meshed(nodes);
  result.tincanSurvivedKill = (await statusOf(b)).tincan?.pid;

  const tincan = (await statusOf(a)).tincan?.pid ?? 0;
  process.kill(tincan, 'SIGKILL');
  await sleep(200);
  result.afterTincanMs = await meshed(nodes);
  result.newTincan = (await statusOf(a)).tincan?.pid !== tincan;

  const kept = (await statusOf(c)).tincan?.pid ?? 0;
  result.termCode = await end(c, 'SIGTERM');
  result.termKeeps = alive(kept);
  start(c);
  await sleep(500);
  result.afterTermMs = await meshed(nodes);
  result.adopted = (await statusOf(c)).tincan?.pid === kept;

  const gone = (await statusOf(c)).tincan?.pid ?? 0;
  await ask(c, 'stop');
  await sleep(1_500);
  result.stopEnds = !alive(gone);
  result.stopCode = running.get('c')?.exitCode;
  result.second = await statusOf(a).then((status) => status.members);
} catch (error) {
  result.error = error instanceof Error ? (error.stack ?? error.message) : String(error);
} finally {
  for (const child of running.values()) child.kill('SIGKILL');
  for (const pid of pids) if (alive(pid)) process.kill(pid, 'SIGKILL');
  await prosody.stop();
  if (process.env.KEEP === undefined) rmSync(dir, { recursive: true, force: true });
  else result.dir = dir;
}
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
