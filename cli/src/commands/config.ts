/** `evio config check FILE` */

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
];
