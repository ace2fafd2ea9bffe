/** The chart as Helm renders it. Needs helm, which hack/cluster/build.sh brings. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { chartFiles, helmProgram, helmTemplate } from '../../charts/src/files.ts';
import { DASHBOARDS, dashboardText } from '../../charts/src/monitoring/dashboards.ts';
import { ruleGroups } from '../../charts/src/monitoring/files.ts';

// biome-ignore lint/suspicious/noExplicitAny: any object of the Kubernetes API
type Rendered = any;

function helm(): string {
  const found = helmProgram();
  if (found === undefined) throw new Error('there is no helm; run: hack/cluster/build.sh');
  return found;
}
const render = (...args: readonly string[]): readonly Rendered[] =>
  parseAllDocuments(helmTemplate(helm(), args))
    .map((document) => document.toJS() as Rendered)
    .filter((object) => object !== null);
const one = (objects: readonly Rendered[], kind: string, name: string): Rendered => {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  expect(found, `${kind} ${name}`).to.have.length(1);
  return found[0];
};
const environment = (objects: readonly Rendered[]): Readonly<Record<string, string>> => {
  const [container] = one(objects, 'Deployment', 'evio-operator').spec.template.spec.containers;
  return Object.fromEntries(container.env.map(({ name, value }: Rendered) => [name, value]));
};
const podsOf = (objects: readonly Rendered[]): readonly Rendered[] =>
  objects.flatMap((object) => (object.spec?.template?.spec === undefined ? [] : [object.spec.template.spec]));

describe('the chart', () => {
  it('is what manifests/evio.yaml was made of', () => {
    const file = chartFiles().find((made) => made.file === 'manifests/evio.yaml');
    expect(readFileSync('manifests/evio.yaml', 'utf8') === file?.make(), 'run: node hack/generated.ts').to.equal(true);
  });

  it('hands the operator the images, from one registry or each by its own reference', () => {
    const plain = environment(render());
    expect(plain.EVIO_AGENT_IMAGE).to.equal('localhost/evio/agent:0.1.0');
    const images = ['registry=registry.example.org/evio', 'tag=1.2.3', 'server=other.example.org/server@sha256:00'];
    const objects = render('--set', images.map((image) => `images.${image}`).join(','));
    const set = environment(objects);
    expect(set.EVIO_AGENT_IMAGE).to.equal('registry.example.org/evio/agent:1.2.3');
    expect(set.EVIO_DATAPLANE_IMAGE).to.equal('registry.example.org/evio/dataplane:1.2.3');
    expect(set.EVIO_SERVER_IMAGE).to.equal('other.example.org/server@sha256:00');
    for (const pod of podsOf(objects))
      expect(pod.containers[0].image).to.equal('registry.example.org/evio/operator:1.2.3');
  });

  it('hands the operator the folders of k3s', () => {
    const cni = '/var/lib/rancher/k3s/agent/etc/cni/net.d';
    const set = environment(render('--set', `paths.cniBinDir=/var/lib/rancher/k3s/data/cni,paths.cniConfDir=${cni}`));
    expect(set.EVIO_CNI_BIN_DIR).to.equal('/var/lib/rancher/k3s/data/cni');
    expect(set.EVIO_CNI_CONF_DIR).to.equal(cni);
  });

  it('lets every pod of its own reach the API server without kube-proxy, and tells the agents where it is', () => {
    const objects = render('--set', 'k8sServiceHost=fd00::1,k8sServicePort=6444,network.create=true');
    const pods = podsOf(objects);
    expect(pods).to.have.length(4);
    for (const pod of pods) {
      expect(pod.containers[0].env).to.deep.include({ name: 'KUBERNETES_SERVICE_HOST', value: 'fd00::1' });
      expect(pod.containers[0].env).to.deep.include({ name: 'KUBERNETES_SERVICE_PORT', value: '6444' });
    }
    expect(environment(objects).EVIO_API_SERVERS).to.equal('https://[fd00::1]:6444');
    expect(environment(render()).EVIO_API_SERVERS).to.equal('');
    const urls = render('--set', 'apiServers={https://203.0.113.6:6443,https://203.0.113.7:6443}');
    expect(environment(urls).EVIO_API_SERVERS).to.equal('https://203.0.113.6:6443,https://203.0.113.7:6443');
  });

  it('holds its accounts to the policies in whatever namespace it is', () => {
    const policies = render('--namespace', 'edge')
      .filter(({ kind }) => kind === 'ValidatingAdmissionPolicy')
      .map((policy) => JSON.stringify(policy));
    expect(policies).not.to.have.length(0);
    expect(policies.join()).to.include('system:serviceaccount:edge:evio-agent').and.not.to.include('evio-system');
  });

  it('keeps the definitions at an uninstall, or not, or leaves them out', () => {
    const kept = (objects: readonly Rendered[]): readonly unknown[] =>
      objects
        .filter(({ kind }) => kind === 'CustomResourceDefinition')
        .map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy']);
    expect(kept(render())).to.deep.equal(['keep', 'keep', 'keep']);
    expect(kept(render('--set', 'crds.keep=false'))).to.deep.equal([undefined, undefined, undefined]);
    expect(kept(render('--set', 'crds.install=false'))).to.deep.equal([]);
  });

  it('gives no account a wildcard, and nobody but the operator a Secret to read', () => {
    const roles = render('--set', 'network.create=true').filter(({ kind }) => /^(Cluster)?Role$/.test(kind));
    expect(roles).not.to.have.length(0);
    for (const { metadata, rules } of roles) {
      expect(JSON.stringify(rules), metadata.name).not.to.include('"*"');
      type Rule = { readonly resources?: readonly string[]; readonly verbs: readonly string[] };
      const secrets = (rules as readonly Rule[]).filter(({ resources }) => resources?.includes('secrets'));
      const verbs = secrets.flatMap((rule) => rule.verbs);
      // Who makes tokens writes a Secret that it cannot read.
      const allowed = metadata.name === 'evio-token-maker' ? ['create'] : [];
      if (metadata.name !== 'evio-operator') expect(verbs, metadata.name).to.deep.equal(allowed);
    }
    const operator = roles.find(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === 'evio-operator');
    expect(JSON.stringify(operator), 'Secrets of all namespaces').not.to.include('secrets');
  });

  it('has no container that keeps a capability, may gain rights or is root', () => {
    const pods = podsOf(render('--set', 'network.create=true'));
    for (const { containers } of pods) {
      for (const { securityContext } of containers) {
        expect(securityContext).to.deep.include({ allowPrivilegeEscalation: false, runAsNonRoot: true });
        expect(securityContext.capabilities).to.deep.equal({ drop: ['ALL'] });
      }
    }
  });

  it('makes the network by a Job when it is to, with the spec of the values', () => {
    expect(render().filter(({ metadata }) => metadata.name === 'evio-network')).to.deep.equal([]);
    const spec = ['network.create=true', 'network.spec.mode=HostNetwork', 'network.spec.mtu=1300'];
    const job = one(render('--set', spec.join()), 'Job', 'evio-network');
    expect(job.metadata.annotations['helm.sh/hook']).to.equal('post-install,post-upgrade');
    const [verb, given] = job.spec.template.spec.containers[0].args;
    expect([verb, JSON.parse(given)]).to.deep.equal(['apply-network', { mode: 'HostNetwork', mtu: 1300 }]);
  });

  it('makes the network of a mode by that one value, and refuses two modes', () => {
    const specOf = (...settings: readonly string[]): unknown => {
      const objects = render('--set', settings.join());
      return JSON.parse(one(objects, 'Job', 'evio-network').spec.template.spec.containers[0].args[1]);
    };
    expect(specOf('network.mode=HostNetwork')).to.deep.equal({ mode: 'HostNetwork' });
    const more = { mode: 'HostNetwork', mtu: 1300, nodeCIDRs: ['10.46.0.0/16'] };
    const spec = ['network.spec.mtu=1300', 'network.spec.nodeCIDRs={10.46.0.0/16}'];
    expect(specOf('network.mode=HostNetwork', ...spec)).to.deep.equal(more);
    expect(specOf('network.mode=HostNetwork', 'network.spec.mode=HostNetwork', ...spec)).to.deep.equal(more);
    const rights = render('--set', 'network.mode=HostNetwork').find(({ metadata }) => metadata.name === 'evio-hooks');
    expect(rights.metadata.annotations['helm.sh/hook']).to.equal('post-install,post-upgrade,pre-delete');
    expect(() => render('--set', 'network.mode=HostNetwork,network.spec.mode=PodNetwork')).to.throw(
      /network\.mode is HostNetwork, network\.spec\.mode PodNetwork: leave one of them out/,
    );
    expect(() => render('--set', 'network.mode=Flannel')).to.throw(/network.*mode/s);
  });

  it('gives the Job of an uninstall more time than the operator', () => {
    const { metadata, spec } = one(render('--set', 'uninstall.timeoutSeconds=300'), 'Job', 'evio-uninstall');
    expect(metadata.annotations['helm.sh/hook']).to.equal('pre-delete');
    expect(spec.template.spec.containers[0].args).to.deep.equal(['uninstall', '300']);
    expect(spec.activeDeadlineSeconds).to.equal(360);
  });

  it('has nothing of the Prometheus operator unless it is asked for, and then what it needs', () => {
    const kinds = (...args: readonly string[]) =>
      render(...args)
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
        .filter((name) => /^(PodMonitor|PrometheusRule|ConfigMap)/.test(name));
    expect(kinds()).to.deep.equal([]);
    const all = ['podMonitors=true', 'rules=true', 'dashboards=true', 'labels.release=prom'].map(
      (value) => `monitoring.${value}`,
    );
    const wanted = ['PodMonitor evio-operator', 'PrometheusRule evio', 'ConfigMap evio-network', 'ConfigMap evio-node'];
    expect(kinds('--set', all.join(','))).to.have.members(wanted);
    const objects = render('--set', [...all, 'agent.metricsPort=10455', 'operator.logFormat=json'].join(','));
    expect(one(objects, 'PodMonitor', 'evio-agent').metadata.labels).to.include({ release: 'prom' });
    expect(one(objects, 'PrometheusRule', 'evio').spec).to.deep.equal(ruleGroups());
    for (const dashboard of DASHBOARDS) {
      const { metadata, data } = one(objects, 'ConfigMap', dashboard.file.replace('.json', ''));
      expect(metadata.labels).to.include({ grafana_dashboard: '1' });
      expect(data[dashboard.file]).to.equal(dashboardText(dashboard));
    }
    expect(environment(objects)).to.include({ EVIO_AGENT_METRICS_PORT: '10455', EVIO_LOG_FORMAT: 'json' });
  });

  it('refuses a value that it does not know, by name, and one of the wrong kind', () => {
    expect(() => render('--set', 'operator.image=x')).to.throw(/operator.*image/s);
    expect(() => render('--set', 'images.pullPolicy=Sometimes')).to.throw(/pullPolicy/);
    expect(() => render('--set', 'paths.cniBinDir=opt/cni')).to.throw(/cniBinDir/);
  });

  it('wants a Kubernetes that has what it stands on', () => {
    expect(() => render('--kube-version', '1.31.9')).to.throw(/1\.32/);
  });
});
