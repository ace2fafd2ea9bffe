/** All commands of `evio`, and the parser that leads to them. */

import yargs, { type Argv } from 'yargs';
import { VERSION } from '../../agent/src/version.ts';
import { agentCommands } from './commands/agent.ts';
import { authorityCommands } from './commands/authority.ts';
import type { Command } from './commands/command.ts';
import { completionCommands } from './commands/completion.ts';
import { configCommands } from './commands/config.ts';
import { connectivityCommands } from './commands/connectivity.ts';
import { dashboardCommands } from './commands/dashboard.ts';
import { flowsCommands } from './commands/flows.ts';
import { graphCommands } from './commands/graph.ts';
import { ipamCommands } from './commands/ipam.ts';
import { joinCommands } from './commands/join.ts';
import { netcheckCommands } from './commands/netcheck.ts';
import { nodeCommands } from './commands/node.ts';
import { nodesCommands } from './commands/nodes.ts';
import { overlayCommands } from './commands/overlay.ts';
import { pingCommands } from './commands/ping.ts';
import { preflightCommands } from './commands/preflight.ts';
import { serverCommands } from './commands/server.ts';
import { showCommands } from './commands/show.ts';
import { sysdumpCommands } from './commands/sysdump.ts';
import { traceCommands } from './commands/trace.ts';
import { UsageError } from './failure.ts';
import { ioFor, OUTPUTS, type Output } from './output.ts';
import { usageMessage, uselessValue } from './usage.ts';

export const COMMANDS: readonly Command[] = [
  ...serverCommands,
  ...overlayCommands,
  ...authorityCommands,
  ...nodeCommands,
  ...joinCommands,
  ...configCommands,
  ...agentCommands,
  ...showCommands,
  ...nodesCommands,
  ...pingCommands,
  ...traceCommands,
  ...flowsCommands,
  ...netcheckCommands,
  ...preflightCommands,
  ...ipamCommands,
  ...graphCommands,
  ...sysdumpCommands,
  ...dashboardCommands,
  ...completionCommands,
  ...connectivityCommands,
];

const PATHS = COMMANDS.map((command) => command.path);

/** Every command has it. */
export const OUTPUT = {
  alias: 'o',
  choices: OUTPUTS,
  default: 'text',
  describe: 'How to print',
} as const;

export const GROUPS: Readonly<Record<string, string>> = {
  server: 'The cloud side: XMPP, STUN and TURN',
  overlay: 'Overlays: make, change, revoke',
  authority: 'The authority of an overlay',
  token: 'Tokens by which machines join',
  node: 'Nodes of an overlay',
  config: 'Node files',
  agent: 'The agent of this node',
  ipam: "Addresses of this node's pods",
  connectivity: 'Whether pods of a cluster reach each other, and how fast',
};

function add(parser: Argv, path: string, { describe, options, run }: Command): Argv {
  return parser.command(
    path,
    describe,
    (y) => options(y),
    async (args) => {
      const useless = uselessValue(args);
      if (useless !== undefined) throw new UsageError(useless);
      await run(args, await ioFor(args.output as Output, (text) => process.stdout.write(text)));
    },
  );
}

export function parserOf(argv: readonly string[]): Argv {
  const parser = yargs([...argv])
    .scriptName('evio')
    .usage('$0 COMMAND: joins machines behind NATs into one Ethernet')
    .locale('en')
    .version(VERSION)
    .option('output', OUTPUT)
    .strict()
    .demandCommand(1, 'a command is missing')
    .wrap(Math.min(120, process.stdout.columns ?? 100))
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageError(usageMessage(message, argv, PATHS));
    });
  for (const [group, describe] of Object.entries(GROUPS)) {
    const members = COMMANDS.filter((c) => c.path.startsWith(`${group} `));
    if (members.length === 0) continue;
    parser.command(group, describe, (y) => {
      for (const member of members) add(y, member.path.slice(group.length + 1), member);
      return y.demandCommand(1, `evio ${group} needs to know what to do`);
    });
  }
  for (const single of COMMANDS.filter((c) => GROUPS[c.path.split(' ')[0] ?? ''] === undefined)) {
    add(parser, single.path, single);
  }
  return parser as Argv;
}
