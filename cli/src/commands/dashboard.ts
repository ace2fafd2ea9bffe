/** `evio dashboard`. */
import { isIP } from 'node:net';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

const PORT = 10482;

export const dashboardCommands: readonly Command[] = [
  command({
    path: 'dashboard',
    describe: 'The live map of this node, for a browser: serves it until it is interrupted; read only, but for traces',
    options: (yargs) =>
      whereOptions(yargs)
        .option('listen', {
          type: 'string',
          default: '127.0.0.1',
          describe: 'Address to serve it at; everybody who reaches it may look',
        })
        .option('port', { type: 'number', default: PORT, describe: 'Port; 0 takes a free one' })
        .option('trace', {
          type: 'boolean',
          default: false,
          describe: 'Print an address with a key: whoever has that may run traces by a click',
        })
        .option('allow-name', {
          type: 'string',
          array: true,
          default: [] as string[],
          describe: 'A name under which browsers may ask, besides addresses and localhost',
        }),
    run: async (args, io) => {
      const { listen, port } = args;
      if (isIP(listen) === 0) throw new UsageError(`--listen: "${listen}" is no IP address`);
      if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageError(`--port: ${port} is no port`);
      const { findRunDir } = await import('../agent-client.ts');
      const { startDashboard } = await import('../dashboard.ts');
      const dashboard = await startDashboard({
        runDir: await findRunDir({ runDir: args['run-dir'], config: args.config }),
        host: listen,
        port,
        names: args['allow-name'],
        traces: args.trace,
        told: (problem) =>
          process.stderr.write(
            `evio: ${problem === undefined ? 'the agent answers again' : `nothing new: ${problem}`}\n`,
          ),
      });
      const key = dashboard.key === undefined ? '' : `#trace=${dashboard.key}`;
      const url = `http://${listen.includes(':') ? `[${listen}]` : listen}:${dashboard.port}/${key}`;
      print(io, { url }, () => `the map of this node is at ${url}, until this is interrupted (Ctrl-C)\n`);
      await new Promise<void>((done) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
      });
      dashboard.close();
    },
  }),
];
