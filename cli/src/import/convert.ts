/** From an old configuration to what a node file can take from it. Pure: a JSON value goes in. */

import { isIPv4, isIPv6 } from 'node:net';
import { shapeOf } from '../../../agent/src/config/leaf.ts';
import { isObject, isOriginal, type Json, ORIGINAL_MODULES } from '../../../agent/src/config/original.ts';
import { nodeFile } from '../../../agent/src/config/schema.ts';
import { networkOf } from '../../../agent/src/wire/address.ts';
import { isName } from '../../../agent/src/wire/ids.ts';
import { SWITCH_OF, type Version } from './keys.ts';
import { kindOf, type Note, type Walked, walk } from './walk.ts';

/** Everything that is wrong with the old file, each in one line. */
export class ImportError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/** The part of a node file that an old file knows. */
export interface PartialNodeFile {
  readonly apiVersion: 'evio/1';
  readonly name?: string;
  readonly switch?: string;
  readonly signalling?: { readonly service?: string; readonly domain?: string };
  readonly ice?: { readonly stun: readonly string[] };
  readonly network?: {
    readonly bridge?: string;
    readonly tap?: string;
    readonly excludeInterfaces?: readonly string[];
  };
  readonly topology?: { readonly successors?: number; readonly longDistance?: number; readonly onDemand?: number };
  readonly log?: { readonly level: 'error' | 'warn' | 'info' | 'debug' };
}

export interface Imported {
  readonly version: Version;
  /** Its id in the old file. */
  readonly overlay: string;
  /** For `evio node enroll`. */
  readonly name: string | undefined;
  readonly address4: string | undefined;
  /** For `evio overlay create`: the subnet of that address. */
  readonly subnet4: string | undefined;
  readonly file: PartialNodeFile;
  readonly notes: readonly Note[];
}

/** Throws ImportError. `overlay`: the one that is meant, where the file has several; `option` is what chooses it. */
export function importOriginal(root: unknown, overlay: string | undefined, option = '--overlay'): Imported {
  if (!isOriginal(root)) throw new ImportError([notOriginal(root)]);
  const overlays = overlaysOf(root);
  const chosen = choose(overlays, overlay, option);
  const walked = walk(root, chosen, overlays);
  const reader = new Reader(walked);
  const imported = convert(reader, Object.hasOwn(root, 'CFx') ? '21.x' : '24.1', chosen);
  if (reader.problems.length > 0) throw new ImportError(reader.problems);
  return imported;
}

function notOriginal(root: unknown): string {
  if (!isObject(root)) return `it is ${kindOf(root)}; a configuration of the original EdgeVPN.io is a JSON object`;
  if (root.apiVersion === 'evio/1') return 'it is a node file of this Evio already; use it as it is';
  return `it is no configuration of the original EdgeVPN.io: none of its modules (${ORIGINAL_MODULES.slice(0, 5).join(', ')} ...) is an object in it`;
}

const member = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;

/** Those that the controller is told to run; where that list is missing, those that have settings. */
function overlaysOf(root: Json): readonly string[] {
  for (const module of ['Broker', 'CFx']) {
    const list = member(member(root, module), 'Overlays');
    if (list === undefined) continue;
    if (Array.isArray(list) && list.length > 0 && list.every((id) => typeof id === 'string' && id !== ''))
      return [...new Set(list as readonly string[])];
    throw new ImportError([
      `${module}.Overlays: ${kindOf(list)} like this is not allowed; allowed: a list of overlay ids`,
    ]);
  }
  const ids = ORIGINAL_MODULES.flatMap((module) => {
    const map = member(member(root, module), 'Overlays');
    return isObject(map) ? Object.keys(map) : [];
  });
  if (ids.length === 0) throw new ImportError(['Broker.Overlays: missing; allowed: a list of overlay ids']);
  return [...new Set(ids)];
}

/** An id as it may be printed on one line. */
const shown = (id: string): string => (/^[\w.-]{1,60}$/.test(id) ? id : JSON.stringify(id.slice(0, 60)));

