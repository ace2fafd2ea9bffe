/** The operator's requests with a real API server: what it makes of them, and what we make of its answers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ApiClient } from '../../../agent/src/io/kube-client.ts';
import type { Connection } from '../../../agent/src/io/kube-connection.ts';
import { ApiFailure, isConflict, isForbidden, isInvalid, isNotFound } from '../../../agent/src/kube-api/client.ts';
import {
  CONFIG_MAP,
  CUSTOM_RESOURCE_DEFINITION,
  DAEMON_SET,
  EVENT,
  NODE,
  SECRET,
  SERVICE_ACCOUNT,
} from '../../../agent/src/kube-api/kinds.ts';
import type { Kind, KubeObject } from '../../../agent/src/kube-api/object.ts';
import { EventWriter } from '../../../operator/src/io/recorder.ts';
import { FaultProxy } from '../../servers/fault-proxy.ts';
import { type KubeApi, startKubeApi } from '../../servers/kube-api.ts';
import { clientOf, connect, until } from './kit.ts';

interface Thing extends KubeObject {
  readonly spec?: { readonly size?: number };
  readonly status?: { readonly ready?: boolean };
}
const THING: Kind<Thing> = { group: 'test.evio.io', version: 'v1', kind: 'Thing', plural: 'things', namespaced: false };

const NS = 'default';
const named = (name: string) => ({ name, namespace: NS });

async function failureOf(promise: Promise<unknown>): Promise<ApiFailure> {
  const error = await promise.then(
    (value) => new Error(`it was done: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiFailure)) throw error;
  expect(error.message).not.to.include('\n');
  return error;
}

describe("the operator's requests, with a real API server", () => {
  let api: KubeApi;
  let connection: Connection;
  let client: ApiClient;
  const open: Connection[] = [];
  const as = (user: string, server?: string) => {
    const made = connect(api, { as: user, ...(server !== undefined && { server }) });
    open.push(made);
    return clientOf(made, user);
  };

  before(async function () {
    this.timeout(120_000);
    api = await startKubeApi({
      users: { reader: { name: 'reader' }, other: { name: 'other', groups: ['system:masters'] } },
    });
    connection = connect(api);
    open.push(connection);
    client = clientOf(connection, 'evio-operator');
    const schema = {
      type: 'object',
      properties: {
        spec: { type: 'object', properties: { size: { type: 'integer', maximum: 10 } } },
        status: { type: 'object', properties: { ready: { type: 'boolean' } } },
      },
    };
    await client.apply(CUSTOM_RESOURCE_DEFINITION, {
      metadata: { name: 'things.test.evio.io' },
      spec: {
        group: 'test.evio.io',
        names: { kind: 'Thing', plural: 'things' },
        scope: 'Cluster',
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: schema },
            subresources: { status: {} },
          },
        ],
      },
    });
    await until('the kind is served', 20_000, () =>
      client.list(THING).then(
        () => true,
        () => false,
      ),
    );
  });
  after(async () => {
    for (const each of open) each.close();
    await api?.stop();
  });

  it('apply makes an object, changes it, and takes back what is no longer named', async () => {
    const first = await client.apply(CONFIG_MAP, {
      metadata: { ...named('a'), labels: { of: 'evio' } },
      data: { x: '1', y: '1' },
    });
    expect(first).to.include({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(first.metadata.uid).to.be.a('string');
    expect(first.metadata).not.to.have.property('managedFields');
    await client.apply(CONFIG_MAP, { metadata: named('a'), data: { x: '2' } });
    const { metadata, data } = await client.get(CONFIG_MAP, 'default/a');
    expect(data).to.deep.equal({ x: '2' });
    expect(metadata.labels).to.equal(undefined);
  });

  it('apply to an object that was seen, by its uid, makes none where that one is gone, and changes no other', async () => {
    const { metadata } = await client.apply(THING, { metadata: { name: 'seen' }, spec: { size: 1 } });
    const wanted = { metadata: { name: 'seen', uid: metadata.uid }, spec: { size: 2 } };
    const changed = await client.apply(THING, wanted);
    expect([changed.metadata.uid, changed.spec?.size]).to.deep.equal([metadata.uid, 2]);
    await client.delete(THING, 'seen');
    expect(isConflict(await failureOf(client.apply(THING, wanted)))).to.equal(true);
    expect(await client.find(THING, 'seen')).to.equal(undefined);
    const another = await client.create(THING, { metadata: { name: 'seen' }, spec: { size: 3 } });
    expect(isInvalid(await failureOf(client.apply(THING, wanted)))).to.equal(true);
    expect((await client.get(THING, 'seen')).spec?.size).to.equal(3);
    expect(another.metadata.uid).not.to.equal(metadata.uid);
  });

  it('apply of the same again changes nothing', async () => {
    const wanted = { metadata: named('same'), data: { x: '1' } };
    const { metadata } = await client.apply(CONFIG_MAP, wanted);
    expect((await client.apply(CONFIG_MAP, wanted)).metadata.resourceVersion).to.equal(metadata.resourceVersion);
  });

  it('apply leaves fields of others alone, and names who owns what it may not take', async () => {
    const other = as('other');
    await other.apply(CONFIG_MAP, { metadata: named('shared'), data: { theirs: '1', both: 'theirs' } });
    const wanted = { metadata: named('shared'), data: { ours: '1', both: 'ours' } };
    const failure = await failureOf(client.apply(CONFIG_MAP, wanted, { force: false }));
    expect(isConflict(failure)).to.equal(true);
    expect(failure.message).to.match(
      /^cannot patch configmaps default\/shared: others own fields of it: \.data\.both \(conflict with "other"/,
    );
    await client.apply(CONFIG_MAP, wanted);
    expect((await client.get(CONFIG_MAP, 'default/shared')).data).to.deep.equal({
      theirs: '1',
      both: 'ours',
      ours: '1',
    });
    // The other writer now learns that it lost the field.
    const lost = await failureOf(
      other.apply(CONFIG_MAP, { metadata: named('shared'), data: { both: 'x' } }, { force: false }),
    );
    expect(lost.message).to.include('conflict with "evio-operator"');
  });

  it('two that force the same field at once never fail, and one of them wins', async () => {
    const other = as('other');
    const writes = Array.from({ length: 40 }, (_, n) => {
      const [who, value] = n % 2 === 0 ? [client, 'evio'] : [other, 'other'];
      return (who as ApiClient).apply(CONFIG_MAP, { metadata: named('fought'), data: { field: value as string } });
    });
    await Promise.all(writes);
    expect((await client.get(CONFIG_MAP, 'default/fought')).data?.field).to.be.oneOf(['evio', 'other']);
  });

  it('the status has a door of its own: neither writes what the other owns', async () => {
    await client.apply(THING, { metadata: { name: 'a' }, spec: { size: 3 }, status: { ready: true } });
    expect((await client.get(THING, 'a')).status).to.equal(undefined);
    const { spec, status, metadata } = await client.applyStatus(THING, {
      metadata: { name: 'a' },
      status: { ready: true },
      spec: { size: 9 },
    });
    expect([spec, status, metadata.generation]).to.deep.equal([{ size: 3 }, { ready: true }, 1]);
  });

  it('what the schema forbids is refused with its reason', async () => {
    const failure = await failureOf(client.apply(THING, { metadata: { name: 'b' }, spec: { size: 11 } }));
    expect(isInvalid(failure)).to.equal(true);
    expect(failure.message).to.match(/^cannot patch things\.test\.evio\.io b: it is refused: .*spec\.size/);
  });

  it('a JSON patch changes what it tests first', async () => {
    await client.apply(CONFIG_MAP, { metadata: named('patched'), data: { x: '1' } });
    const steps = [
      { op: 'test', path: '/data/x', value: '1' },
      { op: 'replace', path: '/data/x', value: '2' },
    ] as const;
    expect((await client.patch(CONFIG_MAP, 'default/patched', steps)).data).to.deep.equal({ x: '2' });
    expect(isInvalid(await failureOf(client.patch(CONFIG_MAP, 'default/patched', steps)))).to.equal(true);
  });

  it('create, update and delete mind who was faster', async () => {
    const made = await client.create(CONFIG_MAP, { metadata: named('once'), data: { x: '1' } });
    expect(isConflict(await failureOf(client.create(CONFIG_MAP, { metadata: named('once') })))).to.equal(true);
    const { resourceVersion, uid } = made.metadata;
    const changed = await client.update(CONFIG_MAP, {
      metadata: { ...named('once'), resourceVersion },
      data: { x: '2' },
    });
    const late = client.update(CONFIG_MAP, { metadata: { ...named('once'), resourceVersion }, data: { x: '3' } });
    expect((await failureOf(late)).message).to.match(
      /^cannot update configmaps default\/once: somebody else changed it meanwhile/,
    );
    const another = 'f0000000-0000-0000-0000-000000000000';
    expect(isConflict(await failureOf(client.delete(CONFIG_MAP, 'default/once', { uid: another })))).to.equal(true);
    expect(isConflict(await failureOf(client.delete(CONFIG_MAP, 'default/once', { resourceVersion })))).to.equal(true);
    const now = { uid, resourceVersion: changed.metadata.resourceVersion, propagation: 'Background' } as const;
    expect(await client.delete(CONFIG_MAP, 'default/once', now)).to.equal(true);
    expect(await client.delete(CONFIG_MAP, 'default/once')).to.equal(false);
    expect(await client.find(CONFIG_MAP, 'default/once')).to.equal(undefined);
    expect(isNotFound(await failureOf(client.get(CONFIG_MAP, 'default/once')))).to.equal(true);
  });

  it('a list is complete though it has many pages', async function () {
    this.timeout(60_000);
    const names = Array.from({ length: 1_203 }, (_, n) => `page-${n}`);
    for (let n = 0; n < names.length; n += 40)
      await Promise.all(
        names
          .slice(n, n + 40)
          .map((name) => client.create(CONFIG_MAP, { metadata: { ...named(name), labels: { page: 'yes' } } })),
      );
    const found = await client.list(CONFIG_MAP, { namespace: NS, labelSelector: 'page=yes' });
    expect(found.map(({ metadata }) => metadata.name).sort()).to.deep.equal(names.sort());
  });

  it('what RBAC does not permit names the rule that is missing', async () => {
    const reader = as('reader');
    const cases = [
      [
        () => reader.list(NODE),
        'cannot list nodes',
        'a ClusterRole with apiGroups [""], resources ["nodes"], verbs ["list"]',
      ],
      [
        () => reader.apply(DAEMON_SET, { metadata: named('x') }),
        'cannot patch daemonsets.apps default/x',
        'a Role in default with apiGroups ["apps"], resources ["daemonsets"], verbs ["patch"]',
      ],
      [
        () => reader.applyStatus(THING, { metadata: { name: 'a' } }),
        'cannot patch the status of things.test.evio.io a',
        'a ClusterRole with apiGroups ["test.evio.io"], resources ["things/status"], verbs ["patch"]',
      ],
    ] as const;
    for (const [asked, what, rule] of cases) {
      const failure = await failureOf(asked());
      expect(isForbidden(failure)).to.equal(true);
      expect(failure.message).to.equal(`${what}: not permitted: the service account needs ${rule}`);
    }
  });

  it('a kind the server does not know is not an object that is not there', async () => {
    const unknown: Kind = { ...THING, plural: 'unknowns', kind: 'Unknown' };
    const failure = await failureOf(client.get(unknown, 'a'));
    expect([failure.reason, isNotFound(failure)]).to.deep.equal(['NoSuchKind', false]);
    expect(failure.message).to.include('install the custom resource definitions');
  });

  it('wrong credentials are told as such', async () => {
    const stranger = connect(api, { as: 'nobody' });
    open.push(stranger);
    const failure = await failureOf(clientOf(stranger).list(NODE));
    expect(failure.message).to.equal(
      'cannot list nodes: the API server does not accept our credentials: the token or the certificate is wrong, or has expired',
    );
  });

  it('of a Secret nothing is told, even when it is refused', async () => {
    const failure = await failureOf(
      client.apply(SECRET, { metadata: named('s'), data: { 'not a key!': Buffer.from('hunter2').toString('base64') } }),
    );
    expect(failure.message).not.to.match(/hunter2|aHVudGVyMg/);
    const broken = await failureOf(client.apply(SECRET, { metadata: named('s'), data: { key: 'hunter2 hunter2' } }));
    expect(broken.message).not.to.include('hunter2');
  });

  it('a token of a service account logs in as it', async () => {
    await client.apply(SERVICE_ACCOUNT, { metadata: named('agent') });
    const { token, expires } = await client.token('default/agent', { expirationSeconds: 600 });
    expect(Date.parse(expires)).to.be.greaterThan(Date.now());
    const answer = await api.request('GET', '/api/v1/nodes', undefined, { token });
    expect(answer.body.message).to.include('system:serviceaccount:default:agent');
  });

  it('a server that does not answer is a failure in time, and so is one that is away', async function () {
    this.timeout(30_000);
    const impatient = new ApiClient(connection, { fieldManager: 'test', timeoutMs: 500 });
    await api.kill('SIGSTOP');
    try {
      const failure = await failureOf(impatient.get(CONFIG_MAP, 'default/a'));
      expect(failure.reason).to.equal('NoAnswer');
      expect(failure.message).to.match(/^cannot get configmaps default\/a: https:\S+: no answer in time/);
    } finally {
      await api.kill('SIGCONT');
    }
    const proxy = await FaultProxy.start(api.url, api.ca);
    const { url } = proxy;
    await proxy.stop();
    expect((await failureOf(as('admin', url).list(NODE))).reason).to.equal('Unreachable');
  });

  it('nothing is written while this process may not, and everything is read', async () => {
    const bound = new ApiClient(connection, { fieldManager: 'test', mayWrite: () => false });
    for (const write of [
      () => bound.apply(CONFIG_MAP, { metadata: named('a') }),
      () => bound.patch(CONFIG_MAP, 'default/a', []),
      () => bound.delete(CONFIG_MAP, 'default/a'),
      () => bound.token('default/agent'),
    ])
      expect((await failureOf(write())).reason).to.equal('NotLeading');
    expect((await bound.get(CONFIG_MAP, 'default/a')).metadata.name).to.equal('a');
  });

  it('Events are seen under their object, and the same again is a count', async () => {
    const writer = new EventWriter({ client, controller: 'evio.io/evio-operator', instance: 'test-1' });
    const thing = await client.get(THING, 'a');
    const note = {
      type: 'Warning',
      reason: 'NoAddress',
      action: 'Allot',
      note: 'no address left in 10.45.0.0/16',
    } as const;
    for (let n = 0; n < 5; n++) writer.event(THING, thing, note);
    const events = async () =>
      (await client.list(EVENT, { namespace: NS })).filter(({ regarding }) => regarding?.uid === thing.metadata.uid);
    await until('the Event is there', 5_000, async () => (await events()).length > 0);
    await sleep(200);
    const [event, ...more] = await events();
    expect(more).to.deep.equal([]);
    expect(event).to.deep.include({
      ...note,
      reportingController: 'evio.io/evio-operator',
      reportingInstance: 'test-1',
    });
    const value = { count: 5, lastObservedTime: new Date().toISOString().replace('Z', '000Z') };
    const key = `${NS}/${event?.metadata.name}`;
    expect((await client.patch(EVENT, key, [{ op: 'add', path: '/series', value }])).series?.count).to.equal(5);
  });
});
