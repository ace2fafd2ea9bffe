/** The operator with a real API server and a real Prosody: what it makes, that it keeps it so, and that it takes it away again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { XmppError } from '../../agent/src/io/xmpp-error.ts';
import { openSession } from '../../agent/src/io/xmpp-session.ts';
import type { Node } from '../../agent/src/kube-api/kinds.ts';
import { verifyCertificate } from '../../agent/src/wire/certificate.ts';
import { verifyParameters } from '../../agent/src/wire/parameters.ts';
import { fromBase64 } from '../../agent/src/wire/reader.ts';
import { isRevoked, verifyRevocations } from '../../agent/src/wire/revocations.ts';
import { type Credentials, openCredentials } from '../../agent/src/wire/sealed-credentials.ts';
import type { Enrolment } from '../../crds/src/evio-node.ts';
import { Lab, type NodeKeysOf, until } from './operator/lab.ts';

interface EventSeen {
  readonly regarding: { readonly kind: string; readonly name: string };
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}
const SOME_TIME = '2026-01-01T00:00:00Z';

/** What an issue may take to show, and to heal. */
const SOON_MS = 10_000;

function opened(enrolment: Enrolment, keys: NodeKeysOf) {
  const parameters = verifyParameters(fromBase64(enrolment.overlayParameters));
  const certificate = verifyCertificate(fromBase64(enrolment.certificate), parameters.authorityKey, Date.now() / 1000);
  const recipient = { overlayId: parameters.overlayId, nodeId: certificate.nodeId };
  return {
    parameters,
    certificate,
    credentials: openCredentials(fromBase64(enrolment.credentials), recipient, keys.session),
  };
}

const isTainted = (node: Node): boolean =>
  node.spec?.taints?.some((taint) => taint.key === 'node.cloudprovider.kubernetes.io/uninitialized') ?? false;

async function logsIn({ service, domain, username, password, ca }: Credentials): Promise<true | string> {
  const signal = AbortSignal.timeout(5_000);
  try {
    const handlers = { stanza: () => undefined, received: () => undefined, closed: () => undefined };
    (await openSession({ service, domain, username, password, ca, renewal: '', signal }, handlers)).close();
    return true;
  } catch (error) {
    return error instanceof XmppError ? error.problem : String(error);
  }
}

