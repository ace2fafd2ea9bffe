/** Who may change what: the policies on a real API server, with agents' tokens as the API server makes them for their pods. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { TOKEN_SECRET_TYPE, tokenSecretName } from '../../agent/src/join/cluster-token.ts';
import { AGENT, AGENT_TAINT, OPERATOR, policies, policyObjects } from '../../crds/src/policies.ts';
import { addPolicies, pathOf, startEvioApi } from '../servers/evio-api.ts';
import type { KubeAnswer, KubeApi, KubeRequest } from '../servers/kube-api.ts';

const NAMESPACE = 'evio-system';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const EVIO_NODES = pathOf('EvioNode');
const SECRETS = `/api/v1/namespaces/${NAMESPACE}/secrets`;
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
const MERGE = 'application/merge-patch+json';
const APPLY = 'application/apply-patch+yaml';
const JSON_PATCH = 'application/json-patch+json';
const NODES = ['edge-1', 'edge-2'] as const;

const groups = ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`];
const account = (name: string): string => `system:serviceaccount:${NAMESPACE}:${name}`;
const USERS = {
  operator: { name: account(OPERATOR), groups },
  /** The agents' account without the claim of a node: somebody has made a token by hand. */
  unbound: { name: account(AGENT), groups },
  editor: { name: 'editor' },
  clusterAdmin: { name: 'cluster-admin' },
  /** May make Secrets, and read none: the Role evio-token-maker. */
  maker: { name: 'maker' },
  /** May make them and read them, and nothing else. */
  keeper: { name: 'keeper' },
};

const evioNode = (name: string, address = '10.45.0.3/16') => ({
  apiVersion: 'evio.io/v1alpha1',
  kind: 'EvioNode',
  metadata: { name },
  spec: { memberName: name, addresses: [address] },
});
const STATUS = { observedSerial: '7' };
const OTHER_TAINT = { key: 'example.org/gpu', effect: 'NoSchedule' };
const NOT_READY = { key: AGENT_TAINT, effect: 'NoExecute' };

