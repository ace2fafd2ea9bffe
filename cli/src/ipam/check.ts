/** `evio ipam check`: reads the book, judges it, and with `fix` has the CNI plugin take back what nobody uses. */
import { ipamOf } from '../../../agent/src/kube/ipam.ts';
import type { ClusterAccess } from '../cluster.ts';
import { Failure } from '../failure.ts';
import { run } from '../process.ts';
import { type Book, type PodFact, type Problem, problemsOf } from './judge.ts';
import { type CniNetwork, readBook, readConflist } from './read.ts';

export interface IpamOptions {
  readonly conflist: string;
  /** The plugin, for `fix`. */
  readonly plugin: string;
  readonly fix: boolean;
  /** Whose pods are compared; undefined: none. */
  readonly cluster: (ClusterAccess & { readonly node: string | undefined }) | undefined;
  readonly tell: (text: string) => void;
}

export interface IpamReport {
  readonly network: string;
  readonly conflist: string;
  readonly dataDir: string;
  readonly subnets: readonly string[];
  readonly attachments: number;
  /** Of the family that has fewer left; null: there is no subnet. */
  readonly used: number | null;
  readonly free: number | null;
  /** Whose pods at the API server were compared; null: nobody asked. */
  readonly node: string | null;
  /** What is still wrong. */
  readonly problems: readonly Problem[];
  /** What `--fix` has released; empty without it. */
  readonly released: readonly Problem[];
  /** Why `--fix` did nothing, although there was something to do; null otherwise. */
  readonly refused: string | null;
  readonly ok: boolean;
}

const SWEEP_MS = 60_000;

export async function ipamCheck({ conflist, plugin, fix, cluster, tell }: IpamOptions): Promise<IpamReport> {
  const network = readConflist(conflist);
  tell('reading the book of addresses');
  const at = cluster === undefined ? undefined : await podsAt(cluster, network.subnets, tell);
  const before = await readBook(network);
  const found = problemsOf(before, at?.pods);
  const leaked = found.filter(({ kind }) => kind === 'leaked');
  const refused =
    fix && leaked.length > 0 && before.strangers.length > 0
      ? `nothing was released: the plugin's sweep would cut off ${before.strangers.join(', ')} as well, which may be pods at work`
      : null;
  if (!fix || leaked.length === 0 || refused !== null) return report(network, before, found, at, [], refused);
  tell('releasing what nobody uses');
  await sweep(plugin, conflist);
  const after = await readBook(network);
  const left = problemsOf(after, at?.pods);
  const still = new Set(left.map(({ text }) => text));
  return report(
    network,
    after,
    left,
    at,
    leaked.filter(({ text }) => !still.has(text)),
    null,
  );
}

function report(
  network: CniNetwork,
  book: Book,
  problems: readonly Problem[],
  at: { readonly node: string } | undefined,
  released: readonly Problem[],
  refused: string | null,
): IpamReport {
  const counts = ipamOf(book.subnets, book.given);
  return {
    network: book.network,
    conflist: network.file,
    dataDir: network.dataDir,
    subnets: book.subnets,
    attachments: book.attachments.length,
    used: counts?.used ?? null,
    free: counts?.free ?? null,
    node: at?.node ?? null,
    problems,
    released,
    refused,
    ok: problems.length === 0,
  };
}

/** It judges each attachment once more, under its lock: what came to life meanwhile stays (docs/cni.md). */
async function sweep(plugin: string, conflist: string): Promise<void> {
  const said = await run(plugin, ['sweep', conflist], {
    timeoutMs: SWEEP_MS,
    missing: 'name it by --plugin',
  });
  if (said.code === 0) return;
  const words = (said.stderr.trim() || said.stdout.trim()).split('\n').at(-1) ?? '';
  throw new Failure(
    `${plugin} sweep ended with ${said.code ?? 'a signal'}: ${words}; is this root, in the node's network namespace?`,
  );
}

/** The node is the one whose EvioNode has these prefixes, unless it is named. */
async function podsAt(
  { node, ...access }: NonNullable<IpamOptions['cluster']>,
  subnets: readonly string[],
  tell: (text: string) => void,
): Promise<{ readonly node: string; readonly pods: readonly PodFact[] }> {
  const { withClusterClient } = await import('../cluster.ts');
  const { POD } = await import('../../../agent/src/kube-api/kinds.ts');
  const { EVIO_NODE } = await import('../../../agent/src/kube-api/evio-kinds.ts');
  return withClusterClient(access, async (client, connection) => {
    tell(`asking ${connection.server}`);
    const name =
      node ??
      (await client.list(EVIO_NODE)).find(({ spec }) => subnets.some((subnet) => spec.podCIDRs.includes(subnet)))
        ?.metadata.name;
    if (name === undefined)
      throw new Failure(`no EvioNode has the prefixes ${subnets.join(', ')}; name this node by --node`);
    const pods = await client.list(POD, { fieldSelector: `spec.nodeName=${name}` });
    return {
      node: name,
      pods: pods
        .filter(
          ({ spec, status }) => spec?.hostNetwork !== true && !['Succeeded', 'Failed'].includes(status?.phase ?? ''),
        )
        .map(({ metadata, status }) => ({
          name: `${metadata.namespace}/${metadata.name}`,
          addresses: (status?.podIPs ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip])),
        })),
    };
  });
}
