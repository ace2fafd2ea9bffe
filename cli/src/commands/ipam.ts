/** `evio ipam check`. */
import type { IpamReport } from '../ipam/check.ts';
import type { Problem } from '../ipam/judge.ts';
import { print } from '../output.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';
import { clusterOptions } from './where.ts';

export function ipamText(report: IpamReport): string {
  const { network, dataDir, subnets, attachments, used, free, node, problems, released, refused } = report;
  const line = ({ kind, text }: Problem): string => `${kind}: ${text}\n`;
  return [
    `network ${network}, ${subnets.join(', ')}: ${attachments} attachments, ${used ?? 0} addresses given, ${free ?? 0} free (${dataDir})\n`,
    node === null
      ? 'pods at the API server were not compared (--kubeconfig)\n'
      : `compared with the pods of node ${node}\n`,
    ...released.map((one) => `released, ${line(one)}`),
    ...problems.map((one) => `${line(one)}  to do: ${one.fix}\n`),
    ...(refused === null ? [] : [`${refused}\n`]),
    problems.length === 0 ? 'the book is right\n' : `${problems.length} wrong\n`,
  ].join('');
}

export const ipamCommands: readonly Command[] = [
  command({
    path: 'ipam check',
    describe:
      "Compare the CNI plugin's book of addresses with links and pods of this node: leaked, duplicate, outside the node's prefixes, not recorded",
    exitCodes: {
      0: 'the book is right, with --fix: now',
      1: 'something is wrong, and is named',
    },
    options: (yargs) =>
      clusterOptions(yargs)
        .option('node', {
          type: 'string',
          describe: 'This Node, for its pods at the API server (default: whose EvioNode has these prefixes)',
        })
        .option('fix', {
          type: 'boolean',
          default: false,
          describe: 'Release what is leaked, and nothing else; say what was',
        })
        .option('conflist', {
          type: 'string',
          default: '/etc/cni/net.d/10-evio.conflist',
          describe: "The node's CNI configuration",
        })
        .option('plugin', { type: 'string', default: '/opt/cni/bin/evio-cni', describe: 'With --fix: the CNI plugin' }),
    run: async (args, io) => {
      const { ipamCheck } = await import('../ipam/check.ts');
      const { kubeconfig, context, node, fix, conflist, plugin } = args;
      const asked = kubeconfig !== undefined || context !== undefined || node !== undefined;
      const progress = new Progress();
      try {
        const report = await ipamCheck({
          conflist,
          plugin,
          fix,
          cluster: asked ? { kubeconfig, context, node } : undefined,
          tell: (text) => progress.tell(text),
        });
        progress.end();
        print(io, report, ipamText);
        if (!report.ok) process.exitCode = 1;
      } finally {
        progress.end();
      }
    },
  }),
];
