/** Who has a UDP port of this machine, by /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  readonly name: string;
}

/** Undefined: nobody has it. Without a pid: somebody whom this process may not look at. */
export function holderOf(port: number): Partial<Holder> | undefined {
  const inodes = new Set(['udp', 'udp6'].flatMap((table) => socketsOf(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name)))
    for (const fd of entries(`/proc/${pid}/fd`))
      if (inodes.has(inodeOf(`/proc/${pid}/fd/${fd}`) ?? '')) return { pid: Number(pid), name: nameOf(pid) };
  return {};
}

/** Inodes of the sockets at that port, in this network namespace (proc_net(5)). */
function socketsOf(table: string, port: number): readonly string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return textOf(`/proc/net/${table}`)
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(`:${wanted}`))
    .flatMap((fields) => fields[9] ?? []);
}

const inodeOf = (link: string): string | undefined => {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1];
  } catch {
    return undefined;
  }
};
const nameOf = (pid: string): string => textOf(`/proc/${pid}/comm`).trim();

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Processes end while they are looked at, and others are not ours to look at. */
function entries(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
