/** `evio authority serve`, `evio token create`, `list` and `revoke`. */

import type { Argv } from 'yargs';
import type { TokenAbout } from '../authority/tokens.ts';
import { UsageError } from '../failure.ts';
import { columns, print } from '../output.ts';
import { durationSeconds, lifeSeconds } from '../overlay/life.ts';
import { type Command, command } from './command.ts';

const overlayOption = <T>(yargs: Argv<T>) =>
  yargs.option('overlay', { type: 'string', demandOption: true, describe: "The overlay's directory" });

const TTL_MIN_SECONDS = 10;
const TTL_MAX_DAYS = 30;
const USES_MAX = 1_000;

function usesOf(uses: number): number {
  if (Number.isInteger(uses) && uses >= 1 && uses <= USES_MAX) return uses;
  throw new UsageError(`--uses: ${uses} is not allowed; allowed: a whole number from 1 to ${USES_MAX}`);
}

const usesText = ({ uses, left }: TokenAbout): string => (uses === 1 ? 'once' : `${left} of ${uses} times`);

export const authorityCommands: readonly Command[] = [
  command({
    path: 'authority serve',
    describe: 'Answer who joins by a token, and who leaves, until SIGINT or SIGTERM',
    options: (yargs) =>
      overlayOption(yargs)
        .option('days', { type: 'number', describe: 'How long certificates are valid (default: 365)' })
        .option('valid', { type: 'string', describe: 'The same for lives of less than a day: 90s, 30m, 12h' }),
    run: async (args) => {
      const validSeconds = lifeSeconds(args.days, args.valid);
      const { AuthorityService } = await import('../authority/serve.ts');
      const { createLog } = await import('../../../agent/src/io/log.ts');
      const service = new AuthorityService(args.overlay, validSeconds, createLog({ level: 'info', format: 'text' }));
      const ended = Promise.withResolvers<void>();
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.resolve());
      service.start();
      await ended.promise;
      await service.stop();
    },
  }),
  command({
    path: 'token create',
    describe: 'Print a token: one line, by which a machine joins with evio join',
    options: (yargs) =>
      overlayOption(yargs)
        .option('ttl', { type: 'string', default: '1h', describe: 'How long it holds: 90s, 30m, 12h, 7d' })
        .option('uses', { type: 'number', default: 1, describe: 'How many machines may join by it' }),
    run: async (args, io) => {
      const life = durationSeconds('--ttl', args.ttl, TTL_MIN_SECONDS, TTL_MAX_DAYS);
      const uses = usesOf(args.uses);
      const { createToken } = await import('../authority/tokens.ts');
      const made = await createToken(args.overlay, { uses, lifeSeconds: life });
      // The token stands alone on standard output, for a script to take.
      if (io.output === 'text')
        process.stderr.write(
          `token ${made.id} of overlay ${made.overlay}: good ${usesText(made)}, until ${made.expires}; whoever has it can join\n` +
            `on the machine: evio join TOKEN (meanwhile, here: evio authority serve --overlay ${args.overlay})\n`,
        );
      print(io, made, ({ token }) => `${token}\n`);
    },
  }),
  command({
    path: 'token list',
    describe: 'The tokens that still hold, and who joined by them',
    options: (yargs) => overlayOption(yargs),
    run: async (args, io) => {
      const { listTokens } = await import('../authority/tokens.ts');
      print(io, await listTokens(args.overlay), (tokens) =>
        tokens.length === 0
          ? 'no tokens\n'
          : columns([
              ['ID', 'UNTIL', 'USES LEFT', 'JOINED'],
              ...tokens.map((t) => [t.id, t.expires, `${t.left} of ${t.uses}`, t.joined.join(', ') || '-']),
            ]),
      );
    },
  }),
  command({
    path: 'token revoke <id>',
    describe: 'Make a token void; who joined by it stays',
    options: (yargs) =>
      overlayOption(yargs).positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'As evio token list has it',
      }),
    run: async (args, io) => {
      const { revokeToken } = await import('../authority/tokens.ts');
      print(io, await revokeToken(args.overlay, args.id), ({ id }) => `token ${id} is void, and its account is gone\n`);
    },
  }),
];
