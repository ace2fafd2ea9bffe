/** `evio nodes`. */
import type { Peer, Status } from '../../../agent/src/api.ts';
import { Failure, UsageError } from '../failure.ts';
import { type MemberRow, type NodesReport, nodesOfAgent, nodesOfCluster } from '../nodes.ts';
import { columns, print } from '../output.ts';
import { type Command, command } from './command.ts';
import { clusterOptions, whereOptions } from './where.ts';

const HEAD = ['NODE', 'ID', 'ADDRESS', 'WHERE', 'PATH', 'NAT', 'VERSION', 'READY'];
/** Enough to tell nodes apart; -o json has the whole id. */
const ID_SHOWN = 12;

export function nodesText({ nodes }: NodesReport): string {
  return nodes.length === 0 ? 'there is no node yet\n' : columns([HEAD, ...nodes.map(row)]);
}

function row({ name, id, addresses, where, path, nat, version, ready, reason }: MemberRow): readonly string[] {
  const word = ready === null ? 'unknown' : ready ? 'yes' : 'no';
  return [
    name,
    id?.slice(0, ID_SHOWN) ?? '-',
    addresses.join(',') || '-',
    where?.join(',') || '-',
    path ?? '-',
    nat ?? '-',
    version ?? '-',
    reason === null ? word : `${word}: ${reason}`,
  ];
}

interface Arguments {
  readonly 'run-dir'?: string | undefined;
  readonly config?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

async function askAgent(where: { readonly runDir?: string | undefined; readonly config?: string | undefined }) {
  const { withAgent } = await import('../agent-client.ts');
  return withAgent(where, async (agent) => {
    const status = await agent.request<Status>('status');
    const { peers } = await agent.request<{ readonly peers: readonly Peer[] }>('peers');
    return nodesOfAgent(status, peers);
  });
}

async function askCluster(kubeconfig: string | undefined, context: string | undefined): Promise<NodesReport> {
  const { withClusterClient } = await import('../cluster.ts');
  const { EVIO_NODE } = await import('../../../agent/src/kube-api/evio-kinds.ts');
  return withClusterClient({ kubeconfig, context }, async (client, connection) =>
    nodesOfCluster(await client.list(EVIO_NODE), connection.server),
  );
}

/** Who names a cluster, or calls it by kubectl, means the cluster; else the agent that runs here, where one does. */
async function ask(args: Arguments): Promise<NodesReport> {
  const { kubeconfig, context, config } = args;
  const where = { runDir: args['run-dir'], config };
  const local = where.runDir !== undefined || config !== undefined;
  const cluster = kubeconfig !== undefined || context !== undefined;
  if (local && cluster)
    throw new UsageError('--run-dir and --config are for an agent, --kubeconfig and --context for a cluster; give one');
  if (local) return askAgent(where);
  if (cluster || process.env.EVIO_KUBECTL === '1') return askCluster(kubeconfig, context);
  const { NoAgentError } = await import('../agent-client.ts');
  try {
    return await askAgent({});
  } catch (error) {
    if (!(error instanceof NoAgentError)) throw error;
    const { ownKubeconfig } = await import('../cluster.ts');
    if (ownKubeconfig() !== undefined) return askCluster(undefined, undefined);
    throw new Failure(`${error.message}; for a cluster's nodes name a kubeconfig (--kubeconfig, or KUBECONFIG)`);
  }
}

export const nodesCommands: readonly Command[] = [
  command({
    path: 'nodes',
    describe:
      'All members: name, id, address, where they are seen, path, NAT, version, ready. Of a cluster, or as the agent here knows them',
    options: (yargs) => clusterOptions(whereOptions(yargs)),
    run: async (args, io) => {
      print(io, await ask(args), nodesText);
    },
  }),
];
