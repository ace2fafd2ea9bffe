/** The administrator's account, made with Prosody's own tool while Prosody need not run. */

import { Failure } from '../failure.ts';
import { run } from '../process.ts';
import { INSTALL } from './users.ts';

/**
 * `prosodyctl adduser` reads the password twice from its input, so it stands in no process list. For an account that is
 * there it fails, and `passwd` does the same for it.
 */
export async function putAccount(config: string, jid: string, password: string): Promise<void> {
  const input = `${password}\n${password}\n`;
  let last = '';
  for (const verb of ['adduser', 'passwd']) {
    const done = await run('prosodyctl', ['--config', config, verb, jid], { input, missing: `run: ${INSTALL}` });
    if (done.code === 0) return;
    last = (done.stdout + done.stderr).trim().split('\n').at(-1) ?? '';
  }
  throw new Failure(`cannot make the account ${jid}: prosodyctl said: ${last}`);
}
