/** Kinds of Kubernetes itself that we read or write. Types only are taken from client-node: it is large. */
import type * as k8s from '@kubernetes/client-node';
import type { Kind, KubeObject, Served } from './object.ts';

export function kind<T extends KubeObject>(
  apiVersion: string,
  name: string,
  plural: string,
  namespaced: boolean,
): Kind<T> {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return { group, version, kind: name, plural, namespaced };
}

export type Node = Served<k8s.V1Node>;
export type Namespace = Served<k8s.V1Namespace>;
export type Pod = Served<k8s.V1Pod>;
export type Secret = Served<k8s.V1Secret>;
export type ConfigMap = Served<k8s.V1ConfigMap>;
export type Service = Served<k8s.V1Service>;
export type ServiceAccount = Served<k8s.V1ServiceAccount>;
export type Deployment = Served<k8s.V1Deployment>;
export type DaemonSet = Served<k8s.V1DaemonSet>;
export type Lease = Served<k8s.V1Lease>;
export type Event = Served<k8s.EventsV1Event>;
export type CustomResourceDefinition = Served<k8s.V1CustomResourceDefinition>;

export const NODE = kind<Node>('v1', 'Node', 'nodes', false);
export const NAMESPACE = kind<Namespace>('v1', 'Namespace', 'namespaces', false);
export const POD = kind<Pod>('v1', 'Pod', 'pods', true);
export const SECRET = kind<Secret>('v1', 'Secret', 'secrets', true);
export const CONFIG_MAP = kind<ConfigMap>('v1', 'ConfigMap', 'configmaps', true);
export const SERVICE = kind<Service>('v1', 'Service', 'services', true);
export const SERVICE_ACCOUNT = kind<ServiceAccount>('v1', 'ServiceAccount', 'serviceaccounts', true);
export const DEPLOYMENT = kind<Deployment>('apps/v1', 'Deployment', 'deployments', true);
export const DAEMON_SET = kind<DaemonSet>('apps/v1', 'DaemonSet', 'daemonsets', true);
export const LEASE = kind<Lease>('coordination.k8s.io/v1', 'Lease', 'leases', true);
export const EVENT = kind<Event>('events.k8s.io/v1', 'Event', 'events', true);
export const CUSTOM_RESOURCE_DEFINITION = kind<CustomResourceDefinition>(
  'apiextensions.k8s.io/v1',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);
