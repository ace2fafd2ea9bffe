import { expect } from 'chai';
import { DAEMON_SET, LEASE, NODE } from './kinds.ts';
import { keyOf, ownerReference, splitKey } from './object.ts';
import { pathOf } from './request.ts';

describe('paths of the API', () => {
  for (const [target, query, path] of [
    [{ verb: 'get', kind: NODE, key: 'a' }, {}, '/api/v1/nodes/a'],
    [
      { verb: 'patch', kind: NODE, key: 'a', subresource: 'status' },
      { force: true },
      '/api/v1/nodes/a/status?force=true',
    ],
    [{ verb: 'list', kind: DAEMON_SET, key: '' }, { limit: 500 }, '/apis/apps/v1/daemonsets?limit=500'],
    [
      { verb: 'list', kind: DAEMON_SET, key: '', namespace: 'evio-system' },
      { labelSelector: 'a=b,c', continue: undefined },
      '/apis/apps/v1/namespaces/evio-system/daemonsets?labelSelector=a%3Db%2Cc',
    ],
    [
      { verb: 'get', kind: LEASE, key: 'evio-system/evio-operator' },
      {},
      '/apis/coordination.k8s.io/v1/namespaces/evio-system/leases/evio-operator',
    ],
  ] as const)
    it(`${target.verb} ${target.key} is ${path}`, () => {
      expect(pathOf(target, query)).to.equal(path);
    });

  it('a name cannot lead anywhere else', () => {
    expect(pathOf({ verb: 'get', kind: LEASE, key: 'n/a/../b?c' })).to.match(
      /\/namespaces\/n\/leases\/a%2F\.\.%2Fb%3Fc$/,
    );
  });

  it('a key is a name, or a namespace and a name', () => {
    expect(splitKey('a')).to.deep.equal({ name: 'a' });
    expect(splitKey('n/a')).to.deep.equal({ namespace: 'n', name: 'a' });
    expect(keyOf({ metadata: { name: 'a', namespace: 'n' } })).to.equal('n/a');
    expect(keyOf({ metadata: { name: 'a' } })).to.equal('a');
  });

  it('an owner is named by its kind, name and uid', () => {
    const metadata = { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
    expect(ownerReference(NODE, { metadata })).to.deep.equal({
      apiVersion: 'v1',
      kind: 'Node',
      name: 'a',
      uid: 'u',
      controller: true,
    });
  });
});
