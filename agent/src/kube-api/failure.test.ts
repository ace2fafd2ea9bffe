import { expect } from 'chai';
import { isNotFound } from './client.ts';
import { broken, refusal, wordsOf } from './failure.ts';
import { DAEMON_SET, NODE, SECRET, SERVICE_ACCOUNT } from './kinds.ts';
import type { Kind } from './object.ts';
import type { Target } from './request.ts';

const status = (code: number, reason: string, message: string, details: object = {}) =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details });

const agent: Target = { verb: 'patch', kind: DAEMON_SET, key: 'evio-system/evio-agent' };
const network: Kind = {
  group: 'evio.io',
  version: 'v1alpha1',
  kind: 'EvioNetwork',
  plural: 'evionetworks',
  namespaced: false,
};

const CASES: readonly { name: string; target: Target; status: number; text: string; says: string }[] = [
  {
    name: 'what RBAC does not permit: the rule that is missing',
    target: { verb: 'patch', kind: NODE, key: 'a', subresource: 'status' },
    status: 403,
    text: status(
      403,
      'Forbidden',
      'nodes "a" is forbidden: User "system:serviceaccount:evio-system:evio-operator" cannot patch resource "nodes/status" in API group "" at the cluster scope',
    ),
    says: 'cannot patch the status of nodes a: not permitted: the service account needs a ClusterRole with apiGroups [""], resources ["nodes/status"], verbs ["patch"]',
  },
  {
    name: 'the same in a namespace, with the verb the server names',
    target: agent,
    status: 403,
    text: status(
      403,
      'Forbidden',
      'daemonsets.apps "evio-agent" is forbidden: User "u" cannot create resource "daemonsets" in API group "apps" in the namespace "evio-system"',
    ),
    says: 'cannot patch daemonsets.apps evio-system/evio-agent: not permitted: the service account needs a Role in evio-system with apiGroups ["apps"], resources ["daemonsets"], verbs ["create"]',
  },
  {
    name: 'what admission forbids: in its words',
    target: agent,
    status: 403,
    text: status(403, 'Forbidden', 'admission webhook "policy.example"\ndenied the request: no hostNetwork'),
    says: 'cannot patch daemonsets.apps evio-system/evio-agent: it is forbidden: admission webhook "policy.example" denied the request: no hostNetwork',
  },
  {
    name: 'fields of others: whose',
    target: agent,
    status: 409,
    text: status(409, 'Conflict', 'Apply failed with 1 conflict', {
      causes: [
        { reason: 'FieldManagerConflict', message: 'conflict with "kubectl" using apps/v1', field: '.spec.paused' },
      ],
    }),
    says: 'cannot patch daemonsets.apps evio-system/evio-agent: others own fields of it: .spec.paused (conflict with "kubectl" using apps/v1)',
  },
  {
    name: 'a kind the server does not know: what to install',
    target: { verb: 'list', kind: network, key: '' },
    status: 404,
    text: '404 page not found\n',
    says: 'cannot list evionetworks.evio.io: the API server knows no evionetworks.evio.io: install the custom resource definitions',
  },
  {
    name: 'nothing of what is in a Secret',
    target: { verb: 'create', kind: SECRET, key: 'evio-system/evio-authority' },
    status: 422,
    text: status(422, 'Invalid', 'Secret "x" is invalid: data[k]: Invalid value: "hunter2"', {
      causes: [{ message: 'Invalid value: "hunter2"', field: 'data[k]' }],
    }),
    says: 'cannot create secrets evio-system/evio-authority: it is refused: data[k] is not valid',
  },
  {
    name: 'wrong credentials',
    target: { verb: 'list', kind: NODE, key: '' },
    status: 401,
    text: status(401, 'Unauthorized', 'Unauthorized'),
    says: 'cannot list nodes: the API server does not accept our credentials: the token or the certificate is wrong, or has expired',
  },
  {
    name: 'an answer of something else',
    target: { verb: 'get', kind: NODE, key: 'a' },
    status: 302,
    text: '<html>log in</html>',
    says: 'cannot get nodes a: the API server says 302 Garbage',
  },
];

describe('a failed request', () => {
  for (const { name, target, status: code, text, says } of CASES)
    it(`says in one line: ${name}`, () => {
      const failure = refusal(target, { status: code, text });
      expect(failure.message).to.equal(says);
      expect(failure.message).not.to.match(/hunter2|\n/);
    });

  it('tells an object that is not there from a kind that is not there', () => {
    const target: Target = { verb: 'get', kind: network, key: 'default' };
    const gone = status(404, 'NotFound', 'evionetworks.evio.io "default" not found', { name: 'default' });
    expect(isNotFound(refusal(target, { status: 404, text: gone }))).to.equal(true);
    expect(isNotFound(refusal(target, { status: 404, text: '404 page not found' }))).to.equal(false);
  });

  it('knows how long the server asks to wait, by header or by body', () => {
    const target: Target = { verb: 'list', kind: NODE, key: '' };
    expect(refusal(target, { status: 429, text: 'x', retryAfter: '3' }).retryAfterMs).to.equal(3_000);
    const busy = status(503, 'ServiceUnavailable', 'busy', { retryAfterSeconds: 2 });
    expect(refusal(target, { status: 503, text: busy }).retryAfterMs).to.equal(2_000);
    expect(refusal(target, { status: 429, text: 'x', retryAfter: 'soon' }).retryAfterMs).to.equal(undefined);
  });

  it('says where nothing answers, and what to look at', () => {
    const why = wordsOf(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'https://10.0.0.1:6443');
    const token: Target = {
      verb: 'create',
      kind: SERVICE_ACCOUNT,
      key: 'evio-system/evio-agent',
      subresource: 'token',
    };
    expect(broken(token, 'Unreachable', why).message).to.equal(
      'cannot create the token of serviceaccounts evio-system/evio-agent: https://10.0.0.1:6443: nothing answers there: see whether the API server is up (ECONNREFUSED)',
    );
  });
});
