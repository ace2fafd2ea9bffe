/**
 * The CNI plugin and its configuration on the machine, put there and kept there. The plugin first: it is exchanged by name, so that no
 * runtime ever starts half of one, and only after it has run. The configuration last: where it is, pods start.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, type FSWatcher, readdirSync, readFileSync, renameSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { CniProblem } from '../diagnosis/cluster.ts';
import type { PodNetwork } from '../kube/conditions.ts';
import {
  ASSUMED,
  CHAINED,
  type Chained,
  CNI_NETWORK,
  CNI_PLUGIN,
  CONFLIST_NAME,
  chain,
  conflist,
  type Installed,
  takenInstead,
} from '../kube/conflist.ts';
import type { PodSettings } from '../kube/enrolment.ts';
import { readIfThere, syncDirectory, writeAtomic, writeBeside } from './atomic-file.ts';
import { isObject } from './json-lines.ts';
import { makeDirectory, systemReason } from './system-error.ts';

/** Changes come in bursts. */
const SETTLE_MS = 200;
/** Events of a directory get lost, and a directory may be exchanged itself. */
const LOOK_MS = 30_000;
const RUN_MS = 5_000;

export interface CniHostOptions {
  /** /etc/cni/net.d, as this process sees it. */
  readonly confDir: string;
  /** /opt/cni/bin, likewise. */
  readonly binDir: string;
  /** /var/lib/cni/evio, the same for the agent and the runtime. */
  readonly dataDir: string;
  /** The plugin as shipped. */
  readonly plugin: string;
  /** One line for the log. */
  readonly report: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** The state has changed. */
  readonly changed: () => void;
}

export class CniHost {
  readonly #options: CniHostOptions;
  readonly #watchers: FSWatcher[] = [];
  #wanted: { readonly pods: PodSettings; readonly bridge: string } | undefined;
  #state: PodNetwork = { kind: 'missing', message: 'the data path of the node is not proven yet' };
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  /** Size and times of the plugin in place, when it was found to be ours. */
  #known = '';
  /** What the chained plugins said they speak, with the stamp of the file that said it. */
  readonly #asked = new Map<Chained, { readonly stamp: string; readonly versions: readonly string[] }>();
  #told = '';
  #everPlaced = false;
  #problems: readonly CniProblem[] = [];
  /** Of plugin and configuration, when they were looked at last. */
  #looked = '';

  constructor(options: CniHostOptions) {
    this.#options = options;
  }

  get state(): PodNetwork {
    return this.#state;
  }

  /** What keeps pods from starting as they are to, as it was seen last. */
  get problems(): readonly CniProblem[] {
    return this.#problems;
  }

