/** `evio config check FILE` and `evio config import OLD` */

import { print } from '../output.ts';
import { type Command, command } from './command.ts';

export const configCommands: readonly Command[] = [
  command({
    path: 'config check <file>',
    describe: 'Say everything that is wrong with a node file',
    options: (yargs) => yargs.positional('file', { type: 'string', demandOption: true, describe: 'The node file' }),
    run: async (args, io) => {
      const { loadNodeConfig } = await import('../../../agent/src/config/load.ts');
      const { file, name, overlay, identity } = loadNodeConfig(args.file);
      const { certificate } = identity;
      const about = {
        file,
        ok: true,
        name,
        id: certificate.nodeId,
        overlay: { name: overlay.parameters.name, id: overlay.parameters.overlayId },
        addresses: certificate.addresses.map((a) => `${a.address}/${a.length}`),
        validUntil: new Date(certificate.notAfter * 1000).toISOString(),
      };
      print(
        io,
        about,
        (a) =>
          `${a.file}: good: node ${a.name} of overlay ${a.overlay.name}, ${a.addresses.join(', ')}, valid until ${a.validUntil}\n`,
      );
    },
  }),
  command({
    path: 'config import <old>',
    describe: 'Say what becomes of a configuration of the original EdgeVPN.io (21.x, 24.1)',
    options: (yargs) =>
      yargs
        .positional('old', { type: 'string', demandOption: true, describe: 'Its config.json, or - for standard input' })
        .option('overlay', { type: 'string', describe: 'Which of its overlays, where it has several' }),
    run: async (args, io) => {
      const { readOriginal } = await import('../import/read.ts');
      const { nextSteps, noteLine } = await import('../import/words.ts');
      const done = await readOriginal(args.old, args.overlay, '--overlay');
      print(io, done, (d) => `${JSON.stringify(d.file, null, 2)}\n`);
      // Standard output may go into a file: what a person has to read does not belong there.
      for (const note of done.notes) process.stderr.write(`${noteLine(note)}\n`);
      process.stderr.write(`${nextSteps(args.old, done)}\n`);
    },
  }),
];
