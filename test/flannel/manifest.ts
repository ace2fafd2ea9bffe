/** Flannel's own manifest, with the two settings that it gets over Evio. */
import { parseAllDocuments } from 'yaml';

export type Backend = 'vxlan' | 'host-gw';
export const BACKENDS: readonly Backend[] = ['host-gw', 'vxlan'];
/** The cluster's, as kube-controller-manager cuts them (hack/cluster/lib.sh). */
export const PODS = { v4: '10.244.0.0/16', v6: 'fd00:10:244::/56' } as const;
/** What VXLAN adds, as Flannel counts it for both families; host-gw adds nothing. */
export const OVERHEAD: Readonly<Record<Backend, number>> = { 'host-gw': 0, vxlan: 50 };

export interface ManifestObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}
interface DaemonSetSpec {
  readonly template: { readonly spec: { readonly containers: readonly { readonly args: readonly string[] }[] } };
}

/** What stands in the file's place of net-conf.json: dual stack, and the backend. */
export const netConf = (backend: Backend) => ({
  Network: PODS.v4,
  EnableIPv6: true,
  IPv6Network: PODS.v6,
  EnableNFTables: false,
  Backend: { Type: backend },
});

/** The objects of kube-flannel.yml with `--iface=evio0` and this network. Throws where the file is not as it was known. */
export function overEvio(manifest: string, backend: Backend): readonly ManifestObject[] {
  const objects = parseAllDocuments(manifest).map((document) => document.toJS() as ManifestObject);
  let changed = 0;
  const made = objects.map((object) => {
    if (object.kind === 'ConfigMap' && object.data?.['net-conf.json'] !== undefined) {
      changed += 1;
      return { ...object, data: { ...object.data, 'net-conf.json': JSON.stringify(netConf(backend)) } };
    }
    if (object.kind !== 'DaemonSet') return object;
    const spec = object.spec as DaemonSetSpec;
    const [container, ...more] = spec.template.spec.containers;
    if (container === undefined || more.length > 0) return object;
    changed += 1;
    const containers = [{ ...container, args: [...container.args, '--iface=evio0'] }];
    return {
      ...object,
      spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, containers } } },
    };
  });
  if (changed !== 2)
    throw new Error(
      "Flannel's manifest has no longer one ConfigMap with net-conf.json and one DaemonSet of one container",
    );
  return made;
}
