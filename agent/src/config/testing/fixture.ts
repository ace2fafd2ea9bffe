/** A complete, valid node file for tests: keys, parameters and certificate made on the spot. */

import type { KeyObject } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePrefix } from '../../wire/address.ts';
import { encodeCertificate } from '../../wire/certificate.ts';
import { overlayIdOf } from '../../wire/ids.ts';
import { generatePrivateKey, rawPrivateKey, rawPublicKey } from '../../wire/keys.ts';
import { macRulesOf } from '../../wire/mac.ts';
import { encodeParameters, MTU_AUTO } from '../../wire/parameters.ts';

export interface FixtureOptions {
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly address?: string;
  readonly name?: string;
  /** Nodes of one overlay have one. */
  readonly authority?: KeyObject;
  readonly serial?: bigint;
  /** Prefixes behind the node. */
  readonly routes?: readonly string[];
}

const YEAR_SECONDS = 365 * 86_400;

/** The JSON value of a node file that the loader takes. */
export function nodeFileValue(options: FixtureOptions = {}) {
  const now = Math.floor(Date.now() / 1000);
  const authority = options.authority ?? generatePrivateKey('ed25519');
  const serial = options.serial ?? 1n;
  const [identity, session] = [generatePrivateKey('ed25519'), generatePrivateKey('x25519')];
  const addresses = [parsePrefix(options.address ?? '10.45.0.1/16')];
  const routes = (options.routes ?? []).map(parsePrefix);
  const parameters = encodeParameters(
    {
      name: 'lab',
      serial: 1n,
      issued: options.notBefore ?? now,
      mtu: MTU_AUTO,
      ciphers: ['aes-128-gcm', 'chacha20-poly1305'],
      subnet4: parsePrefix('10.45.0.0/16'),
      topology: { successors: 2, longDistance: 'auto', onDemand: 8, fullMesh: 'auto' },
    },
    authority,
  );
  const certificate = encodeCertificate(
    {
      overlayId: overlayIdOf(rawPublicKey(authority)),
      identityKey: rawPublicKey(identity),
      sessionKey: rawPublicKey(session),
      name: options.name ?? 'pi1',
      addresses,
      routes,
      macs: macRulesOf(addresses, routes, serial),
      serial,
      notBefore: options.notBefore ?? now,
      notAfter: options.notAfter ?? now + YEAR_SECONDS,
    },
    authority,
  );
  return {
    apiVersion: 'evio/1',
    name: options.name ?? 'pi1',
    overlay: { parameters: parameters.toString('base64') },
    identity: {
      key: rawPrivateKey(identity).toString('base64'),
      sessionKey: rawPrivateKey(session).toString('base64'),
      certificate: certificate.toString('base64'),
    },
    signalling: {
      service: 'xmpps://192.0.2.1:5223',
      domain: 'evio.example',
      username: 'pi1.lab',
      password: 'correct horse battery staple',
      room: 'lab@conference.evio.example',
    },
  };
}

/** Writes a value as a node file only its owner can read; gives its path. */
export function writeNodeFile(value: unknown, mode = 0o600): string {
  const path = join(mkdtempSync(join(tmpdir(), 'evio-config-')), 'node.json');
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value), { mode });
  return path;
}
