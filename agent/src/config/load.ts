/** From a path to a configuration that can be used, or to a list of everything that is wrong with it. */

import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { besideNodeFile, exposedError, FileError, readConfigFile } from './files.ts';
import { JsonError, parseJson } from './json.ts';
import { leafOf, shapeOf } from './leaf.ts';
import { checkMembership } from './membership.ts';
import type { NodeConfig } from './node-config.ts';
import { isOriginal, originalProblem } from './original.ts';
import { RUN_ROOT, STATE_ROOT } from './places.ts';
import { ConfigError, problemsOf } from './problems.ts';
import { type NodeFile, nodeFile, type SecretSource } from './schema.ts';
import { Secret } from './secret.ts';
import { serviceOf } from './service.ts';

export interface LoadOptions {
  /** Take an expired certificate too: to renew it, or because the clock may be what is wrong. */
  readonly expired?: boolean;
}

/** Reads, checks and resolves a node file. Throws ConfigError with every problem found. */
export function loadNodeConfig(path: string, options: LoadOptions = {}): NodeConfig {
  const file = resolve(path);
  try {
    const opened = readConfigFile(file);
    const raw = parseJson(opened.text);
    if (isOriginal(raw)) throw new ConfigError(file, [originalProblem(file)]);
    const checked = nodeFile.safeParse(raw);
    if (!checked.success) throw new ConfigError(file, problemsOf(nodeFile, raw, checked.error));
    return resolveNodeFile(file, checked.data, opened.exposed, options.expired ? 0 : Date.now() / 1000);
  } catch (error) {
    if (error instanceof FileError) throw new ConfigError(file, [error.short]);
    if (error instanceof JsonError) throw new ConfigError(file, [error.message]);
    throw error;
  }
}

const NO_PREFIXES =
  'pods: the certificate has no prefix for them; renew the node with --route PREFIX, or leave this section out';

const SECRETS = secretPaths();

/** Keys of the schema that are secrets, found once: the list cannot fall behind the schema. */
export function secretPaths(): readonly (readonly [string, string])[] {
  return Object.entries(shapeOf(nodeFile) ?? {}).flatMap(([section, schema]) =>
    Object.entries(shapeOf(schema) ?? {})
      .filter(([, member]) => leafOf(member)?.secret)
      .map(([key]) => [section, key] as const),
  );
}

function resolveNodeFile(path: string, data: NodeFile, exposed: string | undefined, nowSeconds: number): NodeConfig {
  const problems: string[] = [];
  const inline = SECRETS.filter(([section, key]) => typeof Reflect.get(Reflect.get(data, section), key) === 'string');
  if (inline.length > 0 && exposed !== undefined) problems.push(exposedError(path, exposed).short);

  const attempt = <T>(key: string, fallback: T, read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      problems.push(`${key}: ${error.message}`);
      return fallback;
    }
  };
  const text = (key: string, source: SecretSource, secret: boolean): string =>
    typeof source === 'string' ? source : attempt(key, '', () => readNamed(path, source.file, secret));
  const key32 = (key: string, source: SecretSource): Secret<Uint8Array> => {
    const before = problems.length;
    const bytes = Buffer.from(text(key, source, true), 'base64');
    if (bytes.length === 32) return new Secret<Uint8Array>(new Uint8Array(bytes));
    if (problems.length === before) problems.push(`${key}: its file holds no such key; allowed: 32 bytes in base64`);
    return new Secret<Uint8Array>(new Uint8Array());
  };

  const seed = key32('identity.key', data.identity.key);
  const sessionKey = key32('identity.sessionKey', data.identity.sessionKey);
  const password = text('signalling.password', data.signalling.password, true);
  const ca = data.signalling.ca === undefined ? undefined : text('signalling.ca', data.signalling.ca, false);
  if (ca !== undefined && problems.length === 0) checkCa(ca, problems);
  const membership = checkMembership(
    {
      name: data.name,
      parameters: data.overlay.parameters,
      certificate: data.identity.certificate,
      revocations: data.overlay.revocations,
      seed: seed.reveal(),
      sessionKey: sessionKey.reveal(),
    },
    Math.floor(nowSeconds),
    (problem) => problems.push(problem),
  );
  if (data.pods !== undefined && membership?.certificate.routes.length === 0) problems.push(NO_PREFIXES);
  if (membership === undefined || problems.length > 0) throw new ConfigError(path, problems);

  const { parameters, certificate, revocations } = membership;
  return {
    file: path,
    name: data.name,
    overlay: { parameters, revocations },
    identity: { seed, sessionKey, certificate },
    signalling: {
      service: serviceOf(data.signalling.service),
      domain: data.signalling.domain,
      username: data.signalling.username,
      password: new Secret(password),
      ca,
      room: data.signalling.room,
    },
    ice: data.ice,
    network: data.network,
    switch: data.switch,
    ovs: data.ovs,
    pods: data.pods,
    topology: {
      successors: data.topology.successors ?? parameters.topology.successors,
      longDistance: data.topology.longDistance ?? parameters.topology.longDistance,
      onDemand: data.topology.onDemand ?? parameters.topology.onDemand,
      fullMesh: data.topology.fullMesh ?? parameters.topology.fullMesh,
      static: data.topology.static,
    },
    runDir: data.runDir ?? join(RUN_ROOT, parameters.name),
    stateDir: data.stateDir ?? join(STATE_ROOT, parameters.name),
    metrics: data.metrics,
    log: data.log,
  };
}

function checkCa(pem: string, problems: string[]): void {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (found.length > 0 && found.every((one) => new X509Certificate(one).subject !== undefined)) return;
  } catch {
    // The words of OpenSSL ("asn1 encoding routines") help nobody.
  }
  problems.push('signalling.ca: the text is no PEM certificate; allowed: PEM text, or {"file": "PATH"}');
}

function readNamed(nodeFilePath: string, name: string, secret: boolean): string {
  const opened = readConfigFile(besideNodeFile(nodeFilePath, name));
  if (secret && opened.exposed !== undefined) throw exposedError(opened.path, opened.exposed);
  // An editor ends a file with a newline; no secret of ours does.
  const text = opened.text.replace(/\r?\n$/, '');
  if (text === '') throw new FileError(`${opened.path} is empty`, 'it is empty');
  return text;
}
