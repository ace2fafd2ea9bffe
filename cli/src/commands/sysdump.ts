/** `evio sysdump`: one archive of a node, for a report of a fault. */

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

export const sysdumpCommands: readonly Command[] = [
  command({
    path: 'sysdump',
    describe: 'One archive of this node for a report of a fault, secrets taken out; lists what was',
    options: (yargs) =>
      whereOptions(yargs).option('out', {
        type: 'string',
        describe: 'The archive to write (default: evio-sysdump-TIME.tar.gz in this directory); never one that is there',
      }),
    run: async (args, io) => {
      const { findRunDir } = await import('../agent-client.ts');
      const { dump } = await import('../sysdump/dump.ts');
      const wallMs = Date.now();
      const folder = `evio-sysdump-${new Date(wallMs).toISOString().slice(0, 19).replaceAll(':', '-')}`;
      const out = resolve(args.out ?? `${folder}.tar.gz`);
      const progress = new Progress();
      try {
        const runDir = await findRunDir({ runDir: args['run-dir'], config: args.config });
        const made = await dump({ runDir, file: args.config }, folder, wallMs, (text) => progress.tell(text));
        try {
          writeFileSync(out, made.archive, { mode: 0o600, flag: 'wx' });
        } catch (error) {
          throw new UsageError(`cannot write ${out}: ${systemReason(error)}`);
        }
        progress.end();
        const { files, redactions, missing } = made;
        print(io, { out, bytes: made.archive.length, files, redactions, missing }, (d) =>
          [
            `${d.out}: ${d.files.length} files, ${d.bytes} bytes`,
            ...d.redactions.map(
              ({ file, what, times }) => `  taken out of ${file}: ${what}${times === 1 ? '' : ` (${times} times)`}`,
            ),
            ...d.missing.map((line) => `  missing: ${line}`),
            'Names of nodes, addresses and routes are in it: look at it before you give it away.',
            '',
          ].join('\n'),
        );
      } finally {
        progress.end();
      }
    },
  }),
];
