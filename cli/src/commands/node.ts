/** `evio node enroll` */

import type { Argv } from 'yargs';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { lifeSeconds } from '../overlay/life.ts';
import { type Command, command } from './command.ts';

const options = (yargs: Argv) =>
  yargs
    .positional('name', { type: 'string', demandOption: true, describe: "The node's name" })
    .option('overlay', { type: 'string', demandOption: true, describe: "The overlay's directory" })
    .option('out', { type: 'string', describe: 'The node file to write (default: ./NAME.json)' })
    .option('address4', { type: 'string', describe: 'IPv4 address on the overlay, instead of the next free one' })
    .option('address6', { type: 'string', describe: 'IPv6 address on the overlay, likewise' })
    .option('route', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'Prefixes behind the node (pods)',
    })
    .option('days', { type: 'number', describe: 'How long the certificate is valid (default: 365)' })
    .option('valid', { type: 'string', describe: 'The same for lives of less than a day: 90s, 30m, 12h' })
    .option('renew', {
      type: 'boolean',
      default: false,
      describe: 'A new certificate for the node whose file is at --out',
    })
    .option('new-keys', {
      type: 'boolean',
      default: false,
      describe: 'With --renew: new keys and a new id; the old id is revoked',
    });

export const nodeCommands: readonly Command[] = [
  command({
    path: 'node enroll <name>',
    describe: 'Admit a node: its account, keys, certificate, and one complete node file',
    options,
    run: async (args, io) => {
      const validSeconds = lifeSeconds(args.days, args.valid);
      if (args['new-keys'] && !args.renew)
        throw new UsageError('--new-keys goes with --renew; a node enrolled for the first time has new keys');
      const { enroll, parseRoute } = await import('../overlay/enroll.ts');
      const done = await enroll({
        name: args.name,
        dir: args.overlay,
        out: args.out ?? `${args.name}.json`,
        wishes: { address4: args.address4, address6: args.address6 },
        routes: args.route.map(parseRoute),
        validSeconds,
        renew: args.renew,
        newKeys: args['new-keys'],
      });
      print(
        io,
        done,
        (node) =>
          `${node.file}: node ${node.name}, ${node.addresses.join(', ')}, valid until ${node.validUntil}\n` +
          `it holds the node's keys: move it there, then: evio agent run --config FILE\n`,
      );
    },
  }),
];
