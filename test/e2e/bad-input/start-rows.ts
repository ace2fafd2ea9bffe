/** What keeps a node from running: `evio agent run` ends with 1, and nothing of it is left. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { generatePrivateKey } from '../../../agent/src/wire/keys.ts';
import type { Case, Place, Row } from './row.ts';
import type { NodeValue, World } from './world.ts';

/** In a mount namespace of its own, after these commands. */
const mounted = (commands: string): readonly string[] => [
  'unshare',
  '-m',
  'sh',
  '-c',
  `${commands} && exec "$@"`,
  'sh',
];
const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: 'pipe' });

/** A good node in bad surroundings. */
const start = (
  what: string,
  line: string,
  make: (place: Place, world: World, value: NodeValue) => Partial<Case> | Promise<Partial<Case>>,
): Row => ({
  what,
  async prepare(place, world) {
    let more: Partial<Case> = {};
    let value: NodeValue | undefined;
    const file = await world.node(place, (v) => {
      value = v;
    });
    more = await make(place, world, value as NodeValue);
    world.write(file, value);
    const says = [`evio: ${line.replaceAll('{dir}', place.dir).replaceAll('{n}', String(place.number))}`];
    return { args: ['agent', 'run', '--config', file], code: 1, says, ...more };
  },
});

const network = (value: NodeValue) => value.network as Record<string, unknown>;
const MODULE = 'load the kernel module (modprobe tun), or give the container the device (--device /dev/net/tun)';

