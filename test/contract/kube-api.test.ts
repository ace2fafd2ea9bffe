import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { KUBECTL, type KubeApi, startKubeApi } from '../servers/kube-api.ts';

/** Process ids whose command line names this text. */
const running = (text: string): readonly string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });

const NAMESPACE = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kept' } };
const ADMISSION = '/apis/admissionregistration.k8s.io/v1';

describe('the API server of the tests', function () {
  this.timeout(120_000);
  let api: KubeApi;
  before(async () => {
    api = await startKubeApi({ users: { somebody: { name: 'somebody' } } });
  });
  after(() => api?.stop());

  it('lets the administrator in, by request and by kubectl', async () => {
    const version = await api.request('GET', '/version');
    expect(version.status).to.equal(200);
    expect(version.body.gitVersion).to.match(/^v1\.3\d\.\d+$/);
    const said = execFileSync(KUBECTL, ['--kubeconfig', api.kubeconfig(), 'auth', 'whoami', '-o', 'name'], {
      encoding: 'utf8',
    });
    expect(said).to.contain('selfsubjectreview');
  });

  it('refuses who has no role, and who has no token', async () => {
    const refused = await api.request('POST', '/api/v1/namespaces', NAMESPACE, { as: 'somebody' });
    expect(refused.status).to.equal(403);
    expect(refused.body.message).to.contain('User "somebody" cannot create resource "namespaces"');
    expect((await api.request('GET', '/api/v1/namespaces', undefined, { token: 'wrong' })).status).to.equal(401);
  });

  it('lets validating admission policies refuse what they do not want', async () => {
    const policy = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'no-such-name' },
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        },
        validations: [{ expression: "object.metadata.name != 'unwanted'", message: 'not that name' }],
      },
    };
    const binding = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'no-such-name' },
      spec: { policyName: 'no-such-name', validationActions: ['Deny'] },
    };
    expect((await api.request('POST', `${ADMISSION}/validatingadmissionpolicies`, policy)).status).to.equal(201);
    expect((await api.request('POST', `${ADMISSION}/validatingadmissionpolicybindings`, binding)).status).to.equal(201);
    const make = () =>
      api.request('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'unwanted' },
      });
    // The server takes a moment until it has compiled a new policy.
    let answer = await make();
    for (const end = Date.now() + 20_000; answer.status === 201 && Date.now() < end; answer = await make())
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(answer.status).to.equal(422);
    expect(answer.body.message).to.contain('not that name');
  });

  it('gives service accounts tokens that say which node their pod is on', async () => {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'edge1' } };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'agent' } };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'agent-1' },
      spec: { serviceAccountName: 'agent', nodeName: 'edge1', containers: [{ name: 'agent', image: 'agent' }] },
    };
    expect((await api.request('POST', '/api/v1/nodes', node)).status).to.equal(201);
    expect((await api.request('POST', '/api/v1/namespaces/default/serviceaccounts', account)).status).to.equal(201);
    const made = await api.request('POST', '/api/v1/namespaces/default/pods', pod);
    expect(made.status, JSON.stringify(made.body)).to.equal(201);
    const issued = await api.request('POST', '/api/v1/namespaces/default/serviceaccounts/agent/token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'agent-1', uid: made.body.metadata.uid } },
    });
    expect(issued.status, JSON.stringify(issued.body)).to.equal(201);
    const review = await api.request(
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      { token: issued.body.status.token },
    );
    expect(review.body.status.userInfo.username).to.equal('system:serviceaccount:default:agent');
    expect(review.body.status.userInfo.extra['authentication.kubernetes.io/node-name']).to.deep.equal(['edge1']);
  });

  it('comes back with its objects after it was killed', async () => {
    expect((await api.request('POST', '/api/v1/namespaces', NAMESPACE)).status).to.equal(201);
    await api.kill();
    expect(await api.request('GET', '/readyz').catch(() => 'away')).to.equal('away');
    await api.start();
    expect((await api.request('GET', '/api/v1/namespaces/kept')).status).to.equal(200);
  });

  it('leaves no process and no folder', async () => {
    expect(running(api.directory)).not.to.be.empty;
    await api.stop();
    expect(running(api.directory)).to.deep.equal([]);
    expect(existsSync(api.directory)).to.equal(false);
  });
});
