/** Machines that the package is installed on: each has a root of its own, above a clean Debian or this machine's files. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Machine } from '../e2e/systemd/machine.ts';
import { until } from '../e2e/terminal/lan.ts';

const SCRIPT = join(import.meta.dirname, 'machine.sh');
const SYSTEMD = ['/lib/systemd/systemd', '--system', '--log-target=journal', '--show-status=0'] as const;

/** `debian` is made by debootstrap the first time (a minute); `here` are this machine's files, with systemd and no service of theirs. */
export type Root = 'debian' | 'here';

export function lowerOf(root: Root): string {
  if (root === 'here') return '/';
  return execFileSync(join(import.meta.dirname, 'debian-root.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

export interface Setting {
  readonly lower: string;
  /** Files that are in /mnt/packages of the machine. */
  readonly files: readonly string[];
  /** Without systemd: a plain chroot. */
  readonly bare?: boolean;
  readonly withoutTun?: boolean;
  /** One that a kubelet and its containers are to run on. */
  readonly host?: {
    readonly name: string;
    /** Folders of this machine that it has too: where they are here, and there. */
    readonly folders: Readonly<Record<string, string>>;
    /** As Machine takes them. */
    readonly cgroups: readonly string[];
  };
}

export class PackageMachine {
  readonly #work: string;
  readonly #lower: string;
  readonly #start: () => Promise<Machine>;
  #machine: Machine;

  private constructor(machine: Machine, work: string, lower: string, start: () => Promise<Machine>) {
    this.#machine = machine;
    this.#work = work;
    this.#lower = lower;
    this.#start = start;
  }

  get machine(): Machine {
    return this.#machine;
  }

  static async boot(ns: string, { lower, files, bare, withoutTun, host }: Setting): Promise<PackageMachine> {
    // What is written may not be on the file system that is read: / is a layer too.
    const work = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'evio-package-'));
    try {
      mkdirSync(join(work, 'packages'));
      for (const file of files) cpSync(file, join(work, 'packages', basename(file)));
      const env = [
        'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
        'LC_ALL=C',
        'DEBIAN_FRONTEND=noninteractive',
        'container=evio-test',
      ];
      const kind = {
        command: [
          ...['env', `WITHOUT_TUN=${withoutTun === true ? 'yes' : ''}`, `HOST=${host?.name ?? ''}`],
          `FOLDERS=${Object.entries(host?.folders ?? {})
            .flat()
            .join(' ')}`,
          ...[SCRIPT, lower, work],
          ...(bare === true ? ['sleep', 'infinity'] : [...SYSTEMD, '--unit=multi-user.target']),
        ],
        init: bare === true ? 'sleep' : 'systemd',
        env,
        ...(host === undefined ? {} : { cgroups: host.cgroups }),
      };
      const start = (): Promise<Machine> => Machine.boot(ns, kind);
      return new PackageMachine(await start(), work, lower, start);
    } catch (error) {
      rmSync(work, { recursive: true, force: true });
      throw error;
    }
  }

  /** Files, links and directories that are not as in the layer below, one line each: type, mode, path, where a link leads. */
  files(): readonly string[] {
    const lines: string[] = [];
    const look = (path: string): void => {
      const [above, below] = [join(this.#work, 'upper', path), join(this.#lower, path)];
      for (const name of readdirSync(above).sort()) {
        const at = join(path, name);
        if (UNTOLD.test(at)) continue;
        const stat = lstatSync(join(above, name));
        const kind = stat.isDirectory()
          ? 'd'
          : stat.isSymbolicLink()
            ? 'l'
            : stat.isCharacterDevice()
              ? 'removed'
              : '-';
        const mode = (stat.mode & 0o7777).toString(8);
        const same = kind === 'd' && isDirectoryLike(join(below, name), mode);
        const target = kind === 'l' ? ` -> ${readlinkSync(join(above, name))}` : '';
        if (!same) lines.push(`${kind} ${mode} ${at}${target}`);
        if (kind === 'd') look(at);
      }
    };
    look('/');
    return lines;
  }

  /** What the network of the machine holds, as one text: links, addresses, routes of all tables, rules, nftables. */
  async network(): Promise<string> {
    // An IPv6 address is not one yet while the kernel asks whether somebody has it.
    await until('no address is tentative', 10_000, async () =>
      (await this.machine.ok('ip', '-o', 'address')).includes('tentative') ? undefined : true,
    );
    const parts: string[] = [];
    for (const command of [
      ['ip', '-o', 'link'],
      ['ip', '-o', 'address'],
      ['ip', 'route', 'show', 'table', 'all'],
      ['ip', '-6', 'route', 'show', 'table', 'all'],
      ['ip', 'rule'],
      ['ip', '-6', 'rule'],
      ['nft', 'list', 'ruleset'],
    ] as const)
      parts.push(await this.machine.ok(...command));
    return parts.join('\n');
  }

  /** Names of the programs of the package that run, or ran when they were replaced. */
  async processes(): Promise<readonly string[]> {
    const listed = await this.machine.ok('sh', '-c', 'for exe in /proc/[0-9]*/exe; do readlink "$exe" || true; done');
    return listed
      .split('\n')
      .flatMap((path) => /^(?:\/usr\/lib\/evio|\/mnt\/packages)\/([\w-]+)/.exec(path)?.[1] ?? [])
      .sort();
  }

  /** Loses its power, and boots again with what is on its disk. `meanwhile`: what becomes of its network. */
  async cycle(meanwhile: () => Promise<unknown>): Promise<void> {
    await this.machine.end();
    await meanwhile();
    this.#machine = await this.#start();
  }

  async end(): Promise<void> {
    await this.machine.end();
    rmSync(this.#work, { recursive: true, force: true });
  }
}

/** What dpkg, apt and systemd note down whatever is installed. */
const UNTOLD =
  /^\/(var\/lib\/(dpkg|apt)|var\/log|var\/cache|run|tmp|dev|proc|sys|mnt)(\/|$)|^\/etc\/(ld\.so\.cache|machine-id|\.updated|\.pwd\.lock)$|^\/var\/(\.updated|lib\/systemd\/(catalog|random-seed|timers|coredump|linger|backlight|rfkill|network)|tmp)(\/|$)/;

/** Writing below it copies a directory, which changes nothing. */
function isDirectoryLike(path: string, mode: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && (stat.mode & 0o7777).toString(8) === mode;
}
