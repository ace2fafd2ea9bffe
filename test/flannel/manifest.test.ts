import { expect } from 'chai';
import { overEvio } from './manifest.ts';

const MANIFEST = `---
kind: Namespace
apiVersion: v1
metadata: {name: kube-flannel}
---
kind: ConfigMap
apiVersion: v1
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  cni-conf.json: '{"name": "cbr0"}'
  net-conf.json: '{"Network": "10.244.0.0/16", "EnableNFTables": false, "Backend": {"Type": "vxlan"}}'
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel}}
    spec:
      hostNetwork: true
      initContainers: [{name: install-cni, args: [a, b]}]
      containers: [{name: kube-flannel, args: [--ip-masq, --kube-subnet-mgr], resources: {}}]
`;

describe("Flannel's manifest over Evio", () => {
  it('differs from the original by --iface=evio0 and the network, and by nothing else', () => {
    const [namespace, config, daemons] = overEvio(MANIFEST, 'host-gw');
    expect(namespace).to.deep.equal({ kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'kube-flannel' } });
    expect(config?.data?.['cni-conf.json']).to.equal('{"name": "cbr0"}');
    expect(JSON.parse(config?.data?.['net-conf.json'] ?? '')).to.deep.equal({
      ...{ Network: '10.244.0.0/16', EnableIPv6: true, IPv6Network: 'fd00:10:244::/56', EnableNFTables: false },
      Backend: { Type: 'host-gw' },
    });
    expect(daemons?.spec).to.deep.equal({
      selector: { matchLabels: { app: 'flannel' } },
      template: {
        metadata: { labels: { app: 'flannel' } },
        spec: {
          hostNetwork: true,
          initContainers: [{ name: 'install-cni', args: ['a', 'b'] }],
          containers: [
            { name: 'kube-flannel', args: ['--ip-masq', '--kube-subnet-mgr', '--iface=evio0'], resources: {} },
          ],
        },
      },
    });
  });

  it('is refused when it is no longer what it was', () => {
    expect(() => overEvio(MANIFEST.replace('net-conf.json', 'network.json'), 'vxlan')).to.throw(
      /no longer one ConfigMap/,
    );
    expect(() => overEvio(MANIFEST.replace('DaemonSet', 'Deployment'), 'vxlan')).to.throw(/no longer one ConfigMap/);
  });
});
