/** `evio graph`: the ring as a picture. */

import type { Graph } from '../../../agent/src/api.ts';
import { drawn, FORMATS } from '../graph.ts';
import { print } from '../output.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

export const graphCommands: readonly Command[] = [
  command({
    path: 'graph',
    describe: 'The ring as this node knows it: its edges by kind and path, and what its neighbours tell of theirs',
    options: (yargs) =>
      whereOptions(yargs).option('format', {
        choices: FORMATS,
        default: 'mermaid' as const,
        describe: 'svg for a browser, dot for Graphviz (circo -Tsvg), mermaid for Markdown; -o json has the numbers',
      }),
    run: async (args, io) => {
      const { withAgent } = await import('../agent-client.ts');
      const graph = await withAgent({ runDir: args['run-dir'], config: args.config }, (agent) =>
        agent.request<Graph>('graph'),
      );
      print(io, graph, (g) => drawn(g, args.format));
    },
  }),
];
