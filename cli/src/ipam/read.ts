/** The CNI plugin's store on this node (cni-plugin/src/store.rs), and what of it is there. Reads only, as root. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { isObject, parseObject } from '../../../agent/src/io/json-lines.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { CNI_PLUGIN } from '../../../agent/src/kube/conflist.ts';
import { formatAddress, parseAddress } from '../../../agent/src/wire/address.ts';
import { Failure, UsageError } from '../failure.ts';
import { run } from '../process.ts';
import type { Attachment, Book } from './judge.ts';

/** Defaults of the plugin (docs/cni.md). */
const DATA_DIR = '/var/lib/cni/evio';
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
/** cni-plugin/src/names.rs */
const HOST_LINK = /^evc[0-9a-f]{11}$/;
const HOST_DIGITS = 11;
const WAIT_MS = 10_000;

export interface CniNetwork {
  readonly file: string;
  readonly name: string;
  readonly dataDir: string;
  readonly bootIdFile: string;
  readonly subnets: readonly string[];
}

/** Of a configuration list. Throws a UsageError that names the file. */
export function readConflist(file: string): CniNetwork {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `cannot read ${file}: ${systemReason(error)}; is this a node whose pods have their network by Evio? --conflist names another file`,
    );
  }
  const list = parseObject(text);
  const plugins: readonly unknown[] = Array.isArray(list?.plugins) ? list.plugins : [];
  const own = plugins.find((one) => isObject(one) && one.type === CNI_PLUGIN);
  if (!isObject(own) || typeof list?.name !== 'string')
    throw new UsageError(`${file} is no configuration list with ${CNI_PLUGIN} in it; name the right one by --conflist`);
  const subnets = Array.isArray(own.subnets) ? own.subnets.filter((one) => typeof one === 'string') : [];
  const path = (value: unknown, fallback: string): string => (typeof value === 'string' ? value : fallback);
  return {
    file,
    name: list.name,
    dataDir: path(own.dataDir, DATA_DIR),
    bootIdFile: path(own.bootIDFile, BOOT_ID_FILE),
    subnets,
  };
}

export async function readBook({ name, dataDir, bootIdFile, subnets }: CniNetwork): Promise<Book> {
  const store = join(dataDir, name);
  const bootId = readFileSync(bootIdFile, 'utf8').trim();
  // Links first: one that is there has a record by the time those are read, or its DEL is at work.
  const links = namesIn('/sys/class/net').filter((link) => HOST_LINK.test(link));
  // In this order: an ADD that ends meanwhile moves from the first to the second.
  const found = [...recordsIn(store, 'adding'), ...recordsIn(store, 'attached')];
  const locked = lockedInodes();
  const attachments = new Map<string, Attachment>();
  const garbled: string[] = [];
  for (const { key, finished, text, inode } of found) {
    const record = attachmentOf(text);
    if (record === undefined) {
      garbled.push(key);
      continue;
    }
    attachments.set(key, {
      key,
      ...record,
      finished,
      thisBoot: record.bootId === bootId,
      busy: locked.has(inode),
      link: links.includes(hostOf(key)),
      carried: null,
    });
  }
  const seen = await Promise.all(
    [...attachments.values()].map(async (one) => ({ ...one, carried: one.link ? await carriedBy(one) : null })),
  );
  const known = new Set([...attachments.keys(), ...garbled].map(hostOf));
  return {
    network: name,
    subnets,
    attachments: seen,
    garbled,
    given: namesIn(store).filter((file) => isIP(file) !== 0),
    strangers: links.filter((link) => !known.has(link)),
  };
}

const hostOf = (key: string): string => `evc${key.slice(0, HOST_DIGITS)}`;

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'EACCES') throw new Failure(`cannot look into ${dir}: run this as root (sudo)`);
    throw new Failure(`cannot look into ${dir}: ${systemReason(error)}`);
  }
}

interface RecordFile {
  readonly key: string;
  readonly finished: boolean;
  readonly text: string;
  readonly inode: number;
}

function recordsIn(store: string, folder: 'adding' | 'attached'): readonly RecordFile[] {
  return namesIn(join(store, folder)).flatMap((key) => {
    const path = join(store, folder, key);
    try {
      return [{ key, finished: folder === 'attached', text: readFileSync(path, 'utf8'), inode: statSync(path).ino }];
    } catch {
      // Its DEL was faster.
      return [];
    }
  });
}

function attachmentOf(text: string) {
  const record = parseObject(text.trim());
  const { containerID, ifname, netns, bootID, addresses, pod } = record ?? {};
  if (![containerID, ifname, netns, bootID].every((one) => typeof one === 'string')) return undefined;
  if (!Array.isArray(addresses) || !addresses.every((one) => typeof one === 'string' && isIP(one) !== 0))
    return undefined;
  return {
    containerId: containerID as string,
    ifname: ifname as string,
    netns: netns as string,
    bootId: bootID as string,
    addresses: (addresses as readonly string[]).map(canonical),
    pod: typeof pod === 'string' ? pod : null,
  };
}

const canonical = (address: string): string => formatAddress(parseAddress(address));

/** Inodes that somebody has an flock(2) on, by proc_locks(5). */
function lockedInodes(): ReadonlySet<number> {
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return new Set(
    lines.flatMap((line) => (/ FLOCK .* [0-9a-f]+:[0-9a-f]+:(\d+) /.exec(line)?.[1] ?? []) as string[]).map(Number),
  );
}

/** Addresses of the pod's interface, as its namespace has them. */
async function carriedBy({ netns, ifname }: Attachment): Promise<readonly string[] | null> {
  try {
    const said = await run('nsenter', [`--net=${netns}`, 'ip', '-j', 'address', 'show', 'dev', ifname], {
      timeoutMs: WAIT_MS,
    });
    if (said.code !== 0) return null;
    const [device] = JSON.parse(said.stdout) as readonly {
      readonly addr_info?: readonly { readonly local?: string; readonly scope?: string }[];
    }[];
    return (device?.addr_info ?? [])
      .filter(({ scope }) => scope !== 'link')
      .flatMap(({ local }) => (local === undefined ? [] : [canonical(local)]));
  } catch {
    return null;
  }
}
