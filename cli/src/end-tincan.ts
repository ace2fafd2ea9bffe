/** A tincan without its agent carries traffic on, as it should; to end it, it is asked itself. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { RUN_ROOT } from '../../agent/src/config/places.ts';
import { Control } from '../../agent/src/io/control.ts';
import { readHello } from '../../agent/src/tincan.ts';
import { findRunDir, NoAgentError, type Where } from './agent-client.ts';
import { Failure } from './failure.ts';

const SOCKET = 'control.sock';
const END_MS = 5_000;

/** Its process id, once it is gone with its bridge; undefined when there is none. */
export async function endTincan(where: Where): Promise<number | undefined> {
  const runDir = await tincanDir(where);
  if (runDir === undefined) return undefined;
  const ended = Promise.withResolvers<void>();
  let control: Control;
  try {
    control = await Control.open(join(runDir, SOCKET), { event: () => undefined, closed: () => ended.resolve() });
  } catch {
    return undefined;
  }
  const { pid } = readHello(await control.request('hello', { client: 'evio agent stop' }), performance.now());
  const late = setTimeout(
    () =>
      ended.reject(new Failure(`tincan (pid ${pid}) did not end within ${END_MS / 1000} s; see ${runDir}/tincan.log`)),
    END_MS,
  );
  control.request('shutdown', { keepBridge: false }).catch(() => undefined);
  await ended.promise.finally(() => clearTimeout(late));
  return pid;
}

async function tincanDir(where: Where): Promise<string | undefined> {
  try {
    const dir = await findRunDir(where, RUN_ROOT, SOCKET);
    return existsSync(join(dir, SOCKET)) ? dir : undefined;
  } catch (error) {
    if (error instanceof NoAgentError) return undefined;
    throw error;
  }
}
