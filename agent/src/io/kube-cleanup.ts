/**
 * Takes everything of Evio off a machine: what lets pods start first, then what they use. Each step is harmless where there is nothing to
 * do, so that it can be run again; what cannot be removed is said, and the rest goes all the same.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CNI_PLUGIN, CONFLIST_NAME } from '../kube/conflist.ts';
import { LINK, ROUTE_PROTOCOL } from '../kube/leftovers.ts';
import type { KubernetesOptions } from '../kube/options.ts';
import { Control } from './control.ts';
import type { Log } from './log.ts';
import { removeEmpty, systemReason } from './system-error.ts';

const TINCAN_MS = 5_000;
/** The exit code: 0 when nothing of Evio is left. */
export async function cleanUp(options: KubernetesOptions, log: Log): Promise<number> {
  const problems: string[] = [];
  const step = (what: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(`${what}: ${systemReason(error)}`);
    }
  };
  const { cni, runDir, stateDir, nodeStateDir } = options;
  const gone = (path: string) => step(`cannot remove ${path}`, () => remove(path));
  gone(join(cni.confDir, CONFLIST_NAME));
  gone(join(cni.confDir, `${CONFLIST_NAME}.new`));
  await endTincan(join(runDir, 'control.sock'), log);
  for (const link of links()) step(`cannot remove the link ${link}`, () => removeLink(link));
  for (const family of ['-4', '-6']) step('cannot remove routes of Evio', () => removeRoutes(family));
  step('cannot remove the nftables table "inet evio"', removeTable);
  gone(join(cni.binDir, CNI_PLUGIN));
  gone(join(cni.binDir, `.${CNI_PLUGIN}.new`));
  // The embedded server's too, where the node had it: the operator ends it before this runs.
  const serverDir = join(dirname(stateDir), 'server');
  for (const dir of [cni.dataDir, stateDir, nodeStateDir, serverDir, runDir]) {
    gone(dir);
    // A directory that is a mount of this container stays, and is empty.
    step(`cannot remove ${dirname(dir)}`, () => removeIfEmpty(dirname(dir)));
  }
  for (const problem of problems) log.error(problem);
  if (problems.length === 0) log.info('nothing of Evio is left on this machine');
  return problems.length === 0 ? 0 : 1;
}

function remove(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    // A mount of this container cannot go from here, only what is in it.
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || readdirSync(path).length > 0) throw error;
  }
}

/** One that runs takes its bridge and its tap away itself; a new one that its pod starts has none. */
async function endTincan(path: string, log: Log): Promise<void> {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((done) => {
    closed = done;
  });
  let control: Control;
  try {
    control = await Control.open(path, { event: () => undefined, closed: () => closed() });
  } catch {
    return;
  }
  control.request('shutdown', { keepBridge: false }).catch(() => undefined);
  await Promise.race([gone, new Promise((done) => setTimeout(done, TINCAN_MS).unref())]);
  control.close();
  log.info('tincan has ended');
}

/** Of this process's network namespace, which /sys may not show. */
function links(): readonly string[] {
  const names = readFileSync('/proc/self/net/dev', 'utf8').matchAll(/^\s*([^\s:|]+):/gm);
  return [...names].flatMap(([, name]) => (name !== undefined && LINK.test(name) ? [name] : []));
}

function removeLink(name: string): void {
  // With one end of a pair the other one goes, and the next name may be it.
  if (links().includes(name)) run('ip', 'link', 'delete', name);
}

/** Those without a link: what a tincan that was killed has left for prefixes of this node. */
function removeRoutes(family: string): void {
  let present: string;
  try {
    present = execFileSync('ip', [family, 'route', 'show', 'proto', ROUTE_PROTOCOL], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TINCAN_MS,
    });
  } catch {
    // No such family in this kernel, or no program that could tell.
    return;
  }
  if (present.trim() !== '') run('ip', family, 'route', 'flush', 'proto', ROUTE_PROTOCOL);
}

function removeTable(): void {
  try {
    run('nft', 'list', 'table', 'inet', 'evio');
  } catch {
    // There is none, or no program that could have made one from here.
    return;
  }
  run('nft', 'delete', 'table', 'inet', 'evio');
}

function run(program: string, ...words: readonly string[]): void {
  try {
    execFileSync(program, words, { stdio: ['ignore', 'ignore', 'pipe'], timeout: TINCAN_MS });
  } catch (error) {
    const { stderr, code } = error as { readonly stderr?: Buffer; readonly code?: string };
    if (code === 'ENOENT')
      throw new Error(`${program} is not in this image; run "${program} ${words.join(' ')}" on the node`);
    const said = stderr?.toString().trim().split('\n')[0];
    throw said ? new Error(said) : error;
  }
}

function removeIfEmpty(dir: string): void {
  if (existsSync(dir) && readdirSync(dir).length === 0) {
    try {
      removeEmpty(dir, dir);
    } catch {
      // A mount.
    }
  }
}
