/** Where the time goes until nodes are Ready, by what the cluster itself keeps of when things came; of several nodes the last. */
import { type Anything, conditionOf, get, list, NAMESPACE } from './kube.ts';

/** Seconds after `sinceMs` (since 1970), whole ones but for the lease. */
export async function milestones(sinceMs: number): Promise<Readonly<Record<string, number>>> {
  const [pods, members, nodes] = await Promise.all([list('pods', '-n', NAMESPACE), list('evionodes'), list('nodes')]);
  const lease = await get('lease', 'evio-operator', '-n', NAMESPACE);
  const of = (name: string) => pods.filter(({ metadata }) => metadata.name.startsWith(`evio-${name}-`));
  const became = (objects: readonly Anything[], type: string) =>
    objects.map((object) => conditionOf(object, type)?.lastTransitionTime);
  const found: Readonly<Record<string, readonly (string | undefined)[]>> = {
    'operator started': of('operator').map(startOf),
    'operator leads': [lease?.spec?.acquireTime as string | undefined],
    'EvioNodes made': members.map(({ metadata }) => metadata.creationTimestamp),
    'agents made': of('agent').map(({ metadata }) => metadata.creationTimestamp),
    'agents started': of('agent').map(startOf),
    'tincan started': of('dataplane').map(startOf),
    'server made': of('server').map(({ metadata }) => metadata.creationTimestamp),
    'server started': of('server').map(startOf),
    'XMPP connected': became(members, 'SignallingConnected'),
    'EvioNodes Ready': became(members, 'Ready'),
    'Nodes Ready': became(nodes, 'Ready'),
  };
  return Object.fromEntries(
    Object.entries(found).map(([what, times]) => {
      const last = Math.max(...times.map((time) => Date.parse(time ?? '')));
      return [what, Math.round((last - sinceMs) / 100) / 10] as const;
    }),
  );
}

interface ContainerStatus {
  readonly state?: { readonly running?: { readonly startedAt?: string } };
}

const startOf = ({ status }: Anything): string | undefined =>
  (status?.containerStatuses as readonly ContainerStatus[] | undefined)?.[0]?.state?.running?.startedAt;
