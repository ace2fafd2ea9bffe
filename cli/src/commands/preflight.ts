/** `evio preflight`: a machine, or a cluster, before anything is installed. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Argv } from 'yargs';
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';
import { formatPrefix, parsePrefix } from '../../../agent/src/wire/address.ts';
import { derivedUdpPort } from '../../../agent/src/wire/ids.ts';
import { UsageError } from '../failure.ts';
import { print } from '../output.ts';
import { type Check, type PreflightReport, reportOf } from '../preflight/check.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';
import { clusterOptions } from './where.ts';

/** Of `evio overlay create` and of an EvioNetwork. */
const CIDRS = ['10.45.0.0/16'] as const;

const list = (describe: string) => ({ type: 'string', array: true, nargs: 1, describe }) as const;

const options = (yargs: Argv) =>
  clusterOptions(yargs)
    .option('cluster', {
      type: 'boolean',
      default: false,
      describe: 'Look at the cluster of the kubeconfig, not at this machine; --kubeconfig and --context mean it too',
    })
    .option('namespace', {
      type: 'string',
      default: 'evio-system',
      describe: 'With --cluster: where Evio would be installed',
    })
    .option('config', { type: 'string', describe: 'A node file: its servers, networks and port are looked at' })
    .option('cidr', list(`A network of the overlay or of pods, may be given again (default: ${CIDRS.join(', ')})`))
    .option('xmpp', { type: 'string', describe: 'The XMPP server, xmpps://HOST:PORT or xmpp://HOST:PORT' })
    .option('domain', { type: 'string', describe: "The XMPP server's domain (default: its host)" })
    .option('stun', list('A STUN server, HOST:PORT'))
    .option('turn', list('A TURN server, HOST:PORT'))
    .option('ca', { type: 'string', describe: "PEM file of the XMPP server's authority (default: the system's)" })
    .option('server', {
      type: 'boolean',
      default: false,
      describe: 'The XMPP and TURN servers are to be on this machine: their ports have to be free',
    })
    .option('cni-conf-dir', { type: 'string', default: '/etc/cni/net.d', describe: "The runtime's CNI configuration" })
    .option('cni-bin-dir', { type: 'string', default: '/opt/cni/bin', describe: "The runtime's CNI plugins" });

type Arguments = ReturnType<typeof options> extends Argv<infer T> ? T : never;

export const preflightCommands: readonly Command[] = [
  command({
    path: 'preflight',
    describe:
      'Before an installation: whether this machine, or a cluster, has what Evio needs; pass, fail or uncertain, each with what to do',
    exitCodes: {
      0: 'nothing failed (what is uncertain is listed)',
      1: 'something failed, and is named; or the cluster cannot be asked',
    },
    options,
    run: async (args, io) => {
      const { preflightText } = await import('../preflight/text.ts');
      const progress = new Progress();
      try {
        const report = await look(args, (text) => progress.tell(text));
        progress.end();
        print(io, report, preflightText);
        if (!report.ok) process.exitCode = 1;
      } finally {
        progress.end();
      }
    },
  }),
];

function look(args: Arguments, tell: (text: string) => void): Promise<PreflightReport> {
  for (const cidr of args.cidr ?? []) checkCidr(cidr);
  const cluster = args.cluster || args.kubeconfig !== undefined || args.context !== undefined;
  const machine = (['config', 'xmpp', 'stun', 'turn', 'ca'] as const).find((name) => args[name] !== undefined);
  if (cluster && machine !== undefined)
    throw new UsageError(`--${machine} is of a machine; leave it out with --cluster`);
  return cluster ? lookAtCluster(args, tell) : lookAtMachine(args, tell);
}

function checkCidr(cidr: string): void {
  try {
    parsePrefix(cidr);
  } catch {
    throw new UsageError(`--cidr: "${cidr}" is no network; write it like 10.45.0.0/16`);
  }
}

async function lookAtCluster(args: Arguments, tell: (text: string) => void): Promise<PreflightReport> {
  const { withClusterClient } = await import('../cluster.ts');
  const { clusterChecks } = await import('../preflight/cluster.ts');
  const { clusterFacts } = await import('../preflight/cluster-facts.ts');
  const { kubeconfig, context, namespace, cidr: cidrs = [] } = args;
  const facts = await withClusterClient({ kubeconfig, context }, (client, connection) =>
    clusterFacts(client, connection, { namespace, cidrs, tell }),
  );
  return reportOf('cluster', facts.server, clusterChecks(facts));
}

async function lookAtMachine(args: Arguments, tell: (text: string) => void): Promise<PreflightReport> {
  const { machineFacts } = await import('../preflight/machine-facts.ts');
  const { machineChecks } = await import('../preflight/machine.ts');
  const { serverChecks } = await import('../preflight/server-checks.ts');
  const config =
    args.config === undefined
      ? undefined
      : (await import('../../../agent/src/config/load.ts')).loadNodeConfig(args.config, { expired: true });
  const { xmpp: url, domain } = args;
  const xmpp = url === undefined ? undefined : { url, domain, ca: caOf(args.ca) };
  const named = { xmpp, stun: args.stun ?? [], turn: args.turn ?? [] };
  if (url !== undefined && !/^xmpps?:\/\/(\[[^\]]+\]|[^:/]+):\d+$/.test(url))
    throw new UsageError(`--xmpp: "${url}" is not allowed; write it like xmpps://evio.example.org:5223`);
  for (const kind of ['stun', 'turn'] as const)
    for (const at of named[kind])
      if (!/^(\[[^\]]+\]|[^:/]+):\d+$/.test(at))
        throw new UsageError(`--${kind}: "${at}" is not allowed; write it like evio.example.org:3478`);
  tell('looking at this machine');
  const facts = await machineFacts({
    cidrs: args.cidr ?? (config === undefined ? CIDRS : cidrsOf(config)),
    udpPort: config === undefined ? undefined : portOf(config),
    server: args.server,
    confDir: args['cni-conf-dir'],
    binDir: args['cni-bin-dir'],
  });
  const servers: readonly Check[] = await serverChecks(named, config, tell);
  return reportOf('machine', hostname(), [...machineChecks(facts), ...servers]);
}

function caOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${systemReason(error)}`);
  }
}

const cidrsOf = ({ overlay: { parameters } }: NodeConfig): readonly string[] =>
  [parameters.subnet4, parameters.subnet6].flatMap((subnet) => (subnet === undefined ? [] : [formatPrefix(subnet)]));

function portOf({ network, identity, runDir }: NodeConfig): { readonly port: number; readonly use: string } {
  const port = network.udpPort === 0 ? derivedUdpPort(identity.certificate.label) : network.udpPort;
  return { port, use: `tincan, ${runDir}` };
}
