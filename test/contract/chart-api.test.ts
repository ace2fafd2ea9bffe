/** The chart on a real API server: what it accepts, what the accounts may do, what the Jobs do to the network. */
import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { parse } from 'yaml';
import { helmProgram, helmTemplate, NAMESPACE } from '../../charts/src/files.ts';
import { apiOf } from '../../charts/src/jobs/api.ts';
import { applyNetwork, removeNetwork, type Time } from '../../charts/src/jobs/network.ts';
import { KUBECTL, type KubeApi, startKubeApi } from '../servers/kube-api.ts';

const NETWORK = '/apis/evio.io/v1alpha1/evionetworks/default';
const account = (name: string) => ({
  name: `system:serviceaccount:${NAMESPACE}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`, 'system:authenticated'],
});
const time: Time = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 100))),
};

describe('the chart on an API server', function () {
  this.timeout(120_000);
  let api: KubeApi;

  function helm(...args: readonly string[]): string {
    const program = helmProgram();
    if (program === undefined) throw new Error('there is no helm; run: hack/cluster/build.sh');
    const done = spawnSync(program, [...args, '--namespace', NAMESPACE, '--kubeconfig', api.kubeconfig()], {
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(`helm ${args[0]}: ${done.stderr}`);
    return done.stdout;
  }
  function kubectl(args: readonly string[], input = ''): { readonly ok: boolean; readonly said: string } {
    const done = spawnSync(KUBECTL, ['--kubeconfig', api.kubeconfig(), ...args], { encoding: 'utf8', input });
    return { ok: done.status === 0, said: `${done.stdout}${done.stderr}` };
  }
  const status = async (path: string): Promise<number> => (await api.request('GET', path)).status;

  before(async () => {
    const users = Object.fromEntries(
      ['evio-operator', 'evio-agent', 'evio-hooks'].map((name) => [name, account(name)]),
    );
    api = await startKubeApi({ controllers: true, users });
    helm('install', 'evio', 'charts/evio', '--create-namespace');
  });
  after(() => api?.stop());

  it('is installed, with definitions that serve the sample', () => {
    expect(helm('list', '--short').trim()).to.equal('evio');
    const made = kubectl(['apply', '--dry-run=server', '-f', 'manifests/samples/evionetwork.yaml']);
    expect(made.ok, made.said).to.equal(true);
  });

  it('has no field that the API server does not know, with every part of it switched on', () => {
    const options = [
      'network.create=true',
      'images.pullSecrets={one}',
      'k8sServiceHost=203.0.113.6',
      'operator.replicas=3',
      'priorityQuota.create=true',
    ];
    const program = helmProgram() ?? '';
    const text = helmTemplate(program, ['--set', options.join(), '--set', 'operator.podAnnotations.a=b']);
    const done = kubectl(
      ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'],
      text,
    );
    expect(done.ok, done.said).to.equal(true);
    expect(done.said).to.not.match(/warning/i);
  });

  it('is upgraded in place', () => {
    helm('upgrade', 'evio', 'charts/evio', '--set', 'operator.logLevel=debug');
    const { said } = kubectl(['get', 'deployment', 'evio-operator', '--namespace', NAMESPACE, '--output', 'yaml']);
    expect(said).to.match(/name: EVIO_LOG_LEVEL\n +value: debug/);
  });

  it('lets each account do its work and no more', async () => {
    const may = async (name: string, verb: string, resource: string, namespace = '', object = ''): Promise<boolean> => {
      const [, group = '', plural = '', subresource = ''] =
        /^(?:([a-z0-9.]+)\/\/)?([a-z]+)(?:\/([a-z]+))?$/.exec(resource) ?? [];
      const { name: user, groups } = account(name);
      const spec = {
        user,
        groups,
        resourceAttributes: { verb, group, resource: plural, subresource, namespace, name: object },
      };
      const answer = await api.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec,
      });
      return answer.body.status.allowed === true;
    };
    const wanted: readonly (readonly [boolean, string, string, string, string?, string?])[] = [
      [true, 'evio-operator', 'create', 'evio.io//evionodes'],
      [true, 'evio-operator', 'patch', 'evio.io//evionetworks/status'],
      [true, 'evio-operator', 'patch', 'evio.io//eviopeers/status'],
      [false, 'evio-operator', 'delete', 'evio.io//eviopeers'],
      [true, 'evio-operator', 'watch', 'configmaps', NAMESPACE, 'evio-tokens'],
      [false, 'evio-operator', 'get', 'configmaps', NAMESPACE, 'others'],
      [true, 'evio-operator', 'patch', 'nodes/status'],
      [true, 'evio-operator', 'patch', 'apps//daemonsets', NAMESPACE],
      [true, 'evio-operator', 'get', 'secrets', NAMESPACE],
      [true, 'evio-operator', 'get', 'discovery.k8s.io//endpointslices', 'default', 'kubernetes'],
      [true, 'evio-operator', 'update', 'coordination.k8s.io//leases', NAMESPACE],
      [true, 'evio-operator', 'delete', 'coordination.k8s.io//leases', NAMESPACE],
      [true, 'evio-operator', 'patch', 'apiextensions.k8s.io//customresourcedefinitions', '', 'evionodes.evio.io'],
      [false, 'evio-operator', 'patch', 'apiextensions.k8s.io//customresourcedefinitions', '', 'others.example.org'],
      [false, 'evio-operator', 'get', 'secrets', 'kube-system'],
      [true, 'evio-operator', 'watch', 'pods', NAMESPACE],
      [false, 'evio-operator', 'create', 'pods', NAMESPACE],
      [false, 'evio-operator', 'delete', 'nodes'],
      [false, 'evio-operator', 'patch', 'evio.io//evionodes/status'],
      [true, 'evio-agent', 'patch', 'evio.io//evionodes/status'],
      [true, 'evio-agent', 'patch', 'nodes'],
      [true, 'evio-agent', 'create', 'coordination.k8s.io//leases', NAMESPACE],
      [false, 'evio-agent', 'delete', 'coordination.k8s.io//leases', NAMESPACE],
      [false, 'evio-agent', 'list', 'nodes'],
      [false, 'evio-agent', 'patch', 'evio.io//evionodes'],
      [false, 'evio-agent', 'patch', 'nodes/status'],
      [false, 'evio-agent', 'get', 'secrets', NAMESPACE],
      [false, 'evio-agent', 'list', 'pods', NAMESPACE],
      // Its rights are there while a Job of Helm's runs.
      [false, 'evio-hooks', 'get', 'evio.io//evionetworks', '', 'default'],
    ];
    for (const [allowed, ...question] of wanted) expect(await may(...question), question.join(' ')).to.equal(allowed);
  });

  describe("with the rights of the chart's Jobs", () => {
    const said: string[] = [];
    const say = (line: string): void => void said.push(line);
    const hooks = () =>
      apiOf({
        host: '127.0.0.1',
        port: Number(new URL(api.url).port),
        ca: api.ca,
        token: () => api.tokens['evio-hooks'] ?? '',
      });

    before(() => {
      const text = helmTemplate(helmProgram() ?? '', [
        '--set',
        'network.create=true',
        '--show-only',
        'templates/hooks-rbac.yaml',
      ]);
      const done = kubectl(['apply', '-f', '-'], text);
      expect(done.ok, done.said).to.equal(true);
    });
    beforeEach(() => {
      said.length = 0;
    });
    afterEach(async () => {
      await api.request('PATCH', NETWORK, { metadata: { finalizers: null } }, { type: 'application/merge-patch+json' });
      await api.request('DELETE', NETWORK);
    });

    it('the network is made as the values have it, and what they no longer name gets its default back', async () => {
      await applyNetwork(hooks(), { mtu: 1300 }, 5_000, time, say);
      expect((await api.request('GET', NETWORK)).body.spec).to.include({ mtu: 1300, mode: 'PodNetwork' });
      await applyNetwork(hooks(), {}, 5_000, time, say);
      expect((await api.request('GET', NETWORK)).body.spec).to.not.have.property('mtu');
      expect(said).to.deep.equal(['EvioNetwork default is made', 'EvioNetwork default is as the values have it']);
    });

    it('the network of the one value for another plugin is taken as the chart renders it', async () => {
      const text = helmTemplate(helmProgram() ?? '', [
        ...['--set', 'network.mode=HostNetwork', '--set', 'network.spec.nodeCIDRs={10.45.0.0/16,fd45::/64}'],
        ...['--show-only', 'templates/network.yaml'],
      ]);
      const [verb, spec] = parse(text).spec.template.spec.containers[0].args;
      expect(verb).to.equal('apply-network');
      await applyNetwork(hooks(), JSON.parse(spec), 5_000, time, say);
      const made = (await api.request('GET', NETWORK)).body.spec;
      expect(made).to.deep.include({ mode: 'HostNetwork', nodeCIDRs: ['10.45.0.0/16', 'fd45::/64'] });
      expect(made).to.not.have.any.keys('podCIDRs', 'mtu');
    });

    it("a spec that is wrong is refused at once, in the API server's words", async () => {
      const failure = await applyNetwork(hooks(), { mtu: 100 }, 60_000, time, say).catch(
        (error: Error) => error.message,
      );
      expect(failure).to.match(/refuses network\.spec: .*mtu/);
    });

    it('the network is deleted', async () => {
      await applyNetwork(hooks(), {}, 5_000, time, say);
      await removeNetwork(hooks(), 5_000, time, say);
      expect(await status(NETWORK)).to.equal(404);
      await removeNetwork(hooks(), 5_000, time, say);
      expect(said.slice(1)).to.deep.equal(['EvioNetwork default is gone', 'EvioNetwork default is gone']);
    });

    it('the network goes when its finalizer does, and in any case when the time is up', async () => {
      const hold = async (): Promise<void> => {
        await applyNetwork(hooks(), {}, 5_000, time, say);
        const body = { metadata: { finalizers: ['evio.io/cleanup'] } };
        await api.request('PATCH', NETWORK, body, { type: 'application/merge-patch+json' });
      };
      await hold();
      const removed = removeNetwork(hooks(), 30_000, time, say);
      while ((await api.request('GET', NETWORK)).body.metadata.deletionTimestamp === undefined) await time.wait(50);
      await api.request('PATCH', NETWORK, { metadata: { finalizers: null } }, { type: 'application/merge-patch+json' });
      await removed;
      expect(said.join()).to.not.include('has not cleaned');
      await hold();
      await removeNetwork(hooks(), 1_000, time, say);
      expect(said.join()).to.include('the operator has not cleaned the nodes in 1 s: there is no EvioNode left');
      expect(await status(NETWORK)).to.equal(404);
    });

    it('the end comes after the API server was away in the middle', async () => {
      await applyNetwork(hooks(), {}, 5_000, time, say);
      await api.kill();
      await Promise.all([removeNetwork(hooks(), 30_000, time, say), api.start()]);
      expect(await status(NETWORK)).to.equal(404);
    });
  });

  // Last: it takes away what the others stand on.
  it('leaves nothing but the definitions when it is uninstalled', async () => {
    helm('uninstall', 'evio', '--no-hooks');
    const kinds =
      'deployments,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions';
    const selector = ['--selector', 'app.kubernetes.io/instance=evio', '--all-namespaces', '--output', 'name'];
    const { said } = kubectl(['get', kinds, ...selector]);
    expect(
      said
        .trim()
        .split('\n')
        .filter((line) => !line.includes('evio-hooks'))
        .sort(),
    ).to.deep.equal([
      'customresourcedefinition.apiextensions.k8s.io/evionetworks.evio.io',
      'customresourcedefinition.apiextensions.k8s.io/evionodes.evio.io',
      'customresourcedefinition.apiextensions.k8s.io/eviopeers.evio.io',
    ]);
    const { said: policies } = kubectl([
      'get',
      'validatingadmissionpolicies,validatingadmissionpolicybindings',
      '--output',
      'name',
    ]);
    expect(policies).to.not.include('evio');
  });
});
