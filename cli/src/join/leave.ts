/** `evio leave`: undoes what `evio join` did on this machine, and asks the authority to revoke the node. */

import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadNodeConfig } from '../../../agent/src/config/load.ts';
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { type AnswerBody, NO_SECRET, type RequestBody, sealRequest } from '../../../agent/src/wire/join-message.ts';
import { privateKey } from '../../../agent/src/wire/keys.ts';
import { NoAgentError } from '../agent-client.ts';
import { Failure, oneLine } from '../failure.ts';
import { stopNode } from '../stop-node.ts';
import { askAuthority } from './ask.ts';
import { removeNodeIp } from './kubelet.ts';
import { stopUnit, unitOf } from './units.ts';

export interface Left {
  readonly name: string;
  readonly id: string;
  readonly overlay: string;
  /** Of the revocation list that the authority signed; null: it did not, and `why` says so. */
  readonly revoked: number | null;
  readonly why: string | null;
  /** What was stopped: units and processes. */
  readonly stopped: readonly string[];
  /** Files and directories that are gone or changed. */
  readonly files: readonly string[];
}

/** May be repeated: what is gone is gone. The node file goes last but one, since it says what there is to undo. */
export async function leave(file: string): Promise<Left> {
  const config = loadNodeConfig(file, { expired: true });
  const { certificate } = config.identity;
  const { revoked, why } = await askToRevoke(config);
  const stopped = await stopAll(config);
  const files = [...removeNodeIp(), ...removeFiles(config)];
  return {
    name: config.name,
    id: certificate.nodeId,
    overlay: config.overlay.parameters.name,
    revoked,
    why,
    stopped,
    files,
  };
}

/** While the node still runs, and by its own account, which ends with it. */
async function askToRevoke(config: NodeConfig): Promise<Pick<Left, 'revoked' | 'why'>> {
  const { identity, signalling } = config;
  const own = identity.certificate.bytes.toString('base64');
  try {
    const first = await asked(config, { type: 'leave', certificate: own });
    const answer = first.type === 'refused' && first.reason === 'member' ? await askWithNewest(config, first) : first;
    if (answer.type === 'left') return { revoked: answer.serial, why: null };
    return { revoked: null, why: answer.type === 'refused' ? oneLine(answer.message) : 'it answered something else' };
  } catch (error) {
    if (error instanceof XmppError && error.problem === 'wrong-password')
      return { revoked: null, why: `${signalling.service.url} does not know its account any more` };
    if (error instanceof XmppError || error instanceof Failure) return { revoked: null, why: oneLine(error) };
    throw error;
  }
}

/** The authority may have signed a newer certificate that never came here: with that one the node may leave. */
async function askWithNewest(config: NodeConfig, refused: AnswerBody): Promise<AnswerBody> {
  const own = config.identity.certificate.bytes.toString('base64');
  const renewed = await asked(config, { type: 'renew', certificate: own, parameters: 0, revocations: 0 });
  if (renewed.type !== 'renewed' || renewed.certificate === undefined) return refused;
  return asked(config, { type: 'leave', certificate: renewed.certificate });
}

function asked({ identity, overlay, signalling }: NodeConfig, body: RequestBody): Promise<AnswerBody> {
  const { authorityKey } = overlay.parameters;
  const account = {
    service: signalling.service.url,
    domain: signalling.domain,
    username: signalling.username,
    password: signalling.password.reveal(),
    ca: signalling.ca,
    // That its certificate has dates this machine's clock does not like is no reason to stay.
    time: () => undefined,
  };
  const request = sealRequest(body, authorityKey, privateKey('ed25519', identity.seed.reveal()), NO_SECRET);
  const sessionKey = privateKey('x25519', identity.sessionKey.reveal());
  return askAuthority({ account, authorityKey, asked: request, sessionKey }, (answer) => answer);
}

async function stopAll({ file, runDir }: NodeConfig): Promise<readonly string[]> {
  const stopped: string[] = [];
  const unit = unitOf(file);
  // First, or systemd would start again what is ended; it leaves tincan.
  if (unit !== undefined) {
    await stopUnit(unit);
    stopped.push(unit);
  }
  try {
    const done = await stopNode({ runDir });
    stopped.push(done.kind === 'node' ? `the agent (pid ${done.pid}) and its tincan` : `tincan (pid ${done.pid})`);
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
  }
  return stopped;
}

/** Of the run directory: what agent and tincan keep there. */
const RUN_FILES = [...['agent.sock', 'control.sock', 'switch.sock', 'relay.sock', 'tincan.lock', 'tincan.log']];
const STATE_FILES = ['members.json'] as const;

function removeFiles({ file, runDir, stateDir }: NodeConfig): readonly string[] {
  const removed: string[] = [];
  const remove = (path: string): void => {
    if (!existsSync(path)) return;
    try {
      rmSync(path);
    } catch (error) {
      throw new Failure(`cannot remove ${path}: ${systemReason(error)}`);
    }
    removed.push(path);
  };
  remove(file);
  remove(`${file}.join`);
  // They may be anybody's directories, so nothing but what is ours goes.
  for (const [dir, names] of [
    [stateDir, STATE_FILES],
    [runDir, RUN_FILES],
  ] as const) {
    for (const name of names) rmSync(join(dir, name), { force: true });
    if (isEmpty(dir)) {
      rmdirSync(dir);
      removed.push(dir);
    }
  }
  for (const dir of [dirname(stateDir), dirname(runDir)]) if (/\/evio$/.test(dir) && isEmpty(dir)) rmdirSync(dir);
  return removed;
}

function isEmpty(dir: string): boolean {
  try {
    return readdirSync(dir).length === 0;
  } catch {
    return false;
  }
}
