/**
 * A service of a compose file as arguments of `ctr run`, so that the file people give to Docker is what is run here. It is read by
 * compose-go, which is what Docker Compose reads it by: variables are filled in, paths are absolute, everything has its long form.
 * What a key means stands in the Compose specification; one that is not known here is refused, not left out.
 */

/** What compose-go makes of the file. */
export interface Model {
  readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Where {
  /** A network namespace that is the host's for `network_mode: host`. */
  readonly netns: string;
  /** Where named volumes are. */
  readonly volumes: string;
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

interface Volume {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}
interface Device {
  readonly source: string;
  readonly target: string;
  readonly permissions: string;
}

type Key = (value: unknown, where: Where) => Partial<Run>;

const strings = (value: unknown): readonly string[] => (value as readonly unknown[]).map(String);
const options = (words: readonly string[]): Partial<Run> => ({ options: words });
const nothing = (): Partial<Run> => ({});

function expected(key: string, value: unknown, allowed: string): void {
  if (JSON.stringify(value) !== allowed) throw new Error(`${key} is ${JSON.stringify(value)}; known here: ${allowed}`);
}

/** `ctr` has no other devices than at their own place, with all rights. */
function device({ source, target, permissions }: Device): readonly string[] {
  expected('devices', { target, permissions }, JSON.stringify({ target: source, permissions: 'rwm' }));
  return ['--device', source];
}

const sourceOf = (volume: Volume, where: Where): string =>
  volume.type === 'volume' ? `${where.volumes}/${volume.source}` : volume.source;

function mount(volume: Volume, where: Where): readonly string[] {
  const mode = volume.read_only === true ? 'ro' : 'rw';
  return ['--mount', `type=bind,src=${sourceOf(volume, where)},dst=${volume.target},options=rbind:${mode}`];
}

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
  devices: (value) => options((value as readonly Device[]).flatMap(device)),
  // Without a word about it `ctr` has it so.
  security_opt: (value) => {
    expected('security_opt', value, '["no-new-privileges:true"]');
    return {};
  },
  read_only: (value) => options(value === true ? ['--read-only'] : []),
  tmpfs: (value) =>
    options(strings(value).flatMap((path) => ['--mount', `type=tmpfs,dst=${path},options=nosuid:nodev`])),
  volumes: (value, where) => {
    const volumes = value as readonly Volume[];
    const named = volumes.filter(({ type }) => type === 'volume');
    return {
      options: volumes.flatMap((volume) => mount(volume, where)),
      folders: named.map((volume) => sourceOf(volume, where)),
    };
  },
  environment: (value) =>
    options(Object.entries(value as object).flatMap(([name, text]) => ['--env', `${name}=${text ?? ''}`])),
  // Who starts containers here starts them again.
  restart: (value) => {
    expected('restart', value, '"unless-stopped"');
    return {};
  },
  profiles: nothing,
};

/** Docker's own profile of system calls is containerd's too. */
const ALWAYS = ['--rm', '--seccomp'];

export function runOf(model: Model, service: string, where: Where): Run {
  const found = model.services[service];
  if (found === undefined) throw new Error(`the compose file has no service ${service}`);
  const parts = Object.entries(found)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => {
      const known = KEYS[key];
      if (known === undefined) throw new Error(`${service}: ${key} is not known here`);
      return known(value, where);
    });
  const image = parts.find((part) => part.image !== undefined)?.image ?? '';
  const command = parts.find((part) => part.command !== undefined)?.command ?? [];
  return {
    image,
    options: [...ALWAYS, ...parts.flatMap((part) => part.options ?? [])],
    command: command.length === 0 ? [] : [...where.entrypoint(image), ...command],
    folders: parts.flatMap((part) => part.folders ?? []),
  };
}