export const START_ROWS: readonly Row[] = [
  start(
    'a user who is not root',
    'evio agent run makes network interfaces and sockets only root may use: run it as root (sudo)',
    (place, world) => {
      world.giveAway(place.path('node.json'));
      return { within: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] };
    },
  ),
  start('a kernel without TUN', `there is no /dev/net/tun: ${MODULE}`, () => ({
    within: mounted('mount -t tmpfs none /dev/net'),
  })),
  start('a TUN device without its driver', `no driver stands behind /dev/net/tun: ${MODULE}`, () => ({
    within: mounted('mount -t tmpfs none /dev/net && mknod /dev/net/tun c 240 77'),
  })),
  start(
    'a container without NET_ADMIN',
    'CAP_NET_ADMIN is missing, which it takes to make network interfaces: give it to the container (--cap-add NET_ADMIN)',
    () => ({ within: ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'] }),
  ),
  start(
    'a UDP port that is taken',
    "UDP port 20{n} is taken: see who has it with ss -lunp 'sport = 20{n}', or set another network.udpPort",
    async (place, _, value) => {
      const port = Number(`20${place.number}`);
      network(value).udpPort = port;
      const socket = createSocket('udp4').bind(port, '127.0.0.1');
      await once(socket, 'listening');
      return { undo: () => void socket.close() };
    },
  ),
  start(
    'a bridge of which the name is another interface',
    'an interface own{n} exists and is no bridge: remove it or configure another name',
    (place, _, value) => {
      network(value).bridge = `own${place.number}`;
      ip('link', 'add', `own${place.number}`, 'type', 'veth');
      return { undo: () => void ip('link', 'del', `own${place.number}`) };
    },
  ),
  start(
    'a tap of which the name is another interface',
    'an interface own{n} exists and is no single-queue tap: remove it or configure another name',
    (place, _, value) => {
      network(value).tap = `own${place.number}`;
      ip('link', 'add', `own${place.number}`, 'type', 'veth');
      return { undo: () => void ip('link', 'del', `own${place.number}`) };
    },
  ),
  start(
    'an overlay address that another interface has',
    '10.45.{n}.1 of this node is an address of own{n} already: take it away there, or enrol the node with another one (--address4)',
    (place) => {
      ip('link', 'add', `own${place.number}`, 'type', 'veth');
      ip('address', 'add', `10.45.${place.number}.1/32`, 'dev', `own${place.number}`);
      return { undo: () => void ip('link', 'del', `own${place.number}`) };
    },
  ),
  start(
    'a run directory that cannot be made',
    'cannot make the run directory {dir}/fixed/run: the file system is read-only',
    (place, world, value) => {
      const dir = world.directory(place, 'fixed');
      value.runDir = `${dir}/run`;
      return { within: mounted(`mount --bind -o ro ${dir} ${dir}`) };
    },
  ),
  start(
    'a file where the run directory should be',
    'cannot make the run directory {dir}/run: something else has this name',
    (place, world) => {
      world.write(place.path('run'), '');
      return {};
    },
  ),
  start('a tincan that is not there', 'tincan ({dir}/tincan) cannot be run: there is no such file', (place) => ({
    env: { EVIO_TINCAN: place.path('tincan') },
  })),
  start('a tincan that is no program', 'tincan ({dir}/tincan) cannot be run: permission denied', (place, world) => {
    world.write(place.path('tincan'), '');
    return { env: { EVIO_TINCAN: place.path('tincan') } };
  }),
  start('a tincan that ends at once', 'tincan ({dir}/tincan) ended: exit code 3: no thank you', (place, world) => {
    world.write(place.path('tincan'), '#!/bin/sh\necho no thank you >&2; exit 3\n', 0o700);
    return { env: { EVIO_TINCAN: place.path('tincan') } };
  }),
  {
    what: 'a run directory in which another agent runs',
    async prepare(place, world) {
      const file = await world.node(place, (value) => {
        Object.assign(network(value), { bridge: `one${place.number}`, tap: `one${place.number}-tap` });
      });
      const first = await world.runAgent(file, place.path('run'));
      return {
        args: ['agent', 'run', '--config', file],
        code: 1,
        says: [
          `evio: an agent (pid ${first.pid}) runs already with the run directory ${place.path('run')}: stop it with "evio agent stop", or set another runDir`,
        ],
        undo: () => first.end(),
      };
    },
  },
  {
    what: 'a node that runs on this machine already, with another run directory',
    async prepare(place, world) {
      const file = await world.node(place);
      const other = world.valueOf(file);
      Object.assign(other, { runDir: place.path('run2'), stateDir: place.path('state2') });
      Object.assign(network(other), { bridge: `one${place.number}`, tap: `one${place.number}-tap`, udpPort: 20_000 });
      const first = await world.runAgent(world.write(place.path('other.json'), other), place.path('run2'));
      return {
        args: ['agent', 'run', '--config', file],
        code: 1,
        says: [
          `evio: 10.45.${place.number}.1 of this node is an address of one${place.number} already: take it away there, or enrol the node with another one (--address4)`,
        ],
        undo: () => first.end(),
      };
    },
  },
  {
    what: 'a route to what is behind another member',
    async prepare(place, world) {
      const authority = generatePrivateKey('ed25519');
      const file = await world.node(place, undefined, { authority });
      const behind = `10.99.${place.number}.0`;
      const name = `far${place.number}`;
      const options = { authority, name, serial: 2n, address: `10.45.${place.number}.2/16`, routes: [`${behind}/24`] };
      // One that was known when the node ran before.
      const { certificate } = world.nodeValue(options).identity;
      world.write(`${world.directory(place, 'state')}/members.json`, { certificates: [certificate] });
      const own = `own${place.number}`;
      ip('link', 'add', own, 'type', 'veth');
      ip('link', 'set', own, 'up');
      ip('route', 'add', `${behind}/25`, 'dev', own);
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [
          `warn ${behind}/24 of node ${name} meets the route ${behind}/25 dev ${own} of this machine, which takes its packets: take that route away, or use other addresses in the overlay`,
        ],
        goesOn: { quietMs: 1_000 },
        leaves: ['run', 'run/tincan.lock', 'run/tincan.log'],
        undo: () => void ip('link', 'del', own),
      };
    },
  },
  {
    what: 'a state directory that cannot be made',
    async prepare(place, world) {
      const dir = world.directory(place, 'fixed');
      const file = await world.node(place, (value) => {
        value.stateDir = `${dir}/state`;
      });
      return {
        args: ['agent', 'run', '--config', file],
        within: mounted(`mount --bind -o ro ${dir} ${dir}`),
        code: 0,
        says: [`warn cannot make ${dir}/state: the file system is read-only; nothing is remembered over a restart`],
        goesOn: { quietMs: 1_000 },
        leaves: ['run', 'run/tincan.lock', 'run/tincan.log'],
      };
    },
  },
  {
    what: 'a ping to a node that nobody knows',
    async prepare(place, world) {
      const file = await world.node(place, (value) => {
        Object.assign(network(value), { bridge: `one${place.number}`, tap: `one${place.number}-tap` });
      });
      const agent = await world.runAgent(file, place.path('run'));
      return {
        args: ['ping', 'nobody', '--run-dir', place.path('run')],
        code: 1,
        says: ['evio: no other member is named "nobody"; known members: none yet'],
        leaves: ['state/members.json'],
        undo: () => agent.end(),
      };
    },
  },
];
