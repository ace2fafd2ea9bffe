/** `evio overlay create`, `update`, `revoke` and `restore`. */

import type { Argv } from 'yargs';
import type { Parameters, Topology } from '../../../agent/src/wire/parameters.ts';
import { UsageError } from '../failure.ts';
import { type Io, print } from '../output.ts';
import { type Command, command } from './command.ts';

const DEFAULT_ADMIN = '/etc/evio/server/admin.json';

const FULL_MESH = ['auto', 'off'] as const;
const DESCRIBE = {
  successors: 'Ring neighbours each way, 1 to 8',
  'long-distance': 'Long-distance links of a node, or auto: ceil(log2 n), or auto:8: those, but at most 8',
  'on-demand': 'Tunnels a node makes because two nodes talk much, at most',
  'full-mesh': 'Whether a small overlay is a full mesh',
  mtu: 'Of evio0: auto (1400), or 1280 to 9000',
} as const;

const createOptions = (yargs: Argv) =>
  yargs
    .positional('name', { type: 'string', demandOption: true, describe: "The overlay's name" })
    .option('server', {
      type: 'string',
      default: DEFAULT_ADMIN,
      describe: 'The administrator file of evio server init',
    })
    .option('dir', { type: 'string', describe: 'Where its keys and address book go (default: ./NAME)' })
    .option('subnet4', { type: 'string', default: '10.45.0.0/16', describe: 'IPv4 subnet, or none' })
    .option('subnet6', { type: 'string', default: 'auto', describe: 'IPv6 subnet, auto (a unique local one) or none' })
    .option('mtu', { type: 'string', default: 'auto', describe: DESCRIBE.mtu })
    .option('successors', { type: 'number', default: 2, describe: DESCRIBE.successors })
    .option('long-distance', { type: 'string', default: 'auto', describe: DESCRIBE['long-distance'] })
    .option('on-demand', { type: 'number', default: 8, describe: DESCRIBE['on-demand'] })
    .option('full-mesh', { choices: FULL_MESH, default: 'auto' as const, describe: DESCRIBE['full-mesh'] });

const updateOptions = (yargs: Argv) =>
  yargs
    .positional('dir', { type: 'string', demandOption: true, describe: "The overlay's directory" })
    .option('mtu', { type: 'string', describe: DESCRIBE.mtu })
    .option('successors', { type: 'number', describe: DESCRIBE.successors })
    .option('long-distance', { type: 'string', describe: DESCRIBE['long-distance'] })
    .option('on-demand', { type: 'number', describe: DESCRIBE['on-demand'] })
    .option('full-mesh', { choices: FULL_MESH, describe: DESCRIBE['full-mesh'] });

function within(option: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${option}: ${value} is not allowed; allowed: a whole number from ${min} to ${max}`);
}

type ArgsOf<F> = F extends (yargs: Argv) => Argv<infer T> ? T : never;

async function create(args: ArgsOf<typeof createOptions>, io: Io): Promise<void> {
  const { createOverlay, longDistanceOf, parseMtu, parseSubnet } = await import('../overlay/create.ts');
  const { directory, parameters, room } = await createOverlay({
    name: args.name,
    dir: args.dir ?? args.name,
    server: args.server,
    subnet4: parseSubnet('--subnet4', args.subnet4, 4),
    subnet6: parseSubnet('--subnet6', args.subnet6, 6),
    mtu: parseMtu(args.mtu),
    topology: {
      successors: within('successors', args.successors, 1, 8),
      longDistance: longDistanceOf(args['long-distance']),
      onDemand: within('on-demand', args['on-demand'], 0, 255),
      fullMesh: args['full-mesh'],
    },
  });
  print(io, { ...about(parameters), dir: directory.dir, room }, (o) =>
    [
      `${o.dir}: overlay ${o.name}, ${[o.subnet4, o.subnet6].filter((s) => s !== null).join(' and ')}, MTU ${o.mtu}`,
      `keep ${o.dir}/authority.key: whoever has it can admit nodes`,
      `then: evio node enroll NAME --overlay ${args.dir ?? args.name}`,
      '',
    ].join('\n'),
  );
}

async function update(args: ArgsOf<typeof updateOptions>, io: Io): Promise<void> {
  const { longDistanceOf, parseMtu, updateOverlay } = await import('../overlay/create.ts');
  const change: { -readonly [K in keyof Topology]?: Topology[K] } = {};
  if (args.successors !== undefined) change.successors = within('successors', args.successors, 1, 8);
  if (args['long-distance'] !== undefined) change.longDistance = longDistanceOf(args['long-distance']);
  if (args['on-demand'] !== undefined) change.onDemand = within('on-demand', args['on-demand'], 0, 255);
  if (args['full-mesh'] !== undefined) change.fullMesh = args['full-mesh'];
  if (Object.keys(change).length === 0 && args.mtu === undefined) {
    throw new UsageError('nothing to change; give --mtu, --successors, --long-distance, --on-demand or --full-mesh');
  }
  const parameters = await updateOverlay(args.dir, args.mtu === undefined ? undefined : parseMtu(args.mtu), change);
  print(
    io,
    about(parameters),
    (o) =>
      `overlay ${o.name}: parameters number ${o.serial}: ${JSON.stringify(o.topology)}, MTU ${o.mtu}\n` +
      `each node takes them with a new file: evio node enroll NAME --overlay ${args.dir} --renew --out FILE\n`,
  );
}

function about(parameters: Parameters) {
  const subnet = (prefix: Parameters['subnet4']) =>
    prefix === undefined ? null : `${prefix.address}/${prefix.length}`;
  return {
    name: parameters.name,
    id: parameters.overlayId,
    serial: Number(parameters.serial),
    mtu: parameters.mtu,
    subnet4: subnet(parameters.subnet4),
    subnet6: subnet(parameters.subnet6),
    topology: parameters.topology,
  };
}

export const overlayCommands: readonly Command[] = [
  command({
    path: 'overlay create <name>',
    describe: 'Make an overlay: its authority key, its signed parameters, its room on the server',
    options: createOptions,
    run: create,
  }),
  command({
    path: 'overlay update <dir>',
    describe: 'Sign new parameters',
    options: updateOptions,
    run: update,
  }),
  command({
    path: 'overlay revoke <node>',
    describe: 'Void a node’s certificates and end its account',
    options: (yargs) =>
      yargs
        .positional('node', { type: 'string', demandOption: true, describe: "The node's name" })
        .option('overlay', { type: 'string', demandOption: true, describe: "The overlay's directory" }),
    run: async (args, io) => {
      const { revoke } = await import('../overlay/revoke.ts');
      const done = await revoke(args.overlay, args.node);
      print(
        io,
        done,
        (r) =>
          `node ${r.name} (id ${r.id}) is revoked: its account is gone, and list number ${r.serial} is signed\n` +
          `hand the list to any running node, which passes it on: evio agent revocations ${r.list}\n`,
      );
    },
  }),
  command({
    path: 'overlay restore <dir>',
    describe: 'Make its room and all accounts anew, on a server that has lost them',
    options: (yargs) =>
      yargs.positional('dir', { type: 'string', demandOption: true, describe: "The overlay's directory" }),
    run: async (args, io) => {
      const { restore } = await import('../overlay/restore.ts');
      print(
        io,
        await restore(args.dir),
        (r) =>
          `overlay ${r.overlay}: the room ${r.room} ${r.roomMade ? 'is made anew' : 'was there'}, ` +
          `and ${r.nodes.length} accounts are as their nodes' files say\nthe nodes come back by themselves within half a minute\n`,
      );
    },
  }),
];