function choose(overlays: readonly string[], wanted: string | undefined, option: string): string {
  const list = overlays.map(shown).join(', ');
  if (wanted !== undefined) {
    if (overlays.includes(wanted)) return wanted;
    throw new ImportError([`it has no overlay ${shown(wanted)}; ${option} can be: ${list}`]);
  }
  if (overlays.length === 1) return overlays[0] as string;
  throw new ImportError([
    `it has ${overlays.length} overlays, and a node file has one; choose with ${option}: ${list}`,
  ]);
}

/** What the table's walk has found, read with checks; what is wrong and what is to be told is gathered. */
class Reader {
  readonly notes: Note[];
  readonly problems: string[];
  readonly #walked: Walked;

  constructor(walked: Walked) {
    this.#walked = walked;
    this.notes = [...walked.notes];
    this.problems = [...walked.problems];
  }

  pathOf(key: string): string {
    return this.#walked.values.get(key)?.path ?? key;
  }

  refuse(key: string, allowed: string): undefined {
    const value = this.#walked.values.get(key)?.value;
    const what = typeof value === 'number' ? String(value) : typeof value === 'string' ? 'this text' : kindOf(value);
    this.problems.push(`${this.pathOf(key)}: ${what} is not allowed; allowed: ${allowed}`);
    return undefined;
  }

  tell(key: string, was: string, now: string): void {
    this.notes.push({ key: this.pathOf(key), was, now });
  }

  text(key: string, allowed = 'a text'): string | undefined {
    const value = this.#walked.values.get(key)?.value;
    if (value === undefined || typeof value === 'string') return value;
    return this.refuse(key, allowed);
  }

  /** The original took a number in quotes too. */
  number(key: string, min: number, max: number): number | undefined {
    const value = this.#walked.values.get(key)?.value;
    if (value === undefined) return undefined;
    const number = typeof value === 'string' && /^[0-9]{1,9}$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
    return this.refuse(key, `a whole number from ${min} to ${max}`);
  }

  texts(key: string): readonly string[] {
    const value = this.#walked.values.get(key)?.value;
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
    this.refuse(key, 'a list of texts');
    return [];
  }