describe('the policies on a real API server', function () {
  this.timeout(120_000);
  let api: KubeApi;
  const tokens: Record<string, string> = {};
  /** The sentences that some case has been refused with. */
  const seen = new Set<string>();

  const admin = async (method: string, path: string, body?: unknown, type?: string): Promise<KubeAnswer> => {
    const answer = await api.request(method, path, body, type === undefined ? {} : { type });
    if (answer.status >= 300) throw new Error(`${method} ${path} answers ${answer.status}: ${answer.body.message}`);
    return answer;
  };
  /** Everything that RBAC can give: what is refused below is refused by the policies. */
  const mayAll = async (name: string, subjects: readonly object[]): Promise<void> => {
    const verbs = ['get', 'list', 'create', 'update', 'patch', 'delete'];
    const metadata = { name };
    await admin('POST', `${RBAC}/clusterroles`, {
      metadata,
      rules: [
        { apiGroups: ['evio.io'], resources: ['evionodes', 'evionodes/status', 'evionetworks'], verbs },
        { apiGroups: [''], resources: ['nodes', 'nodes/status'], verbs },
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs },
      ],
    });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    await admin('POST', `${RBAC}/clusterrolebindings`, { metadata, roleRef, subjects });
  };
  /** A token as the kubelet mounts it into the agent's pod: bound to the pod, and so to its node. */
  const tokenOn = async (node: string): Promise<string> => {
    const pod = await admin('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
      metadata: { name: `agent-${node}` },
      spec: { nodeName: node, serviceAccountName: AGENT, containers: [{ name: 'agent', image: 'agent' }] },
    });
    const { name, uid } = pod.body.metadata;
    const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid };
    const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${AGENT}/token`;
    return (await admin('POST', path, { spec: { audiences: [], boundObjectRef } })).body.status.token;
  };

  before(async () => {
    api = await startEvioApi({ users: USERS });
    await admin('POST', '/api/v1/namespaces', { metadata: { name: NAMESPACE } });
    for (const name of [AGENT, OPERATOR])
      await admin('POST', `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`, { metadata: { name } });
    const user = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name });
    const serviceAccount = (name: string) => ({ kind: 'ServiceAccount', name, namespace: NAMESPACE });
    await mayAll('everything', [serviceAccount(AGENT), serviceAccount(OPERATOR), user('editor')]);
    await admin('POST', `${RBAC}/clusterrolebindings`, {
      metadata: { name: 'administrators' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [user('cluster-admin')],
    });
    for (const [name, verbs] of [
      ['maker', ['create']],
      ['keeper', ['create', 'get']],
    ] as const) {
      const rules = [{ apiGroups: [''], resources: ['secrets'], verbs }];
      await admin('POST', `${RBAC}/clusterroles`, { metadata: { name }, rules });
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
      for (const namespace of [NAMESPACE, 'default'])
        await admin('POST', `${RBAC}/namespaces/${namespace}/rolebindings`, {
          ...{ metadata: { name }, roleRef, subjects: [user(name)] },
        });
    }
    for (const node of NODES) {
      await admin('POST', '/api/v1/nodes', { metadata: { name: node } });
      tokens[node] = await tokenOn(node);
    }
    const agent = { token: tokens['edge-1'] ?? '' };
    const network = { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNetwork', metadata: { name: 'default' } };
    // One request for each policy, that it alone refuses.
    const probes: readonly (readonly [path: string, body: object, as: KubeRequest])[] = [
      [pathOf('EvioNetwork'), network, agent],
      [EVIO_NODES, evioNode('probe'), { as: 'editor' }],
      ['/api/v1/nodes', { metadata: { name: 'probe' } }, agent],
      [LEASES, { metadata: { name: 'probe' } }, agent],
      [SECRETS, { metadata: { name: 'probe' } }, { as: 'maker' }],
    ];
    await addPolicies(api, async () => {
      const answers = await Promise.all(
        probes.map(([path, body, as]) => api.request('POST', `${path}?dryRun=All`, body, as)),
      );
      return answers.every(({ body }) => String(body.message).includes('ValidatingAdmissionPolicy'));
    });
  });
  after(() => api?.stop());
  beforeEach(async () => {
    for (const node of NODES) {
      await admin('DELETE', `${EVIO_NODES}/${node}`).catch(() => undefined);
      await admin('POST', EVIO_NODES, evioNode(node, `10.45.0.${NODES.indexOf(node) + 3}/16`));
      await admin('PATCH', `/api/v1/nodes/${node}`, { spec: { taints: [OTHER_TAINT, NOT_READY] } }, MERGE);
    }
  });

  const agentOn = (node: string, type?: string): KubeRequest => ({
    token: tokens[node] ?? '',
    ...(type === undefined ? {} : { type }),
  });
  const refused = (answer: KubeAnswer, policy: string, sentence: string): void => {
    seen.add(sentence);
    expect(answer.status, answer.body.message).to.equal(403);
    const [, by, said] =
      /ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.*)$/.exec(answer.body.message) ?? [];
    expect([by, said]).to.deep.equal([policy, sentence]);
  };

  describe('for the status of EvioNodes', () => {
    const POLICY = 'agent-evionode-status.evio.io';
    const NOT_STATUS =
      'an agent writes nothing but the status of its EvioNode: what else there is, the operator and people write; use the subresource status';
    const NOT_OWN =
      "an agent writes the EvioNode status of the node that its token is bound to and no other: use a token of an agent's pod on that node";
    const applied = (name: string) => ({ ...evioNode(name), spec: undefined, status: STATUS });
    const status = (name: string): string => `${EVIO_NODES}/${name}/status?fieldManager=evio-agent`;

    it("let an agent apply its own node's status, and patch it", async () => {
      const { body } = await api.request('PATCH', status('edge-1'), applied('edge-1'), agentOn('edge-1', APPLY));
      expect(body.status).to.deep.equal(STATUS);
      const patched = await api.request('PATCH', status('edge-2'), { status: STATUS }, agentOn('edge-2', MERGE));
      expect(patched.status, patched.body.message).to.equal(200);
    });

    it("refuse another node's status, and any status to a token without a node", async () => {
      refused(
        await api.request('PATCH', status('edge-2'), applied('edge-2'), agentOn('edge-1', APPLY)),
        POLICY,
        NOT_OWN,
      );
      const unbound = { as: 'unbound', type: APPLY };
      refused(await api.request('PATCH', status('edge-1'), applied('edge-1'), unbound), POLICY, NOT_OWN);
    });

    it('refuse an agent all else: a spec, labels, a new EvioNode, a deletion, the EvioNetwork', async () => {
      const own = `${EVIO_NODES}/edge-1`;
      const agent = agentOn('edge-1');
      const merge = agentOn('edge-1', MERGE);
      const network = { apiVersion: 'evio.io/v1alpha1', kind: 'EvioNetwork', metadata: { name: 'default' } };
      refused(await api.request('PATCH', own, { metadata: { labels: { a: 'b' } } }, merge), POLICY, NOT_STATUS);
      refused(await api.request('DELETE', own, undefined, agent), POLICY, NOT_STATUS);
      refused(await api.request('POST', pathOf('EvioNetwork'), network, agent), POLICY, NOT_STATUS);
      // Two policies refuse these; the API server says the sentence of either.
      const spec = { spec: { addresses: ['10.45.0.3/16', 'fd45::3/64'] } };
      for (const answer of [
        await api.request('PATCH', own, spec, merge),
        await api.request('POST', EVIO_NODES, evioNode('edge-3'), agent),
      ]) {
        expect(answer.status).to.equal(403);
        expect(answer.body.message).to.match(/'(agent-evionode-status|evionode-spec)\.evio\.io' denied request: /);
      }
    });

    it('leave the operator alone', async () => {
      const patched = await api.request('PATCH', status('edge-1'), { status: STATUS }, { as: 'operator', type: MERGE });
      expect(patched.status, patched.body.message).to.equal(200);
    });
  });

  describe('for Nodes', () => {
    const POLICY = 'agent-node-taint.evio.io';
    const ONLY_TAINTS = `an agent changes nothing of a Node but its taints: patch spec.taints alone, to take ${AGENT_TAINT} off`;
    const NOT_PATCH = `an agent changes nothing of a Node but its taints: patch spec.taints, to take ${AGENT_TAINT} off`;
    const NOT_OWN =
      "an agent writes the Node of the node that its token is bound to and no other: use a token of an agent's pod on that node";
    const OTHER_TAINTS = `of a Node's taints an agent takes ${AGENT_TAINT} off, and leaves all others as they are`;
    const patch = (name: string, body: object, as: KubeRequest) =>
      api.request('PATCH', `/api/v1/nodes/${name}`, body, as);
    const taints = (...wanted: readonly object[]) => ({ spec: { taints: wanted } });

    it('let an agent take its taint off its own Node, by each kind of patch, and find it gone already', async () => {
      const { body } = await patch('edge-1', taints(OTHER_TAINT), agentOn('edge-1', MERGE));
      expect(body.spec.taints).to.deep.equal([OTHER_TAINT]);
      expect((await patch('edge-1', taints(OTHER_TAINT), agentOn('edge-1', MERGE))).status).to.equal(200);
      const removal = [
        { op: 'test', path: '/spec/taints/1', value: NOT_READY },
        { op: 'remove', path: '/spec/taints/1' },
      ];
      expect((await patch('edge-2', removal, agentOn('edge-2', JSON_PATCH))).body.spec.taints).to.deep.equal([
        OTHER_TAINT,
      ]);
      await admin('PATCH', '/api/v1/nodes/edge-1', taints(NOT_READY), MERGE);
      const strategic = agentOn('edge-1', 'application/strategic-merge-patch+json');
      const last = await patch('edge-1', taints(), strategic);
      expect(last.status, last.body.message).to.equal(200);
      expect(last.body.spec.taints ?? []).to.deep.equal([]);
    });

    it("refuse another's Node, and any Node to a token without a node", async () => {
      refused(await patch('edge-2', taints(OTHER_TAINT), agentOn('edge-1', MERGE)), POLICY, NOT_OWN);
      refused(await patch('edge-1', taints(OTHER_TAINT), { as: 'unbound', type: MERGE }), POLICY, NOT_OWN);
    });

    it('refuse any other change of the taints', async () => {
      const agent = agentOn('edge-1', MERGE);
      const wrong = [
        taints(NOT_READY),
        taints(),
        taints(OTHER_TAINT, { ...NOT_READY, effect: 'NoSchedule' }),
        taints({ ...OTHER_TAINT, value: 'yes' }),
        taints(OTHER_TAINT, NOT_READY, { key: 'example.org/new', effect: 'NoSchedule' }),
      ];
      for (const body of wrong) refused(await patch('edge-1', body, agent), POLICY, OTHER_TAINTS);
    });

    it('refuse any change of anything else, the removal of the taint or not', async () => {
      const agent = agentOn('edge-1', MERGE);
      const wrong = [
        { metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } } },
        { metadata: { annotations: { a: 'b' } } },
        { metadata: { finalizers: ['example.org/stay'] } },
        { spec: { unschedulable: true } },
        { spec: { podCIDR: '10.244.7.0/24', podCIDRs: ['10.244.7.0/24'] } },
        { spec: { providerID: 'none://edge-1' } },
        { metadata: { labels: { a: 'b' } }, ...taints(OTHER_TAINT) },
      ];
      for (const body of wrong) refused(await patch('edge-1', body, agent), POLICY, ONLY_TAINTS);
    });

    it('refuse new Nodes, their deletion and their status', async () => {
      const agent = agentOn('edge-1');
      const made = await api.request('POST', '/api/v1/nodes', { metadata: { name: 'edge-3' } }, agent);
      refused(made, POLICY, NOT_PATCH);
      refused(await api.request('DELETE', '/api/v1/nodes/edge-1', undefined, agent), POLICY, NOT_PATCH);
      const status = { status: { addresses: [{ type: 'InternalIP', address: '10.45.0.9' }] } };
      refused(await patch('edge-1/status', status, agentOn('edge-1', MERGE)), POLICY, NOT_PATCH);
    });

    it('leave everybody else alone', async () => {
      const labelled = await patch('edge-1', { metadata: { labels: { a: 'b' } } }, { as: 'editor', type: MERGE });
      expect(labelled.status, labelled.body.message).to.equal(200);
      await patch('edge-1', { metadata: { labels: { a: null } } }, { as: 'editor', type: MERGE });
    });
  });

  describe('for Leases', () => {
    const POLICY = 'agent-lease.evio.io';
    const SENTENCE =
      "an agent writes the Lease evio-node-NODE of the node that its token is bound to and no other: use a token of an agent's pod on that node";
    const lease = (name: string) => ({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name },
      spec: { holderIdentity: name, leaseDurationSeconds: 40 },
    });
    const renew = (name: string, as: KubeRequest) =>
      api.request('PATCH', `${LEASES}/${name}?fieldManager=evio-agent&force=true`, lease(name), as);

    it("let an agent make its own node's Lease and renew it", async () => {
      for (const status of [201, 200]) {
        const renewed = await renew('evio-node-edge-1', agentOn('edge-1', APPLY));
        expect(renewed.status, renewed.body.message).to.equal(status);
      }
    });

    it("refuse another node's Lease, the operator's, and any deletion", async () => {
      refused(await renew('evio-node-edge-2', agentOn('edge-1', APPLY)), POLICY, SENTENCE);
      await admin('POST', LEASES, lease(OPERATOR));
      refused(await renew(OPERATOR, agentOn('edge-1', APPLY)), POLICY, SENTENCE);
      refused(await renew('evio-node-edge-1', { as: 'unbound', type: APPLY }), POLICY, SENTENCE);
      refused(
        await api.request('DELETE', `${LEASES}/evio-node-edge-1`, undefined, agentOn('edge-1')),
        POLICY,
        SENTENCE,
      );
    });

    it('leave the operator alone', async () => {
      const renewed = await renew(OPERATOR, { as: 'operator', type: APPLY });
      expect(renewed.status, renewed.body.message).to.equal(200);
    });
  });

  describe('for the spec of EvioNodes', () => {
    const POLICY = 'evionode-spec.evio.io';
    const SENTENCE =
      'the spec of an EvioNode is written by the operator alone: change the EvioNetwork, or delete the EvioNode to have it made anew';
    const spec = { spec: { addresses: ['10.45.0.3/16', 'fd45::3/64'] } };

    for (const as of ['operator', 'admin', 'clusterAdmin']) {
      it(`let ${as} make an EvioNode and change it`, async () => {
        const made = await api.request('POST', EVIO_NODES, evioNode(`made-by-${as.toLowerCase()}`), { as });
        expect(made.status, made.body.message).to.equal(201);
        const changed = await api.request('PATCH', `${EVIO_NODES}/edge-1`, spec, { as, type: MERGE });
        expect(changed.status, changed.body.message).to.equal(200);
      });
    }

    it('refuse both to anybody else, whatever roles they have', async () => {
      const editor = { as: 'editor', type: MERGE };
      refused(await api.request('POST', EVIO_NODES, evioNode('edge-3'), { as: 'editor' }), POLICY, SENTENCE);
      refused(await api.request('PATCH', `${EVIO_NODES}/edge-1`, spec, editor), POLICY, SENTENCE);
    });

    it('leave what is not the spec to the roles: labels, finalizers, deletion', async () => {
      const editor = { as: 'editor', type: MERGE };
      const labelled = await api.request('PATCH', `${EVIO_NODES}/edge-1`, { metadata: { labels: { a: 'b' } } }, editor);
      expect(labelled.status, labelled.body.message).to.equal(200);
      expect((await api.request('DELETE', `${EVIO_NODES}/edge-1`, undefined, { as: 'editor' })).status).to.equal(200);
    });
  });

  describe('for Secrets', () => {
    const POLICY = 'token-secret.evio.io';
    const SENTENCE =
      'who may not read the Secrets of this namespace makes none but join tokens there: use "evio token create", or make the Secret as somebody who may get them';
    const ID = '0123456789abcdef';
    const make = (name: string, as: string, type?: string, path = SECRETS) =>
      api.request('POST', path, { metadata: { name }, ...(type === undefined ? {} : { type }) }, { as });

    it('let a maker of tokens make those, and refuse him an authority, a server or credentials of his own', async () => {
      const token = await make(tokenSecretName(ID), 'maker', TOKEN_SECRET_TYPE);
      expect(token.status, token.body.message).to.equal(201);
      for (const [name, type] of [
        ['evio-authority', 'Opaque'],
        ['evio-authority', TOKEN_SECRET_TYPE],
        ['evio-server', undefined],
        ['xmpp-admin', undefined],
        [tokenSecretName('0123456789abcdeg'), TOKEN_SECRET_TYPE],
        [`${tokenSecretName(ID)}0`, TOKEN_SECRET_TYPE],
        ['evio-token-fedcba9876543210', 'Opaque'],
      ] as const)
        refused(await make(name, 'maker', type), POLICY, SENTENCE);
      const nameless = { metadata: { generateName: 'evio-token-' }, type: TOKEN_SECRET_TYPE };
      refused(await api.request('POST', SECRETS, nameless, { as: 'maker' }), POLICY, SENTENCE);
    });

    it('leave who may read Secrets alone, and all other namespaces', async () => {
      for (const as of ['keeper', 'clusterAdmin', 'admin']) {
        const made = await make(`made-by-${as.toLowerCase()}`, as);
        expect(made.status, made.body.message).to.equal(201);
      }
      const elsewhere = await make('evio-authority', 'maker', undefined, '/api/v1/namespaces/default/secrets');
      expect(elsewhere.status, elsewhere.body.message).to.equal(201);
    });
  });

  // In a group of its own, because mocha runs the tests of this one first.
  describe('altogether', () => {
    it('have each sentence of theirs shown above', () => {
      const all = policies().flatMap((policy) => policy.validations.map((one) => one.message));
      expect([...seen]).to.have.members(all);
    });
  });
});

