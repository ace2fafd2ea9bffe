/** A node file that its agent puts newer signed objects into. */
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { JsonError, parseJson } from '../config/json.ts';
import { loadNodeConfig } from '../config/load.ts';
import type { NodeConfig } from '../config/node-config.ts';
import { isObject } from '../config/original.ts';
import { ConfigError } from '../config/problems.ts';
import type { Papers } from '../join/papers.ts';
import { syncDirectory, writeBeside } from './atomic-file.ts';

/**
 * All else in it stays as a person has it. It is read as any other before it has its name: throws ConfigError when it could not be used
 * then, and what the system says.
 */
export function renewNodeFile(path: string, { certificate, parameters, revocations }: Papers): NodeConfig {
  const before = readObject(path);
  const changed = (section: string, objects: Readonly<Record<string, { readonly bytes: Buffer } | undefined>>) => {
    const texts = Object.entries(objects).flatMap(([key, object]) =>
      object === undefined ? [] : [[key, object.bytes.toString('base64')] as const],
    );
    const present = before[section];
    return { ...(isObject(present) ? present : {}), ...Object.fromEntries(texts) };
  };
  const value = {
    ...before,
    overlay: changed('overlay', { parameters, revocations }),
    identity: changed('identity', { certificate }),
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