describe('the operator', function () {
  this.timeout(240_000);
  let lab: Lab;
  let current = 0;
  const name = (): string => `operator-${current}`;
  const start = (): void => lab.operator(`operator-${++current}`);
  const enrolled = (node: string, serial?: string) =>
    until(`${node} is enrolled`, async () => {
      const found = (await lab.member(node))?.spec.enrolment;
      return found !== undefined && found.serial !== serial && found;
    });

  before(async () => {
    lab = await Lab.start();
  });
  after(() => lab?.stop());
  afterEach(function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(`${lab.log(name()).slice(-6_000)}\n`);
  });

  it('names the Secret that is missing, and goes on when it is there', async () => {
    start();
    await lab.leads(name());
    await lab.apply();
    const missing = await until('the condition', async () => {
      const is = await lab.condition('SignallingReady');
      return is?.reason === 'SecretMissing' && is;
    });
    expect(missing.message).to.contain('evio-system/xmpp-admin does not exist');
    expect((await lab.condition('Degraded'))?.reason).to.equal('SecretMissing');
    await lab.adminSecrets();
    await until(
      'signalling is ready',
      async () => (await lab.condition('SignallingReady'))?.status === 'True',
      SOON_MS,
    );
    expect((await lab.network())?.status?.observedGeneration).to.equal(1);
  });

  it('brings the definitions up to date when it starts', async () => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/evionodes.evio.io';
    const managers = lab
      .must(await lab.api.request('GET', path))
      .metadata.managedFields.map((f: { manager: string }) => f.manager);
    expect(managers).to.include('evio-operator');
    expect(lab.log(name())).not.to.contain('stays as it is');
  });

  const keys = new Map<string, NodeKeysOf>();

  it('gives a Node an EvioNode, and enrols it once it has told its keys', async () => {
    await lab.node('a');
    const member = await until('the EvioNode', () => lab.member('a'));
    expect(member.spec).to.deep.equal({
      network: 'default',
      memberName: 'a',
      addresses: ['10.45.0.1/16'],
      podCIDRs: ['10.244.0.0/24'],
    });
    const own = lab.newKeys();
    keys.set('a', own);
    await lab.tell('a', own);
    const { certificate, credentials } = opened(await enrolled('a'), own);
    expect([certificate.name, certificate.addresses[0]?.address]).to.deep.equal(['a', '10.45.0.1']);
    expect(await logsIn(credentials)).to.equal(true);
    expect((await lab.network())?.status?.overlayID).to.equal(certificate.overlayId);
  });

  it('writes the addresses of a Node whose kubelet waits for a cloud controller, and keeps them', async () => {
    await lab.node('b', { external: true });
    const own = lab.newKeys();
    keys.set('b', own);
    await until('the EvioNode', () => lab.member('b'));
    await lab.tell('b', own);
    await enrolled('b');
    const waiting = await lab.theNode('b');
    expect([waiting && isTainted(waiting), waiting?.status?.addresses]).to.deep.equal([true, undefined]);
    await lab.tell('b', own, { up: true });
    const initialized = await until('the taint goes', async () => {
      const node = await lab.theNode('b');
      return node !== undefined && !isTainted(node) && node;
    });
    expect(initialized.status?.addresses).to.deep.equal([
      { type: 'InternalIP', address: '10.45.0.2' },
      { type: 'Hostname', address: 'b' },
    ]);
    const broken = { status: { addresses: [{ type: 'Hostname', address: 'b' }] } };
    lab.must(
      await lab.api.request('PATCH', '/api/v1/nodes/b/status', broken, { type: 'application/merge-patch+json' }),
    );
    await until(
      'the address is back',
      async () => (await lab.theNode('b'))?.status?.addresses?.[0]?.address === '10.45.0.2',
    );
    expect((await lab.theNode('a'))?.status?.addresses?.[0]?.address).to.equal('192.168.1.10');
  });

  it('writes what a node reports of itself as Events, at the Node and at its EvioNode', async () => {
    const own = keys.get('b') ?? expect.fail('b has no keys');
    const conditions = (status: 'True' | 'False', reason: string, message: string) =>
      ['Ready', 'DataPlaneReady'].map((type) => ({ type, status, reason, message, lastTransitionTime: SOME_TIME }));
    await lab.tell('b', own, { conditions: conditions('True', 'Verified', '') });
    await lab.tell('b', own, { conditions: conditions('False', 'DataPlaneAbsent', 'tincan does not answer') });
    await lab.tell('b', own, { conditions: conditions('True', 'Verified', '') });
    const told = async () => {
      const path = '/apis/events.k8s.io/v1/namespaces/default/events';
      const { items } = lab.must(await lab.api.request('GET', path)) as { items: readonly EventSeen[] };
      return items
        .filter(({ regarding, action }) => regarding.name === 'b' && action === 'Report')
        .map(({ regarding, type, reason, note }) => `${regarding.kind} ${type} ${reason}: ${note}`)
        .sort();
    };
    await until('all of them', async () => (await told()).length >= 4, SOON_MS);
    expect(await told()).to.deep.equal([
      'EvioNode Normal Verified: DataPlaneReady: again',
      'EvioNode Warning DataPlaneAbsent: DataPlaneReady: tincan does not answer',
      'Node Normal EvioReady: Evio: traffic of this node and its pods passes again',
      'Node Warning EvioNotReady: Evio: DataPlaneAbsent: tincan does not answer',
    ]);
  });

  it('says when the XMPP server is away, and when it is back, within ten seconds', async () => {
    await lab.xmpp.kill();
    const away = await until(
      'the condition',
      async () => {
        const is = await lab.condition('SignallingReady');
        return is?.status === 'False' && is;
      },
      SOON_MS,
    );
    expect([away.reason, away.message.includes(lab.xmpp.service)]).to.deep.equal(['ServerUnreachable', true]);
    await lab.xmpp.start();
    await until('it is back', async () => (await lab.condition('SignallingReady'))?.status === 'True', SOON_MS);
  });

  it('voids the certificate and ends the account of a Node that is deleted, and takes it again', async () => {
    const own = keys.get('b') as NodeKeysOf;
    const first = opened(await enrolled('b'), own);
    expect(await logsIn(first.credentials)).to.equal(true);
    await lab.remove('nodes', 'b');
    await until('the EvioNode goes', async () => (await lab.member('b')) === undefined);
    const list = await until('the others are told', async () => (await lab.member('a'))?.spec.enrolment?.revocations);
    const revocations = verifyRevocations(fromBase64(list), first.parameters.authorityKey);
    expect(isRevoked(revocations, first.certificate.nodeId, first.certificate.serial)).to.equal(true);
    await until('the account ends', async () => (await logsIn(first.credentials)) === 'wrong-password');
    await lab.node('b', { external: true });
    await until('the EvioNode', () => lab.member('b'));
    await lab.tell('b', own, { up: true });
    const again = opened(await enrolled('b'), own);
    expect(again.certificate.serial > first.certificate.serial).to.equal(true);
    expect(isRevoked(revocations, again.certificate.nodeId, again.certificate.serial)).to.equal(false);
    expect(await logsIn(again.credentials)).to.equal(true);
  });

  it('signs the parameters anew when the spec changes, and every node gets them', async () => {
    const { serial } = await enrolled('a');
    await lab.apply({ signalling: (await lab.network())?.spec.signalling as never, mtu: 1300 });
    const { parameters } = opened(await enrolled('a', serial), keys.get('a') as NodeKeysOf);
    expect([parameters.mtu, parameters.serial]).to.deep.equal([1300, 2n]);
    expect((await lab.network())?.status?.effectiveMTU).to.equal(1300);
  });

  it('keeps what it has made: DaemonSets and Secrets that are changed or deleted come back', async () => {
    const authority = (await lab.there('secrets', 'evio-authority')).data['authority.key'];
    const agent = await lab.there('daemonsets', 'evio-agent');
    await lab.remove('daemonsets', 'evio-dataplane');
    await lab.remove('secrets', 'evio-authority');
    const image = { spec: { template: { spec: { containers: [{ name: 'agent', image: 'other' }] } } } };
    const path = '/apis/apps/v1/namespaces/evio-system/daemonsets/evio-agent';
    lab.must(await lab.api.request('PATCH', path, image, { type: 'application/strategic-merge-patch+json' }));
    await until('the DaemonSet is back', () => lab.there('daemonsets', 'evio-dataplane'));
    await until('the image is right', async () => {
      const now = await lab.there('daemonsets', 'evio-agent');
      return now.spec.template.spec.containers[0].image === agent.spec.template.spec.containers[0].image;
    });
    const secret = await until('the authority is back', () => lab.there('secrets', 'evio-authority'));
    expect(secret.data['authority.key']).to.equal(authority);
  });

  it('makes no address twice when it is killed in the middle and another one goes on', async () => {
    const nodes = Array.from({ length: 20 }, (_, i) => `n${i}`);
    const other = 'operator-waiting';
    lab.operator(other);
    const making = Promise.all(nodes.map((node) => lab.node(node)));
    await until('some are there', async () => (await lab.members()).length >= 6);
    await lab.kill(name());
    await making;
    current = 90;
    await until('all are there', async () => (await lab.members()).length === nodes.length + 2, 60_000);
    const members = await lab.members();
    const all = members.flatMap((m) => [...m.spec.addresses, ...m.spec.podCIDRs]);
    expect(new Set(all).size).to.equal(2 * members.length);
    await Promise.all(nodes.map((node) => lab.tell(node, lab.newKeys())));
    const serials = await Promise.all(nodes.map(async (node) => (await enrolled(node)).serial));
    expect(new Set(serials).size).to.equal(nodes.length);
    await lab.kill(other, 'SIGTERM');
    start();
    await lab.leads(name());
  });

  it('names the pool that is empty, and goes on when it has grown', async () => {
    const signalling = (await lab.network())?.spec.signalling as never;
    await lab.remove('evionetworks', 'default');
    await until('it is gone', async () => (await lab.network()) === undefined, 90_000);
    await lab.apply({ signalling, nodeCIDRs: ['10.45.0.0/28'] });
    await until(
      'the pool is empty',
      async () => (await lab.condition('AddressPoolReady'))?.reason === 'PoolExhausted',
      SOON_MS,
    );
    await until('fourteen have addresses', async () => (await lab.members()).length === 14);
    expect((await lab.condition('AddressPoolReady'))?.message).to.contain('no overlay address is left in 10.45.0.0/28');
    await lab.apply({ signalling, nodeCIDRs: ['10.45.0.0/24'] });
    await until('all have addresses', async () => (await lab.members()).length === 22);
    await until('the pool is ready', async () => (await lab.condition('AddressPoolReady'))?.status === 'True', SOON_MS);
    const members = await lab.members();
    expect(new Set(members.flatMap((m) => m.spec.addresses)).size).to.equal(22);
    await until('lengths follow the subnet', async () =>
      (await lab.members()).every((m) => m.spec.addresses[0]?.endsWith('/24') === true),
    );
  });

  it('leaves nothing when the EvioNetwork is deleted, also when its parts were deleted before', async () => {
    await lab.remove('secrets', 'xmpp-admin');
    await lab.remove('daemonsets', 'evio-agent');
    await lab.lease('evio-node-b');
    await lab.lease('of-somebody-else');
    await lab.remove('evionetworks', 'default');
    await lab.remove('secrets', 'evio-authority');
    await until('it is gone', async () => (await lab.network()) === undefined, 90_000);
    await sleep(1_000);
    expect(await lab.members()).to.deep.equal([]);
    for (const [resource, object] of [
      ['daemonsets', 'evio-agent'],
      ['daemonsets', 'evio-dataplane'],
      ['deployments', 'evio-server'],
      ['secrets', 'evio-authority'],
      ['secrets', 'evio-server'],
      ['leases', 'evio-node-b'],
    ] as const)
      expect(await lab.there(resource, object), `${resource}/${object}`).to.equal(undefined);
    expect(await lab.there('leases', 'of-somebody-else')).to.not.equal(undefined);
    const node = await lab.theNode('b');
    expect(node?.status?.addresses).to.deep.equal([{ type: 'Hostname', address: 'b' }]);
    expect(node?.metadata.annotations?.['evio.io/node-addresses']).to.equal(undefined);
    expect(node !== undefined && isTainted(node)).to.equal(true);
  });
});