describe('the expressions of the policies', function () {
  this.timeout(120_000);
  let api: KubeApi;
  before(async () => {
    api = await startEvioApi({ controllers: true });
    await addPolicies(api);
    // One that has to be warned of, so that silence means something.
    const [doubtful] = policyObjects({
      name: DOUBTFUL,
      title: '',
      group: '',
      version: 'v1',
      resources: ['nodes'],
      operations: ['UPDATE'],
      validations: [{ expression: 'object.spec.noSuchField == 1', message: 'never' }],
    });
    const made = await api.request(
      'POST',
      '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies',
      doubtful,
    );
    expect(made.status, made.body.message).to.equal(201);
  });
  after(() => api?.stop());

  it("pass Kubernetes' type check without a warning", async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies';
    // kube-controller-manager checks them some time after they were made.
    const checked = async (): Promise<readonly Checked[]> => (await api.request('GET', path)).body.items;
    let all = await checked();
    for (const end = performance.now() + 60_000; performance.now() < end; all = await checked()) {
      if (all.every((one) => one.status?.typeChecking !== undefined)) break;
      await sleep(200);
    }
    const warned = all.filter((one) => (one.status?.typeChecking?.expressionWarnings ?? []).length > 0);
    expect(all).to.have.length(policies().length + 1);
    expect(warned.map((one) => one.metadata.name)).to.deep.equal([DOUBTFUL]);
  });
});

const DOUBTFUL = 'doubtful.example.org';
interface Checked {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly typeChecking?: { readonly expressionWarnings?: readonly object[] } };
}
