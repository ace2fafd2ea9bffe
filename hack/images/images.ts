/**
 * What is in each container image. The archives of `make images` are made from this; the Dockerfiles say the same in their language,
 * and images.test.ts compares the two.
 */

/** A Debian package that an image has whole: its files, without manuals, and every library they load. */
export interface Image {
  readonly name: string;
  readonly title: string;
  /** What `apt-get install --no-install-recommends` is given in the Dockerfile. */
  readonly packages: readonly string[];
  /** Packages that those depend on and that no dynamic linker would find. */
  readonly dependencies: readonly string[];
  /** Whether the Node.js layer is under it. */
  readonly node: boolean;
  readonly copies: readonly Copy[];
  readonly links: readonly Link[];
  readonly entrypoint: readonly string[];
  /** Arguments when the pod gives none. */
  readonly cmd: readonly string[];
  /** uid:gid. Who needs root gets its capabilities from the pod's securityContext. */
  readonly user: string;
  /** What `docker stop` sends; SIGTERM when it is not said. */
  readonly stopSignal?: string;
  readonly env: Readonly<Record<string, string>>;
}

/** One file of dist/, or one bundle: its entry with the chunks that it imports. */
export interface Copy {
  readonly from: string;
  readonly to: string;
  readonly mode: 0o644 | 0o755;
}

export interface Link {
  readonly path: string;
  readonly target: string;
}

/** Where the shipped files are in an image. */
export const HOME = '/opt/evio';
export const NODE = '/usr/local/bin/node';

const PROGRAM = { mode: 0o755 } as const;
const MODULE = { mode: 0o644 } as const;
const evio = (): readonly Copy[] => [
  { from: 'dist/evio', to: `${HOME}/evio`, ...PROGRAM },
  { from: 'dist/evio.mjs', to: `${HOME}/evio.mjs`, ...MODULE },
  { from: 'dist/THIRD-PARTY.txt', to: `${HOME}/THIRD-PARTY.txt`, ...MODULE },
];
const NATIVE: Copy = { from: 'dist/node_datachannel.node', to: `${HOME}/node_datachannel.node`, ...MODULE };
const EVIO_LINK: Link = { path: '/usr/local/bin/evio', target: `${HOME}/evio` };

/**
 * Of both servers and of the operator, the same in every image and every version: what they wrote on a node has to stay theirs.
 * Debian would give the next free number.
 */
export const USERS = [
  { name: 'prosody', id: 901, home: '/var/lib/prosody' },
  { name: 'turnserver', id: 902, home: '/' },
  { name: 'evio', id: 65532, home: '/' },
] as const;

export const IMAGES: readonly Image[] = [
  {
    name: 'agent',
    title: 'Evio agent: decides, one per node',
    // The last two for what takes Evio off a node again.
    packages: ['ca-certificates', 'iproute2', 'nftables'],
    dependencies: [],
    node: true,
    copies: [...evio(), NATIVE, { from: 'dist/evio-cni', to: `${HOME}/evio-cni`, ...PROGRAM }],
    links: [EVIO_LINK],
    entrypoint: [`${HOME}/evio`],
    cmd: ['agent', 'run', '--kubernetes'],
    // It writes the CNI configuration and its keys on the node; it needs no capability.
    user: '0:0',
    env: {},
  },
  {
    name: 'dataplane',
    title: 'Evio datapath: tincan, one per node',
    packages: ['ca-certificates', 'iproute2', 'nftables'],
    dependencies: [],
    node: false,
    copies: [{ from: 'dist/tincan', to: '/usr/local/bin/tincan', ...PROGRAM }],
    links: [],
    entrypoint: ['/usr/local/bin/tincan'],
    cmd: ['--run-dir', '/run/evio/default', '--keep-bridge'],
    user: '0:0',
    env: {},
  },
  {
    name: 'host',
    title: 'Evio node: agent and datapath in one, for hosts without Kubernetes',
    packages: ['ca-certificates', 'iproute2', 'nftables'],
    dependencies: [],
    node: true,
    copies: [...evio(), NATIVE, { from: 'dist/tincan', to: `${HOME}/tincan`, ...PROGRAM }],
    links: [EVIO_LINK],
    entrypoint: [`${HOME}/evio`],
    cmd: ['agent', 'run', '--config', '/etc/evio/node.json'],
    // Its one capability, NET_ADMIN, it gets from who runs it.
    user: '0:0',
    // tincan ends with its container: told so, the agent ends it in good order and takes its interfaces away.
    stopSignal: 'SIGINT',
    env: {},
  },
  {
    name: 'operator',
    title: 'Evio operator: the only writer of desired state',
    packages: ['ca-certificates'],
    dependencies: [],
    node: true,
    copies: [
      { from: 'dist/evio-operator', to: `${HOME}/evio-operator`, ...PROGRAM },
      { from: 'dist/evio-operator.mjs', to: `${HOME}/evio-operator.mjs`, ...MODULE },
      { from: 'dist/evio-chart.mjs', to: `${HOME}/evio-chart.mjs`, ...MODULE },
      { from: 'dist/THIRD-PARTY.txt', to: `${HOME}/THIRD-PARTY.txt`, ...MODULE },
    ],
    links: [],
    entrypoint: [`${HOME}/evio-operator`],
    cmd: [],
    user: '65532:65532',
    env: {},
  },
  {
    name: 'server',
    title: 'Evio server: Prosody (XMPP) and coturn (STUN, TURN)',
    packages: ['ca-certificates', 'coturn', 'openssl', 'prosody'],
    // Of Prosody, and what `evio server run` starts both with.
    dependencies: ['lua5.4', 'lua-bitop', 'lua-expat', 'lua-filesystem', 'lua-sec', 'lua-socket', 'util-linux'],
    node: true,
    copies: evio(),
    links: [EVIO_LINK],
    entrypoint: [`${HOME}/evio`],
    cmd: ['server', 'run'],
    // Both servers run as their own users; a process of root's starts them.
    user: '0:0',
    env: {},
  },
];

/** What is no part of Evio: made when it is named, and needs packages that `make setup` does not install. */
export const EXAMPLES: readonly Image[] = [
  {
    name: 'edge-video',
    title: 'Evio example: a camera, and the analysis of its pictures',
    packages: ['ca-certificates', 'ffmpeg'],
    dependencies: [],
    node: true,
    copies: [{ from: 'examples/edge-video/edge-video.mjs', to: '/opt/edge-video/edge-video.mjs', ...MODULE }],
    links: [],
    entrypoint: [NODE, '/opt/edge-video/edge-video.mjs'],
    cmd: [],
    user: '65532:65532',
    env: {},
  },
];

/** Programs of Debian's essential packages that are there for `kubectl exec`, for launchers and for servers; Debian's own base has all. */
export const BASE_PROGRAMS: readonly string[] = [
  ...['sh', 'dash', 'cat', 'chmod', 'cp', 'cut', 'date', 'dirname', 'echo', 'env', 'head', 'id', 'ls', 'ln', 'mkdir'],
  ...['mv', 'readlink', 'rm', 'sleep', 'sort', 'stat', 'tail', 'touch', 'tr', 'true', 'uname', 'wc'],
  ...['grep', 'sed', 'tar'],
];
