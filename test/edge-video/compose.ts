/**
 * A service of a compose file as arguments of `ctr run`, so that the file people give to Docker is what is run here. What a key means
 * stands in the Compose specification; a key that is not known here is refused, not left out.
 */
import { parse } from 'yaml';

export interface Where {
  /** A network namespace that is the host's for `network_mode: host`. */
  readonly netns: string;
  /** The compose file's folder. */
  readonly folder: string;
  /** Where named volumes are. */
  readonly volumes: string;
  readonly env: Readonly<Record<string, string>>;
  /** An image's own, which a service's command follows. */
  entrypoint(image: string): readonly string[];
}

export interface Run {
  readonly image: string;
  readonly options: readonly string[];
  /** Empty: the image's own. */
  readonly command: readonly string[];
  /** Folders that have to be there. */
  readonly folders: readonly string[];
}

/** What containerd gives a container that says nothing, Docker too. */
const CAPABILITIES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
];

type Value = unknown;
type Key = (value: Value, where: Where) => Partial<Run>;

const strings = (value: Value): readonly string[] => (value as readonly unknown[]).map(String);
const options = (words: readonly string[]): Partial<Run> => ({ options: words });
const nothing = (): Partial<Run> => ({});

function expected(key: string, value: Value, allowed: string): void {
  if (JSON.stringify(value) !== allowed) throw new Error(`${key} is ${JSON.stringify(value)}; known here: ${allowed}`);
}

function volume(text: string, where: Where): Partial<Run> {
  const [from = '', to = '', mode = 'rw'] = text.split(':');
  const named = !/^[./]/.test(from);
  const source = named ? `${where.volumes}/${from}` : from.replace(/^\./, where.folder);
  const mount = ['--mount', `type=bind,src=${source},dst=${to},options=rbind:${mode}`];
  return { options: mount, folders: named ? [source] : [] };
}

const joined = (parts: readonly Partial<Run>[]): Partial<Run> => ({
  options: parts.flatMap((part) => part.options ?? []),
  folders: parts.flatMap((part) => part.folders ?? []),
});

const KEYS: Readonly<Record<string, Key>> = {
  image: (value) => ({ image: String(value) }),
  command: (value) => ({ command: strings(value) }),
  network_mode: (value, { netns }) => {
    expected('network_mode', value, '"host"');
    return options(['--with-ns', `network:/run/netns/${netns}`]);
  },
  cap_drop: (value) => {
    expected('cap_drop', value, '["ALL"]');
    return options(CAPABILITIES.flatMap((name) => ['--cap-drop', `CAP_${name}`]));
  },
  cap_add: (value) => options(strings(value).flatMap((name) => ['--cap-add', `CAP_${name}`])),
  devices: (value) => options(strings(value).flatMap((path) => ['--device', path])),
  // Without a word about it `ctr` has it so.
  security_opt: (value) => {
    expected('security_opt', value, '["no-new-privileges:true"]');
    return {};
  },
  read_only: (value) => (value === true ? options(['--read-only']) : {}),
  tmpfs: (value) =>
    options(strings(value).flatMap((path) => ['--mount', `type=tmpfs,dst=${path},options=nosuid:nodev`])),
  volumes: (value, where) => joined(strings(value).map((text) => volume(text, where))),
  environment: (value) =>
    options(Object.entries(value as object).flatMap(([name, text]) => ['--env', `${name}=${text ?? ''}`])),
  // Who starts containers here starts them again.
  restart: (value) => {
    expected('restart', value, '"unless-stopped"');
    return {};
  },
  profiles: nothing,
};

/** `${NAME:-default}`, as Compose has it. */
const filledIn = (text: string, env: Where['env']): string =>
  text.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name: string, otherwise: string) => env[name] || otherwise);

/** Docker's own profile of system calls is containerd's too. */
const ALWAYS = ['--rm', '--seccomp'];

export function runOf(text: string, service: string, where: Where): Run {
  const file = parse(filledIn(text, where.env)) as { services: Record<string, Record<string, Value>> };
  const found = file.services[service];
  if (found === undefined) throw new Error(`the compose file has no service ${service}`);
  const parts = Object.entries(found).map(([key, value]) => {
    const known = KEYS[key];
    if (known === undefined) throw new Error(`${service}: ${key} is not known here`);
    return known(value, where);
  });
  const image = parts.find((part) => part.image !== undefined)?.image ?? '';
  const command = parts.find((part) => part.command !== undefined)?.command ?? [];
  const { options: words = [], folders = [] } = joined(parts);
  return {
    image,
    options: [...ALWAYS, ...words],
    command: command.length === 0 ? [] : [...where.entrypoint(image), ...command],
    folders,
  };
}
