/** `evio authority serve`, `evio token create`, `list` and `revoke`. */

import type { Argv } from 'yargs';
import type { ClusterPlace } from '../authority/cluster-tokens.ts';
import type { CreatedToken, TokenAbout } from '../authority/tokens.ts';
import { UsageError } from '../failure.ts';
import { columns, print } from '../output.ts';
import { durationSeconds, lifeSeconds } from '../overlay/life.ts';
import { type Command, command } from './command.ts';

const overlayOption = <T>(yargs: Argv<T>) =>
  yargs.option('overlay', { type: 'string', demandOption: true, describe: "The overlay's directory" });

/** A token is of an overlay in a directory, or of a cluster's. */
const placeOptions = <T>(yargs: Argv<T>) =>
  yargs
    .option('overlay', { type: 'string', describe: "The overlay's directory" })
    .option('network', { type: 'string', describe: 'In a cluster: the EvioNetwork, instead of --overlay' })
    .option('kubeconfig', {
      type: 'string',
      describe: 'With --network: who you are to the cluster (default: KUBECONFIG, ~/.kube/config)',
    })
    .option('context', { type: 'string', describe: 'With --network: of the kubeconfig (default: its current one)' })
    .option('namespace', { type: 'string', describe: "With --network: the operator's (default: evio-system)" })
    .conflicts('overlay', ['network', 'kubeconfig', 'context', 'namespace']);

interface PlaceArguments {
  readonly overlay?: string | undefined;
  readonly network?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
}

/** The directory, or the cluster. */
function placeOf({ overlay, network, kubeconfig, context, namespace }: PlaceArguments): string | ClusterPlace {
  if (overlay !== undefined) return overlay;
  if (network === undefined) throw new UsageError('give --overlay DIR, or in a cluster --network default');
  if (network !== NETWORK_NAME)
    throw new UsageError(`--network: "${network}" is not allowed; a cluster has one EvioNetwork: ${NETWORK_NAME}`);
  return { network, kubeconfig, context, namespace: namespace ?? 'evio-system' };
}

const NETWORK_NAME = 'default';
const TTL_MIN_SECONDS = 10;
const TTL_MAX_DAYS = 30;
const USES_MAX = 1_000;

function usesOf(uses: number): number {
  if (Number.isInteger(uses) && uses >= 1 && uses <= USES_MAX) return uses;
  throw new UsageError(`--uses: ${uses} is not allowed; allowed: a whole number from 1 to ${USES_MAX}`);
}

const usesText = ({ uses, left }: TokenAbout): string => (uses === 1 ? 'once' : `${left} of ${uses} times`);

async function createAt(
  place: string | ClusterPlace,
  options: { readonly uses: number; readonly lifeSeconds: number; readonly peer: string | undefined },
): Promise<CreatedToken> {
  if (typeof place === 'string') return (await import('../authority/tokens.ts')).createToken(place, options);
  return (await import('../authority/cluster-tokens.ts')).createClusterToken(place, options);
}

async function listAt(place: string | ClusterPlace): Promise<readonly TokenAbout[]> {
  if (typeof place === 'string') return (await import('../authority/tokens.ts')).listTokens(place);
  return (await import('../authority/cluster-tokens.ts')).listClusterTokens(place);
}

async function revokeAt(place: string | ClusterPlace, id: string): Promise<TokenAbout> {
  if (typeof place === 'string') return (await import('../authority/tokens.ts')).revokeToken(place, id);
  return (await import('../authority/cluster-tokens.ts')).revokeClusterToken(place, id);
}

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
      const service = new AuthorityService(
        args.overlay,
        validSeconds,
        createLog({ level: 'info', format: 'text' }, { component: 'authority' }),
      );
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
      placeOptions(yargs)
        .option('ttl', { type: 'string', default: '1h', describe: 'How long it holds: 90s, 30m, 12h, 7d' })
        .option('uses', { type: 'number', default: 1, describe: 'How many machines may join by it' })
        .option('peer', {
          type: 'string',
          describe: 'With --network: for the machine of this EvioPeer, outside the cluster',
        }),
    run: async (args, io) => {
      const life = durationSeconds('--ttl', args.ttl, TTL_MIN_SECONDS, TTL_MAX_DAYS);
      const uses = usesOf(args.uses);
      const place = placeOf(args);
      if (typeof place === 'string' && args.peer !== undefined) throw new UsageError('--peer goes with --network');
      const made = await createAt(place, { uses, lifeSeconds: life, peer: args.peer });
      const answers = typeof place === 'string' ? `evio authority serve --overlay ${place}` : 'the operator answers';
      // The token stands alone on standard output, for a script to take.
      if (io.output === 'text')
        process.stderr.write(
          `token ${made.id} of overlay ${made.overlay}: good ${usesText(made)}, until ${made.expires}; whoever has it can join\n` +
            `on the machine: evio join TOKEN (meanwhile, ${typeof place === 'string' ? 'here: ' : ''}${answers})\n`,
        );
      print(io, made, ({ token }) => `${token}\n`);
    },
  }),
  command({
    path: 'token list',
    describe: 'The tokens that still hold, and who joined by them',
    options: (yargs) => placeOptions(yargs),
    run: async (args, io) => {
      print(io, await listAt(placeOf(args)), (tokens) =>
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
      placeOptions(yargs).positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'As evio token list has it',
      }),
    run: async (args, io) => {
      const place = placeOf(args);
      const account = typeof place === 'string' ? 'its account is gone' : 'the operator ends its account';
      print(io, await revokeAt(place, args.id), ({ id }) => `token ${id} is void, and ${account}\n`);
    },
  }),
];
