/** A node file that its agent puts newer signed objects into, and what its authority says of the XMPP server. */
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { JsonError, parseJson } from '../config/json.ts';
import { loadNodeConfig } from '../config/load.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { isObject } from '../config/original.ts';
import { ConfigError } from '../config/problems.ts';
import type { Papers } from '../join/papers.ts';
import type { JoinedAccount } from '../wire/join-message.ts';
import { syncDirectory, writeBeside } from './atomic-file.ts';

/**
 * All else in it stays as a person has it. It is read as any other before it has its name: throws ConfigError when it could not be used
 * then, and what the system says.
 */
export function renewNodeFile(path: string, papers: Papers): NodeConfig {
  const { certificate, parameters, revocations, account, excludeRoutes } = papers;
  const before = readObject(path);
  const section = (name: string): Readonly<Record<string, unknown>> => {
    const present = before[name];
    return isObject(present) ? present : {};
  };
  const changed = (name: string, objects: Readonly<Record<string, { readonly bytes: Buffer } | undefined>>) => {
    const texts = Object.entries(objects).flatMap(([key, object]) =>
      object === undefined ? [] : [[key, object.bytes.toString('base64')] as const],
    );
    return { ...section(name), ...Object.fromEntries(texts) };
  };
  const value = {
    ...before,
    overlay: changed('overlay', { parameters, revocations }),
    identity: changed('identity', { certificate }),
    ...(account === undefined ? {} : placeOf(account, section)),
    ...(excludeRoutes.length === 0 ? {} : { network: withRoutes(section('network'), excludeRoutes) }),
  };
  const beside = `${path}.new`;
  try {
    writeBeside(beside, `${JSON.stringify(value, null, 2)}\n`, statSync(path).mode & 0o777);
    const config = loadNodeConfig(beside, { expired: true });
    renameSync(beside, path);
    syncDirectory(dirname(path));
    return { ...config, file: path };
  } finally {
    rmSync(beside, { force: true });
  }
}

/** The server, and what nodes learn their addresses from; no `ca`: public authorities. */
function placeOf({ stun, ...account }: JoinedAccount, section: (name: string) => Readonly<Record<string, unknown>>) {
  const { ca: _, ...signalling } = section('signalling');
  return { signalling: { ...signalling, ...account }, ice: { ...section('ice'), stun } };
}

/** What a person has excluded stays so. */
function withRoutes(network: Readonly<Record<string, unknown>>, more: readonly string[]) {
  const present = Array.isArray(network.excludeRoutes) ? network.excludeRoutes : [];
  return { ...network, excludeRoutes: [...present, ...more] };
}

function readObject(path: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(readFileSync(path, 'utf8'));
    if (isObject(value)) return value;
    throw new ConfigError(path, ['it is no node file']);
  } catch (error) {
    if (error instanceof JsonError) throw new ConfigError(path, [error.message]);
    throw error;
  }
}
