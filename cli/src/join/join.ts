/** `evio join TOKEN`: this machine makes its own keys, asks the authority, and has a node file. */

import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadNodeConfig } from '../../../agent/src/config/load.ts';
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import { ConfigError } from '../../../agent/src/config/problems.ts';
import type { NodeFileInput } from '../../../agent/src/config/schema.ts';
import { syncDirectory, writeBeside } from '../../../agent/src/io/atomic-file.ts';
import { removeEmpty, systemReason } from '../../../agent/src/io/system-error.ts';
import { DatesError, XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { shownCertificates } from '../../../agent/src/io/xmpp-tls.ts';
import { familyOf, formatAddress, parseAddress } from '../../../agent/src/wire/address.ts';
import { parseCertificate } from '../../../agent/src/wire/certificate.ts';
import { isName, overlayIdOf } from '../../../agent/src/wire/ids.ts';
import { type AnswerBody, sealRequest } from '../../../agent/src/wire/join-message.ts';
import {
  decodeToken,
  type JoinToken,
  pemOf,
  tokenAccountName,
  tokenId,
  tokenPassword,
} from '../../../agent/src/wire/join-token.ts';
import { rawPrivateKey, rawPublicKey, sha256 } from '../../../agent/src/wire/keys.ts';
import { DecodeError, fromBase64 } from '../../../agent/src/wire/reader.ts';
import { Failure, UsageError } from '../failure.ts';
import { nodeFileOf } from '../overlay/admit.ts';
import { nowSeconds } from '../overlay/create.ts';
import { newDirectory } from '../server/layout.ts';
import { STANDARD_INPUT } from '../usage.ts';
import { type Account, askAuthority, UnclearError } from './ask.ts';
import { Draft, type Keys, RefusedError } from './draft.ts';
import { type Kubelet, kubeletsHere, nameHint, writeNodeIp } from './kubelet.ts';
import { startUnit, unitOf } from './units.ts';

export interface JoinOptions {
  /** The line, or STANDARD_INPUT. */
  readonly token: string;
  /** Undefined: the machine's name. */
  readonly name: string | undefined;
  /** At most one of each family. */
  readonly addresses: readonly string[];
  /** Undefined: the node file's defaults. */
  readonly runDir: string | undefined;
  readonly stateDir: string | undefined;
  readonly config: string;
  readonly start: boolean;
  /** Write the kubelet's --node-ip; `families`: of how many. */
  readonly nodeIp: { readonly kubelet: Kubelet | undefined; readonly families: 1 | 2 } | undefined;
}

export interface Joined {
  readonly name: string;
  readonly id: string;
  readonly overlay: string;
  readonly addresses: readonly string[];
  readonly file: string;
  readonly validUntil: string;
  /** The unit that was started; null: none. */
  readonly unit: string | null;
  /** Files that have --node-ip now. */
  readonly kubelet: readonly string[];
  /** What to do about the kubelet's name; null: nothing. */
  readonly kubeletName: string | null;
}

export async function join(options: JoinOptions): Promise<Joined> {
  const token = readToken(options.token);
  const name = nameOf(options.name);
  const wishes = wishesOf(options.addresses);
  const file = resolve(options.config);
  refuseMember(file);
  const kubelets = options.nodeIp === undefined ? [] : kubeletsOf(options.nodeIp.kubelet);
  const made = newDirectory(dirname(file), 0o755);
  const draft = new Draft(`${file}.join`);
  let config: NodeConfig;
  try {
    config = await enrol(token, name, wishes, file, draft, placesOf(options));
  } catch (error) {
    draft.failed(error);
    if (made !== undefined) removeEmpty(dirname(file), made);
    throw error;
  }
  const unit = options.start ? unitOf(file) : undefined;
  if (unit !== undefined) await startUnit(unit);
  return {
    name: config.name,
    id: config.identity.certificate.nodeId,
    overlay: config.overlay.parameters.name,
    addresses: config.identity.certificate.addresses.map((a) => `${a.address}/${a.length}`),
    file,
    validUntil: new Date(config.identity.certificate.notAfter * 1000).toISOString(),
    unit: unit ?? null,
    kubelet: options.nodeIp === undefined ? [] : await tellKubelets(config, kubelets, options.nodeIp.families),
    kubeletName: options.nodeIp === undefined ? null : (nameHint(config.name, hostname()) ?? null),
  };
}

const placesOf = ({ runDir, stateDir }: JoinOptions): Partial<NodeFileInput> => ({
  ...(runDir === undefined ? {} : { runDir: resolve(runDir) }),
  ...(stateDir === undefined ? {} : { stateDir: resolve(stateDir) }),
});

// ---- what is asked for -----------------------------------------------------------------------------------------------

function readToken(argument: string): JoinToken {
  let text = argument;
  if (argument === STANDARD_INPUT) {
    try {
      text = readFileSync(0, 'utf8');
    } catch (error) {
      throw new UsageError(`cannot read the token from standard input: ${systemReason(error)}`);
    }
  }
  try {
    return decodeToken(text);
  } catch (error) {
    if (error instanceof DecodeError) throw new UsageError(`the token cannot be used: ${error.message}`);
    throw error;
  }
}

function nameOf(wanted: string | undefined): string {
  const allowed = 'allowed: lower-case letters, digits and "-", 1 to 63 of them';
  if (wanted !== undefined) {
    if (isName(wanted)) return wanted;
    throw new UsageError(`--name: "${wanted}" is not allowed; ${allowed}`);
  }
  const own = (hostname().split('.')[0] ?? '').toLowerCase();
  if (isName(own)) return own;
  throw new UsageError(`this machine's name "${own}" is none for a node; give one with --name (${allowed})`);
}

interface Wishes {
  readonly address4?: string;
  readonly address6?: string;
}

function wishesOf(addresses: readonly string[]): Wishes {
  const wishes: { address4?: string; address6?: string } = {};
  for (const text of addresses) {
    let key: 'address4' | 'address6';
    let address: string;
    try {
      key = familyOf(text) === 4 ? 'address4' : 'address6';
      address = formatAddress(parseAddress(text));
    } catch {
      throw new UsageError(`--address: "${text}" is not allowed; allowed: an address of the overlay`);
    }
    if (wishes[key] !== undefined)
      throw new UsageError('--address: two addresses of one family are given; give one of each at most');
    wishes[key] = address;
  }
  return wishes;
}

/** One machine may be in several overlays, each with a file of its own. */
function refuseMember(file: string): void {
  if (!existsSync(file)) return;
  let whose = '';
  try {
    const { name, overlay } = loadNodeConfig(file, { expired: true });
    whose = `: this machine is node ${name} of overlay ${overlay.parameters.name}`;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  throw new Failure(`${file} is there already${whose}; take it off with evio leave, or give another --config`);
}

function kubeletsOf(wanted: Kubelet | undefined): readonly Kubelet[] {
  const found = wanted === undefined ? kubeletsHere() : [wanted];
  if (found.length === 0)
    throw new Failure('--node-ip: there is no kubelet here yet; say which it will be with --kubelet kubeadm or k3s');
  return found;
}

// ---- the authority ---------------------------------------------------------------------------------------------------

async function enrol(
  token: JoinToken,
  name: string,
  wishes: Wishes,
  file: string,
  draft: Draft,
  places: Partial<NodeFileInput>,
): Promise<NodeConfig> {
  const keys = draft.keysFor(tokenId(token.secret), name);
  const body = {
    type: 'join',
    name,
    identityKey: rawPublicKey(keys.identity).toString('base64'),
    sessionKey: rawPublicKey(keys.session).toString('base64'),
    ...wishes,
  } as const;
  try {
    const asked = sealRequest(body, token.authorityKey, keys.identity, token.secret);
    const question = {
      account: await accountOf(token),
      authorityKey: token.authorityKey,
      asked,
      sessionKey: keys.session,
      heard: () => draft.heard(),
    };
    return await askAuthority(question, (answer) => writeNodeFile(answer, token, keys, file, places));
  } catch (error) {
    throw inWords(error, token);
  }
}

/** A token holds thirty days at most (cli/src/commands/authority.ts): a clock before that is wrong. */
const LIFE_MAX_SECONDS = 31 * 86_400;

async function accountOf(token: JoinToken): Promise<Account> {
  const { service, domain, secret, expires } = token;
  const now = nowSeconds();
  const credible = now <= expires && now >= expires - LIFE_MAX_SECONDS;
  return {
    service,
    domain,
    username: tokenAccountName(tokenId(secret)),
    password: tokenPassword(secret),
    ca: await trustedBy(token),
    // The token tells the time to who has no clock: the server's certificate has to hold by it.
    ...(credible ? {} : { time: () => expires }),
  };
}

const CONNECT_MS = 15_000;

/** PEM; undefined: public authorities. */
async function trustedBy({ trusted, service, domain }: JoinToken): Promise<string | undefined> {
  switch (trusted.kind) {
    case 'public':
      return undefined;
    case 'certificates':
      return trusted.certificates.map(pemOf).join('');
    case 'fingerprint': {
      const shown = await shownCertificates({ service, domain, signal: AbortSignal.timeout(CONNECT_MS) });
      const found = shown.find((one) => sha256(one).equals(Buffer.from(trusted.sha256)));
      if (found === undefined) throw untrusted(service);
      return pemOf(found);
    }
  }
}

const untrusted = (service: string): Failure =>
  new Failure(
    `the certificate of ${service} is not by the authority that the token names: somebody is in between, or the server was set up anew; nothing was sent, get another token`,
  );

/** What went wrong, for who has a token and nothing else. */
function inWords(error: unknown, { service, expires }: JoinToken): unknown {
  if (!(error instanceof XmppError)) return error;
  if (error.problem === 'untrusted-certificate' && !(error instanceof DatesError) && /authority/.test(error.message))
    return untrusted(service);
  if (error.problem !== 'wrong-password') return error;
  const end = new Date(expires * 1000).toISOString().replace('.000Z', 'Z');
  const why = nowSeconds() > expires ? `it expired at ${end}` : 'it was used or revoked';
  return new Failure(`${service} does not take the token any more: ${why}; get another one (evio token create)`);
}

/** The answer becomes a node file, which is read as any other before it has its name. */
function writeNodeFile(
  answer: AnswerBody,
  { authorityKey }: JoinToken,
  keys: Keys,
  file: string,
  places: Partial<NodeFileInput>,
): NodeConfig {
  if (answer.type === 'refused') throw refusedBy(answer.reason, answer.message);
  if (answer.type !== 'joined') throw new Failure('the authority answered something else than was asked');
  const { parameters, revocations, certificate, excludeRoutes, account } = answer;
  const value: NodeFileInput = {
    ...nodeFileOf({
      // Of an EvioPeer's token it is the EvioPeer's; else the one that was asked for.
      name: certifiedName(certificate),
      parameters,
      revocations,
      certificate,
      keys: { seed: rawPrivateKey(keys.identity), sessionKey: rawPrivateKey(keys.session) },
      account,
      stun: account.stun,
    }),
    ...(excludeRoutes === undefined ? {} : { network: { excludeRoutes } }),
    ...places,
  };
  const beside = `${file}.new`;
  try {
    writeBeside(beside, `${JSON.stringify(value, null, 2)}\n`, 0o600);
    const config = loadNodeConfig(beside, { expired: true });
    if (config.overlay.parameters.overlayId !== overlayIdOf(authorityKey))
      throw new Failure('the authority answered for another overlay');
    renameSync(beside, file);
    rmSync(`${file}.join`, { force: true });
    syncDirectory(dirname(file));
    return { ...config, file };
  } catch (error) {
    if (error instanceof ConfigError)
      throw new Failure(`the answer of the authority makes no node file: ${error.problems.join('; ')}`);
    if (error instanceof Failure) throw error;
    // The authority has counted this machine: with the keys that are kept it is answered the same.
    throw new UnclearError(`cannot write ${file}: ${systemReason(error)}; then run the same command again`);
  } finally {
    discard(beside);
  }
}

function certifiedName(certificate: string): string {
  try {
    return parseCertificate(fromBase64(certificate)).name;
  } catch (error) {
    if (error instanceof DecodeError) throw new Failure(`the authority answered with ${error.message}`);
    throw error;
  }
}

/** What cannot be removed stays: it is not what the person has to hear of. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Somebody's directory.
  }
}

function refusedBy(reason: string, message: string): Failure {
  const text = message.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  // Another --address is for the command line to give.
  if (reason === 'address') return new UsageError(text);
  if (reason === 'unavailable') return new UnclearError(`${text}; run the same command again later`);
  // There may be room later, and a use was counted perhaps.
  return reason === 'full' ? new Failure(text) : new RefusedError(text);
}

// ---- the kubelet -----------------------------------------------------------------------------------------------------

const ADDRESS_MS = 60_000;

/** The addresses first: a kubelet that starts before them is refused by itself ("failed to validate nodeIP"). */
async function tellKubelets(
  { identity, network, file }: NodeConfig,
  kubelets: readonly Kubelet[],
  families: 1 | 2,
): Promise<readonly string[]> {
  const { bridge } = network;
  const all = [...identity.certificate.addresses].sort((a, b) => a.family - b.family).map((a) => a.address);
  const addresses = all.slice(0, families);
  const until = performance.now() + ADDRESS_MS;
  while (!addresses.every((address) => networkInterfaces()[bridge]?.some((own) => own.address === address))) {
    if (performance.now() > until)
      throw new Failure(
        `${bridge} has no ${addresses.join(' and ')} after ${ADDRESS_MS / 1000} s: start the node (evio agent run --config ${file}), then write --node-ip by hand, or evio leave and join again`,
      );
    await sleep(100);
  }
  return kubelets.map((kind) => writeNodeIp(kind, addresses));
}