  /** Where a file stands for each address that a pod has. */
  get store(): string {
    return join(this.#options.dataDir, CNI_NETWORK);
  }

  /** From here on pods start on this node; undefined: with another network, and nothing of ours is here. */
  want(pods: PodSettings | undefined, bridge: string): void {
    if (this.#stopped) return;
    if (pods === undefined) {
      if (this.#state.kind === 'not-wanted') return;
      this.#wanted = undefined;
      clearTimeout(this.#timer);
      rmSync(join(this.#options.confDir, CONFLIST_NAME), { force: true });
      this.#problems = [];
      this.#tell({ kind: 'not-wanted' });
      return;
    }
    if (JSON.stringify(this.#wanted) === JSON.stringify({ pods, bridge })) {
      // What is mounted over a directory is no event in it.
      if (this.#checking === undefined && this.#look() !== this.#looked) this.#later(SETTLE_MS);
      return;
    }
    this.#wanted = { pods, bridge };
    void this.#check();
  }

  /** Names of the addresses that pods have; none where the store is not there yet. */
  addresses(): readonly string[] {
    try {
      return readdirSync(this.store);
    } catch {
      return [];
    }
  }

  /** Leaves all in place. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #later(delayMs: number): void {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#check(), delayMs);
  }

  /** One at a time; what comes meanwhile is looked at afterwards. */
  async #check(): Promise<void> {
    if (this.#checking !== undefined) {
      this.#again = true;
      return;
    }
    this.#checking = this.#place().catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      this.#problems = [{ kind: error instanceof PluginError ? 'plugin' : 'conflist', text: message }];
      this.#tell({ kind: 'missing', message });
      if (message !== this.#told) this.#options.report('error', message);
      this.#told = message;
    });
    await this.#checking;
    this.#checking = undefined;
    this.#looked = this.#look();
    this.#later(this.#again ? SETTLE_MS : LOOK_MS);
    this.#again = false;
  }

  async #place(): Promise<void> {
    const wanted = this.#wanted;
    const { confDir, binDir, dataDir } = this.#options;
    if (wanted === undefined || this.#stopped) return;
    await this.#withPlugin(() => {
      system(`cannot make ${binDir}`, () => makeDirectory(binDir, 0o755));
    });
    system(`cannot make ${confDir}`, () => makeDirectory(confDir, 0o755));
    this.#watch();
    await this.#withPlugin(() => this.#placePlugin());
    const installed = await this.#installed();
    // Ended meanwhile, or told otherwise.
    if (this.#wanted !== wanted || this.#stopped) return;
    const path = join(confDir, CONFLIST_NAME);
    const text = conflist(wanted.pods, wanted.bridge, dataDir, installed);
    const placed = system(`cannot write ${path}`, () => {
      if (readIfThere(path) === text) return false;
      // Its ending is none that a runtime reads.
      writeAtomic(path, text, 0o644);
      return true;
    });
    if (placed)
      this.#options.report(
        'info',
        `pods start with ${path}${this.#everPlaced ? ', which was not as it should be' : ''}`,
      );
    this.#everPlaced = true;
    this.#tellWell(installed);
  }

  /** Those to be chained that are there. The runtime starts them on the machine; here, in a container, one may not run. */
  async #installed(): Promise<Installed> {
    const found = new Map<Chained, readonly string[]>();
    for (const name of Object.keys(CHAINED) as Chained[]) {
      const path = join(this.#options.binDir, name);
      const now = stamp(path);
      if (now === '') continue;
      let known = this.#asked.get(name);
      if (known?.stamp !== now) {
        known = { stamp: now, versions: await versionsOf(path).catch(() => ASSUMED) };
        this.#asked.set(name, known);
      }
      found.set(name, known.versions);
    }
    return found;
  }

  #tellWell(installed: Installed): void {
    const { confDir, binDir } = this.#options;
    const { chained } = chain(installed);
    const problems = (Object.keys(CHAINED) as Chained[])
      .filter((name) => !chained.includes(name))
      .map((name): CniProblem => {
        const versions = installed.get(name);
        const why =
          versions === undefined ? `is not in ${binDir}` : `in ${binDir} speaks CNI ${versions.join(', ')} only`;
        return { kind: 'chained', text: `${name} ${why}: ${CHAINED[name].missed}` };
      });
    const other = takenInstead(readdirSync(confDir));
    if (other !== undefined)
      problems.push({
        kind: 'other',
        text: `${join(confDir, other)} comes before ${CONFLIST_NAME}: pods get that network; remove it`,
      });
    this.#problems = problems;
    const message = problems.map(({ text }) => text).join('; ');
    if (message !== this.#told && message !== '') this.#options.report('warn', message);
    this.#told = message;
    this.#tell({ kind: 'configured', message });
  }

  #watch(): void {
    if (this.#watchers.length > 0) return;
    const { confDir, binDir } = this.#options;
    for (const dir of [confDir, binDir]) {
      try {
        const watcher = watch(dir, { persistent: false }, (_, name) => {
          // Our own, on its way: a plugin that does not run would be tried without end.
          if (name?.endsWith('.new')) return;
          if (this.#checking === undefined) this.#later(SETTLE_MS);
          else this.#again = true;
        });
        watcher.on('error', () => undefined);
        this.#watchers.push(watcher);
      } catch {
        // No watches left on this machine: it is looked at from time to time all the same.
      }
    }
  }

  async #withPlugin(work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw new PluginError(error instanceof Error ? error.message : String(error));
    }
  }

  #look(): string {
    const { binDir, confDir } = this.#options;
    return `${stamp(join(binDir, CNI_PLUGIN))} ${stamp(join(confDir, CONFLIST_NAME))}`;
  }

  async #placePlugin(): Promise<void> {
    const { plugin, binDir } = this.#options;
    const path = join(binDir, CNI_PLUGIN);
    if (this.#known !== '' && stamp(path) === this.#known) return;
    const shipped = system(`cannot read ${plugin}`, () => readFileSync(plugin));
    const present = system(`cannot read ${path}`, () => (existsSync(path) ? readFileSync(path) : undefined));
    if (present === undefined || digest(present) !== digest(shipped)) {
      // In the same directory, and with a name that no configuration has.
      const temporary = join(binDir, `.${CNI_PLUGIN}.new`);
      try {
        system(`cannot write ${temporary}`, () => writeBeside(temporary, shipped, 0o755));
        await versionsOf(temporary);
        system(`cannot write ${path}`, () => {
          renameSync(temporary, path);
          syncDirectory(binDir);
        });
      } finally {
        rmSync(temporary, { force: true });
      }
      this.#options.report('info', `${path} is ${present === undefined ? 'installed' : 'exchanged'}`);
    }
    this.#known = stamp(path);
  }

  #tell(state: PodNetwork): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#options.changed();
  }
}

/** It is evio-cni that is not in place. */
class PluginError extends Error {}

/** VERSION needs nothing of the machine (CNI specification, "VERSION"): a plugin that answers it can be started here. */
async function versionsOf(plugin: string): Promise<readonly string[]> {
  const answer = await new Promise<string>((resolve, reject) => {
    const child = execFile(
      plugin,
      [],
      { env: { CNI_COMMAND: 'VERSION' }, timeout: RUN_MS, encoding: 'utf8' },
      (error, stdout) =>
        error === null ? resolve(stdout) : reject(new Error(`${plugin} does not run: ${reasonOf(error)}`)),
    );
    // One that ends without reading is told of by its exit.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end('{"cniVersion":"1.0.0"}');
  });
  let said: unknown;
  try {
    said = JSON.parse(answer);
  } catch {
    // Said below.
  }
  if (!isObject(said) || !Array.isArray(said.supportedVersions))
    throw new Error(`${plugin} does not answer VERSION as a CNI plugin does`);
  return said.supportedVersions.map(String);
}

function reasonOf(error: Error & { readonly code?: unknown; readonly killed?: boolean }): string {
  if (error.killed) return `no answer within ${RUN_MS / 1000} s`;
  return typeof error.code === 'number' ? `exit code ${error.code}` : systemReason(error);
}

/** What the system refuses becomes a line that says what was to be done. */
function system<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new Error(`${what}: ${systemReason(error)}`);
  }
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Empty when there is no such file. */
function stamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.mode}`;
}
