/** `evio join TOKEN` and `evio leave`. */

import type { Argv } from 'yargs';
import { UsageError } from '../failure.ts';
import type { Joined } from '../join/join.ts';
import type { Left } from '../join/leave.ts';
import { type Io, print } from '../output.ts';
import { type Command, command } from './command.ts';
import { DEFAULT_NODE_FILE } from './where.ts';

const joinOptions = (yargs: Argv) =>
  yargs
    .positional('token', {
      type: 'string',
      demandOption: true,
      describe: 'Of evio token create, or - for standard input, where nobody sees it in the list of processes',
    })
    .option('name', { type: 'string', describe: "The node's name (default: this machine's)" })
    .option('address', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'Address on the overlay, instead of the next free one; one of each family at most',
    })
    .option('config', { type: 'string', default: DEFAULT_NODE_FILE, describe: 'The node file to write' })
    .option('run-dir', { type: 'string', describe: 'Where the node has its sockets (default: /run/evio/OVERLAY)' })
    .option('state-dir', {
      type: 'string',
      describe: 'What it remembers over a restart (default: /var/lib/evio/OVERLAY)',
    })
    .option('start', {
      type: 'boolean',
      default: true,
      describe: 'Start the systemd unit that runs this node file, if there is one; --no-start: do not',
    })
    .option('node-ip', {
      type: 'boolean',
      default: false,
      describe: "Wait until evio0 has its address, then write the kubelet's --node-ip",
    })
    .option('kubelet', {
      choices: ['kubeadm', 'k3s'] as const,
      describe: 'With --node-ip: whose files (default: of what is on this machine)',
    })
    .option('dual-stack', {
      type: 'boolean',
      default: false,
      describe: 'With --node-ip: the addresses of both families, for a cluster that has both',
    });

type JoinArgs = ReturnType<typeof joinOptions> extends Argv<infer T> ? T : never;

async function join(args: JoinArgs, io: Io): Promise<void> {
  if (!args['node-ip'] && (args.kubelet !== undefined || args['dual-stack']))
    throw new UsageError('--kubelet and --dual-stack go with --node-ip');
  const { join: joinOverlay } = await import('../join/join.ts');
  const done = await joinOverlay({
    token: args.token,
    name: args.name,
    addresses: args.address,
    runDir: args['run-dir'],
    stateDir: args['state-dir'],
    config: args.config,
    start: args.start,
    nodeIp: args['node-ip'] ? { kubelet: args.kubelet, families: args['dual-stack'] ? 2 : 1 } : undefined,
  });
  print(io, done, joinedText);
}

function joinedText({ file, name, overlay, addresses, validUntil, unit, kubelet, kubeletName }: Joined): string {
  const next = unit === null ? `then: evio agent run --config ${file}` : `${unit} runs it, now and at each boot`;
  return [
    `${file}: node ${name} of overlay ${overlay}, ${addresses.join(', ')}, valid until ${validUntil}`,
    next,
    ...kubelet.map((path) => `${path}: has --node-ip; a kubelet that runs already has to be restarted`),
    ...(kubeletName === null ? [] : [kubeletName]),
    '',
  ].join('\n');
}

function leftText({ name, overlay, revoked, why, stopped, files }: Left): string {
  const revocation =
    revoked === null
      ? `the authority did not revoke it (${why}): evio overlay revoke ${name} does, there, or in a cluster kubectl delete evionode ${name}`
      : `the authority has revoked it (list number ${revoked})`;
  return [
    `node ${name} has left overlay ${overlay}`,
    revocation,
    stopped.length === 0 ? 'nothing of it ran' : `ended: ${stopped.join(', ')}`,
    `removed or restored: ${files.join(', ')}`,
    '',
  ].join('\n');
}

export const joinCommands: readonly Command[] = [
  command({
    path: 'join <token>',
    describe: 'Make this machine a node of an overlay, by a token: keys made here, one node file',
    options: joinOptions,
    run: join,
  }),
  command({
    path: 'leave',
    describe: 'Undo that: ask the authority to revoke this node, end it, remove its files',
    options: (yargs) =>
      yargs.option('config', { type: 'string', default: DEFAULT_NODE_FILE, describe: 'The node file' }),
    run: async (args, io) => {
      const { leave } = await import('../join/leave.ts');
      print(io, await leave(args.config), leftText);
    },
  }),
];
