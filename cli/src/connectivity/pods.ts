/** What the API server says of a pod, of a node and of the cluster's addresses, in our words. Pure. */
import type { Node, Pod } from '../../../agent/src/kube-api/kinds.ts';
import type { Target } from './order.ts';

/** A Node that can run a pod now: `why` it cannot. */
export function nodeTrouble(node: Node): string | undefined {
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return undefined;
  return `the Node is not Ready${ready?.reason === undefined ? '' : ` (${ready.reason}: ${short(ready.message ?? '')})`}`;
}

export const isLinux = (node: Node): boolean =>
  (node.metadata.labels?.['kubernetes.io/os'] ?? 'linux') === 'linux' && node.metadata.deletionTimestamp === undefined;

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

export const hasEnded = (pod: Pod): boolean => ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '');

/** What its only container left when it ended: its termination message, or the end of its log. */
export const lastWords = (pod: Pod): string => pod.status?.containerStatuses?.[0]?.state?.terminated?.message ?? '';

/** Why it is not where it should be, from what is known. */
export function podTrouble(pod: Pod): string {
  const { status } = pod;
  const state = status?.containerStatuses?.[0]?.state;
  if (status?.reason !== undefined) return short(`${status.reason}: ${status.message ?? ''}`);
  if (state?.terminated !== undefined) {
    const { exitCode, reason = '', message } = state.terminated;
    if (/unknown here|Unknown (?:argument|command)/.test(message ?? ''))
      return 'the image of the agent has no such probe: agents and this command are of different versions';
    return short(`its program ended with ${exitCode}${message === undefined ? ` (${reason})` : `: ${message}`}`);
  }
  if (state?.waiting?.reason !== undefined)
    return short(`${state.waiting.reason}${state.waiting.message === undefined ? '' : `: ${state.waiting.message}`}`);
  if (state?.running !== undefined) return 'it runs, and does not answer the kubelet';
  return `it is ${status?.phase ?? 'unknown'}: no kubelet has taken it up`;
}

const short = (text: string): string => {
  const line = text.trim().replace(/\s*\n\s*/g, '; ');
  return line.length <= 200 ? line : `${line.slice(0, 200)}...`;
};

const v4First = (addresses: readonly string[]): readonly string[] =>
  [...addresses].sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));

export function targetOf(node: Node, pod: Pod): Target {
  const ips = (pod.status?.podIPs ?? []).flatMap(({ ip }) => (ip === undefined ? [] : [ip]));
  const hosts = (node.status?.addresses ?? [])
    .filter(({ type }) => type === 'InternalIP')
    .map(({ address }) => address);
  return { node: node.metadata.name, pod: v4First(ips), host: v4First(hosts) };
}
