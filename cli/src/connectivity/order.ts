/** What the pods of `evio connectivity` are told to ask, and what they tell. Pure. */

/** Of a pod that answers: TCP (HTTP) and UDP (echo). Above 1024, so that it needs no right. */
export const PORT = 8080;
export const SERVICE = 'probes';

export type Family = 4 | 6;

/** One node that takes part. Addresses of both families, IPv4 first, as far as the cluster has them. */
export interface Target {
  readonly node: string;
  /** Of its answering pod. */
  readonly pod: readonly string[];
  /** InternalIP of the Node. */
  readonly host: readonly string[];
}

/** The same for every asking pod; in a file of each. */
export interface Order {
  readonly namespace: string;
  readonly targets: readonly Target[];
  /** The Service before all answering pods. */
  readonly clusterIPs: readonly string[];
  readonly nodePort: number;
  /** HOST:PORT that takes TCP connections, outside the overlay. */
  readonly outside: string;
  /** For one ask, all its tries together. */
  readonly patienceMs: number;
}

/** What pods ask, in this order. `logs` and `pods` are of who runs the test. */
export const ASKED_STEPS = ['pod4', 'pod6', 'whole', 'host', 'cluster-ip', 'name', 'node-port', 'outside'] as const;
export type AskedStep = (typeof ASKED_STEPS)[number];
export type StepId = 'pods' | AskedStep | 'logs';
/** Where an asking pod stands: in the pod network, or in that of its node. */
export type Stand = 'pod' | 'host';
export const standOf = (step: AskedStep): Stand => (step === 'host' ? 'host' : 'pod');

export type Ask =
  /** GET /, answered by an answering pod; `node`: of which node it has to be. */
  | {
      readonly kind: 'http';
      readonly host: string;
      readonly port: number;
      readonly family?: Family;
      readonly node?: string;
      readonly own?: true;
    }
  /** A datagram as large as the MTU there and back, and a body of many full packets. */
  | { readonly kind: 'whole'; readonly host: string }
  | { readonly kind: 'connect'; readonly host: string; readonly port: number };

export interface Task {
  readonly step: AskedStep;
  /** Node, Service or address that is asked, for people. */
  readonly to: string;
  readonly ask: Ask;
}

/** What was found in one step by one asking pod. */
export interface Found {
  readonly step: AskedStep;
  /** Tasks; 0: there was nothing to ask. */
  readonly asked: number;
  readonly failed: readonly Miss[];
  /** Failures that did not fit. */
  readonly more?: number;
  /** Tasks that needed more than one try. */
  readonly retried: number;
  readonly ms: number;
}

export interface Miss {
  readonly to: string;
  readonly why: string;
}

export const familyOf = (address: string): Family => (address.includes(':') ? 6 : 4);

/** What the pod of `node` that stands there asks, step by step. A node's own pod is asked too, but by pairs of steps 'pod'. */
export function tasksOf(order: Order, node: string, stand: Stand): readonly Task[] {
  const others = order.targets.filter((target) => target.node !== node);
  const pods = (step: AskedStep, targets: readonly Target[], ask: (host: string, of: Target) => Ask, family?: Family) =>
    targets.flatMap((target) =>
      target.pod
        .filter((address) => family === undefined || familyOf(address) === family)
        .map((address): Task => ({ step, to: target.node, ask: ask(address, target) })),
    );
  if (stand === 'host')
    return pods('host', order.targets, (host, of) => ({ kind: 'http', host, port: PORT, node: of.node }));
  // That the source is the pod's own address is what Kubernetes asks of every network.
  const plain = (host: string, of: Target): Ask => ({ kind: 'http', host, port: PORT, node: of.node, own: true });
  // A Service has addresses of families that no pod behind it has.
  const families = new Set(order.targets.flatMap(({ pod }) => pod.map(familyOf)));
  const known = (address: string): boolean => families.has(familyOf(address));
  const clusterIPs = order.clusterIPs.filter(known);
  const name = `${SERVICE}.${order.namespace}.svc`;
  return [
    ...pods('pod4', others, plain, 4),
    ...pods('pod6', others, plain, 6),
    ...pods('whole', others, (host) => ({ kind: 'whole', host })),
    ...clusterIPs.map(
      (host): Task => ({ step: 'cluster-ip', to: `Service ${host}`, ask: { kind: 'http', host, port: 80 } }),
    ),
    ...clusterIPs.map((address): Task => {
      const family = familyOf(address);
      return { step: 'name', to: `${name} (IPv${family})`, ask: { kind: 'http', host: name, port: 80, family } };
    }),
    ...order.targets.flatMap((target) =>
      target.host.filter(known).map(
        (host): Task => ({
          step: 'node-port',
          to: `${bracketed(host)}:${order.nodePort} of ${target.node}`,
          ask: { kind: 'http', host, port: order.nodePort },
        }),
      ),
    ),
    { step: 'outside', to: order.outside, ask: { kind: 'connect', ...hostAndPort(order.outside) } },
  ];
}

export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** `203.0.113.6:6443`, `[2001:db8::1]:443`, `example.org:443`. Throws RangeError for anything else. */
export function hostAndPort(text: string): { readonly host: string; readonly port: number } {
  const [, six, name, port] = /^(?:\[([0-9a-f:.]+)\]|([-._0-9a-zA-Z]+)):([0-9]{1,5})$/i.exec(text) ?? [];
  const [host, number] = [six ?? name, Number(port)];
  if (host === undefined || number < 1 || number > 65_535) throw new RangeError(`"${text}" is not HOST:PORT`);
  return { host, port: number };
}