  /** Whether it is there at all, it or something below it. */
  has(key: string): boolean {
    return [...this.#walked.values.keys()].some((k) => k === key || k.startsWith(`${key}.`));
  }
}

/** Whether the node file's schema takes a value at this place. */
export function fits(section: string, key: string, value: unknown): boolean {
  const place = shapeOf(nodeFile)?.[section];
  return (place === undefined ? undefined : shapeOf(place)?.[key])?.safeParse(value).success ?? false;
}

const SIGNAL = 'Signal.Overlays.*';
const TOPOLOGY = 'Topology.Overlays.*';
const DEVICE = 'BridgeController.Overlays.*.NetDevice';
const MAX_OLD = 1_000_000;

function convert(reader: Reader, version: Version, overlay: string): Imported {
  const account = reader.text(`${SIGNAL}.Username`)?.split('/')[0] ?? '';
  const [local = '', domain] = account.split('@') as [string?, string?];
  const signalling = signallingOf(reader, domain?.toLowerCase());
  const name = nameOf(reader.text('OverlayVisualizer.NodeName')) ?? nameOf(local);
  const { address4, subnet4 } = addressOf(reader);
  const stun = stunOf(reader);
  const network = networkSection(reader, overlay);
  const topology = topologyOf(reader);
  const level = levelOf(reader);
  const kind = switchOf(reader);
  const file: PartialNodeFile = {
    apiVersion: 'evio/1',
    ...(name === undefined ? {} : { name }),
    ...(kind === undefined ? {} : { switch: kind }),
    ...(Object.keys(signalling).length === 0 ? {} : { signalling }),
    ...(stun.length === 0 ? {} : { ice: { stun } }),
    ...(Object.keys(network).length === 0 ? {} : { network }),
    ...(Object.keys(topology).length === 0 ? {} : { topology }),
    ...(level === undefined ? {} : { log: { level } }),
  };
  return { version, overlay, name, address4, subnet4, file, notes: reader.notes };
}

/** A name that Evio takes, as near as can be. */
function nameOf(text: string | undefined): string | undefined {
  const name = (text ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 64)
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return isName(name) ? name : undefined;
}

const bracketed = (host: string): string => (isIPv6(host) ? `[${host}]` : host);

/** 5223 is the port on which TLS comes first; the original's 5222 became TLS by STARTTLS, and so it is with `xmpp:`. */
function signallingOf(reader: Reader, domain: string | undefined): { service?: string; domain?: string } {
  const host = reader.text(`${SIGNAL}.HostAddress`, 'a host name or an address');
  const port = reader.number(`${SIGNAL}.Port`, 1, 65_535) ?? 5222;
  const made: { service?: string; domain?: string } = {};
  if (host !== undefined) {
    const service = `${port === 5223 ? 'xmpps' : 'xmpp'}://${bracketed(host)}:${port}`;
    if (fits('signalling', 'service', service)) made.service = service;
    else reader.refuse(`${SIGNAL}.HostAddress`, 'a host name or an address');
  }
  if (domain !== undefined && fits('signalling', 'domain', domain)) made.domain = domain;
  return made;
}

function addressOf(reader: Reader): { address4: string | undefined; subnet4: string | undefined } {
  const read = (at: string) => {
    const address = reader.text(`${at}.IP4`, 'an IPv4 address');
    const length = reader.number(`${at}.PrefixLen`, 1, 32);
    if (address !== undefined && !isIPv4(address)) reader.refuse(`${at}.IP4`, 'an IPv4 address');
    return address !== undefined && isIPv4(address) ? { at, address, length } : undefined;
  };
  const [onSwitch, onApp] = [read(DEVICE), read(`${DEVICE}.AppBridge`)];
  if (onSwitch !== undefined && onApp !== undefined)
    reader.tell(`${DEVICE}.IP4`, 'a second address, on the switch', 'a node has one IPv4 address: that of AppBridge');
  const meant = onApp ?? onSwitch;
  if (meant === undefined) return { address4: undefined, subnet4: undefined };
  const { address, length } = meant;
  if (length === undefined) return { address4: address, subnet4: undefined };
  const subnet = networkOf({ family: 4, address, length });
  return { address4: address, subnet4: `${subnet.address}/${length}` };
}

const STUN_MAX = 8;

function stunOf(reader: Reader): readonly string[] {
  const all = [...new Set(reader.texts('LinkManager.Stun'))];
  const good = all.filter((server) => fits('ice', 'stun', [server]));
  if (good.length < all.length)
    reader.tell('LinkManager.Stun', `${all.length - good.length} entries that are not HOST:PORT`, 'they are left out');
  if (good.length > STUN_MAX)
    reader.tell('LinkManager.Stun', `${good.length} STUN servers`, `the first ${STUN_MAX} are kept, two are enough`);
  return good.slice(0, STUN_MAX);
}

const INTERFACES_MAX = 64;

function networkSection(
  reader: Reader,
  overlay: string,
): { bridge?: string; tap?: string; excludeInterfaces?: string[] } {
  const made: { bridge?: string; tap?: string; excludeInterfaces?: string[] } = {};
  const bridge = bridgeOf(reader, overlay);
  if (bridge !== undefined) {
    made.bridge = bridge;
    // One overlay's tap must not have the name of another's.
    made.tap = `${bridge.slice(0, 11)}${bridge.endsWith('-tap') ? '.' : '-'}tap`;
  }
  const keys = ['LinkManager.IgnoredNetInterfaces', 'LinkManager.Overlays.*.IgnoredNetInterfaces'];
  for (const key of keys) {
    const names = reader.texts(key);
    const good = names.filter((one) => fits('network', 'excludeInterfaces', [one]));
    if (good.length < names.length)
      reader.tell(key, `${names.length - good.length} names that no interface can have`, 'they are left out');
    if (good.length > 0) made.excludeInterfaces = [...new Set([...(made.excludeInterfaces ?? []), ...good])];
  }
  if ((made.excludeInterfaces?.length ?? 0) > INTERFACES_MAX) {
    made.excludeInterfaces = made.excludeInterfaces?.slice(0, INTERFACES_MAX) ?? [];
    reader.tell(keys[1] as string, 'many interfaces', `the first ${INTERFACES_MAX} are kept`);
  }
  return made;
}

/**
 * The interface that has the address, by the original's rule: three letters of the prefix, then the overlay's id. What was set up
 * with that name, like flannel's `--iface`, stays right.
 */
function bridgeOf(reader: Reader, overlay: string): string | undefined {
  if (!reader.has(DEVICE)) return undefined;
  const onApp = reader.has(`${DEVICE}.AppBridge`);
  const [prefix, appPrefix] = [DEVICE, `${DEVICE}.AppBridge`].map((at) => reader.text(`${at}.NamePrefix`));
  if (onApp && prefix !== undefined)
    reader.tell(
      `${DEVICE}.NamePrefix`,
      'the start of the name of the switch',
      'a node has one bridge, named as AppBridge was: network.bridge',
    );
  const name = `${(onApp ? (appPrefix ?? 'app') : (prefix ?? 'evi')).slice(0, 3)}${overlay}`.slice(0, 15);
  if (fits('network', 'bridge', name)) return name;
  reader.tell(
    onApp ? `${DEVICE}.AppBridge.NamePrefix` : `${DEVICE}.NamePrefix`,
    'a name that no interface can have',
    'the bridge is evio0 (network.bridge)',
  );
  return undefined;
}

function topologyOf(reader: Reader): { successors?: number; longDistance?: number; onDemand?: number } {
  const made: { successors?: number; longDistance?: number; onDemand?: number } = {};
  const bounded = (key: string, min: number, max: number, now: string): number | undefined => {
    const value = reader.number(key, 0, MAX_OLD);
    if (value === undefined) return undefined;
    const kept = Math.min(Math.max(value, min), max);
    if (kept !== value) reader.tell(key, `${value} of them`, `${now} is ${kept}: ${min} to ${max} are allowed`);
    return kept;
  };
  const [old, current] = ['MaxSuccessors', 'MinSuccessors'].map((key) =>
    bounded(`${TOPOLOGY}.${key}`, 1, 8, 'topology.successors'),
  );
  const successors = current ?? old;
  const longDistance = bounded(`${TOPOLOGY}.MaxLongDistEdges`, 0, 64, 'topology.longDistance');
  const onDemand = bounded(`${TOPOLOGY}.MaxOnDemandEdges`, 0, 255, 'topology.onDemand');
  if (successors !== undefined) made.successors = successors;
  if (longDistance !== undefined) made.longDistance = longDistance;
  if (onDemand !== undefined) made.onDemand = onDemand;
  return made;
}

const LEVELS: ReadonlyMap<string, 'error' | 'warn' | 'info' | 'debug'> = new Map([
  ['CRITICAL', 'error'],
  ['ERROR', 'error'],
  ['WARNING', 'warn'],
  ['WARN', 'warn'],
  ['INFO', 'info'],
  ['DEBUG', 'debug'],
]);

function levelOf(reader: Reader): 'error' | 'warn' | 'info' | 'debug' | undefined {
  let level: 'error' | 'warn' | 'info' | 'debug' | undefined;
  for (const module of ['Broker', 'Logger']) {
    for (const key of ['LogLevel', 'BrokerLogLevel', 'ControllerLogLevel'].map((k) => `${module}.${k}`)) {
      const text = reader.text(key)?.toUpperCase();
      if (text === undefined) continue;
      const found = LEVELS.get(text);
      if (found === undefined) reader.tell(key, 'a log level', 'set log.level to "error", "warn", "info" or "debug"');
      level ??= found;
    }
  }
  return level;
}

/** What the original used for a switch; Evio's own does for all of them. */
function switchOf(reader: Reader): string | undefined {
  const keys = ['BridgeProvider', 'Type'];
  const app = keys.map((key) => `${DEVICE}.AppBridge.${key}`).find((key) => reader.has(key));
  if (app !== undefined && reader.text(app) !== undefined)
    reader.tell(app, 'what makes the application bridge', 'nothing to do, network.bridge is a Linux bridge');
  const given = keys.map((key) => `${DEVICE}.${key}`).find((key) => reader.has(key));
  const provider = given === undefined ? (reader.has(DEVICE) ? 'OVS' : undefined) : reader.text(given);
  if (provider === undefined) return undefined;
  const known = provider.toUpperCase();
  if (Object.hasOwn(SWITCH_OF, known)) return SWITCH_OF[known];
  if (given !== undefined)
    reader.tell(
      given,
      'what makes the switch: OVS, LXBR or VNIC',
      'tincan is the switch (OpenFlow 1.3, ovs-ofctl speaks to it); no Open vSwitch is needed, remove its bridges',
    );
  return undefined;
}
