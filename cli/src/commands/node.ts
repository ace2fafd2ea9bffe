/** `evio node enroll` */

import type { Argv } from 'yargs';
import { UsageError } from '../failure.ts';
import type { Imported } from '../import/convert.ts';
import { print } from '../output.ts';
import { lifeSeconds } from '../overlay/life.ts';
import { type Command, command } from './command.ts';

const options = (yargs: Argv) =>
  yargs
    .positional('name', { type: 'string', describe: "The node's name; with --from, the old one's if left out" })
    .option('overlay', { type: 'string', demandOption: true, describe: "The overlay's directory" })
    .option('out', { type: 'string', describe: 'The node file to write (default: ./NAME.json)' })
    .option('address4', { type: 'string', describe: 'IPv4 address on the overlay, instead of the next free one' })
    .option('address6', { type: 'string', describe: 'IPv6 address on the overlay, likewise' })
    .option('from', {
      type: 'string',
      describe: 'An old config.json of EdgeVPN.io (or -): its name, address, servers, topology and interfaces',
    })
    .option('from-overlay', { type: 'string', describe: 'Which of the old overlays, where that file has several' })
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

/** An old configuration, once it is read. */
async function oldOf(path: string | undefined, overlay: string | undefined): Promise<Imported | undefined> {
  if (path === undefined) return undefined;
  const { readOriginal } = await import('../import/read.ts');
  return readOriginal(path, overlay, '--from-overlay');
}

export const nodeCommands: readonly Command[] = [
  command({
    path: 'node enroll [name]',
    describe: 'Admit a node: its account, keys, certificate, and one complete node file',
    options,
    run: async (args, io) => {
      const validSeconds = lifeSeconds(args.days, args.valid);
      if (args['new-keys'] && !args.renew)
        throw new UsageError('--new-keys goes with --renew; a node enrolled for the first time has new keys');
      if (args['from-overlay'] !== undefined && args.from === undefined)
        throw new UsageError('--from-overlay goes with --from');
      const from = await oldOf(args.from, args['from-overlay']);
      const name = args.name ?? from?.name;
      if (name === undefined)
        throw new UsageError(
          `missing: NAME${from === undefined ? '' : ' (the old file has none that can be taken)'}; see evio node enroll --help`,
        );
      const { enroll, parseRoute } = await import('../overlay/enroll.ts');
      const done = await enroll({
        name,
        dir: args.overlay,
        out: args.out ?? `${name}.json`,
        wishes: { address4: args.address4, address6: args.address6 },
        from,
        routes: args.route.map(parseRoute),
        validSeconds,
        renew: args.renew,
        newKeys: args['new-keys'],
      });
      const { word } = await import('../import/words.ts');
      if (from !== undefined && from.notes.length > 0)
        process.stderr.write(
          `${from.notes.length} keys of the old file are not in the new one: evio config import ${word(args.from ?? '-')} names them\n`,
        );
      for (const line of done.told) process.stderr.write(`${line}\n`);
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
