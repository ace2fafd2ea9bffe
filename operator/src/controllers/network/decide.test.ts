import { expect } from 'chai';
import fc from 'fast-check';
import { NO_TOKENS } from '../../../../agent/src/join/tokens.ts';
import type { DaemonSet, Deployment, Pod } from '../../../../agent/src/kube-api/kinds.ts';
import { overlayIdOf } from '../../../../agent/src/wire/ids.ts';
import { privateKey, rawPublicKey } from '../../../../agent/src/wire/keys.ts';
import { verifyParameters } from '../../../../agent/src/wire/parameters.ts';
import { fromBase64 } from '../../../../agent/src/wire/reader.ts';
import { isRevoked, verifyRevocations } from '../../../../agent/src/wire/revocations.ts';
import type { EvioNetworkSpecInput } from '../../../../crds/src/evio-network.ts';
import type { Authority } from '../../desired/authority.ts';
import { EMPTY_LEDGER, issue, type Ledger } from '../../desired/ledger.ts';
import { aMember, aNetwork, aNode } from '../../desired/testing.ts';
import { accountChanges } from './accounts.ts';
import { decide, livingOf, type NetworkView, type RemovalView, removalStep } from './decide.ts';

const NOW = 1_800_000_000;
const KEY = privateKey('ed25519', Buffer.alloc(32, 7));
const PUBLIC = rawPublicKey(KEY);
const authority = (ledger: Ledger = EMPTY_LEDGER): Authority => ({
  key: KEY,
  publicKey: PUBLIC,
  overlayId: overlayIdOf(PUBLIC),
  ledger,
  tokens: NO_TOKENS,
});

interface Parts extends Partial<Omit<NetworkView, 'signalling'>> {
  readonly spec?: EvioNetworkSpecInput;
  readonly host?: string | undefined;
}

function view({ spec = {}, host, ...more }: Parts = {}): NetworkView {
  const network = more.network ?? aNetwork(spec, { finalizers: ['evio.io/cleanup'] });
  return {
    network,
    nodes: new Map(),
    members: [],
    authority: undefined,
    authorityBroken: undefined,
    authorityRemembered: false,
    signalling: { spec: network.spec, namespace: 'evio-system', secret: () => undefined, server: undefined, host },
    deployment: undefined,
    agent: undefined,
    dataplane: undefined,
    cleanup: undefined,
    ...more,
  };
}

const kinds = (of: NetworkView): string[] =>
  decide(of, NOW).actions.map((a) => (a.kind === 'make-authority' ? `${a.kind} ${a.how}` : a.kind));

function changed(of: NetworkView): Ledger | undefined {
  const action = decide(of, NOW).actions.find((a) => a.kind === 'change-ledger');
  return action === undefined || of.authority === undefined ? undefined : action.change(of.authority);
}

describe('an EvioNetwork', () => {
  it('gets a finalizer, an authority, the secrets of its server and the DaemonSets', () => {
    expect(kinds(view({ network: aNetwork() }))).to.deep.equal([
      'add-finalizer',
      'make-authority new',
      'make-server-secrets',
      'apply-daemons',
    ]);
    expect(kinds(view({ authority: authority(), host: '192.0.2.1' }))).to.deep.equal([
      'change-ledger',
      'make-server-secrets',
      'apply-server',
      'apply-daemons',
    ]);
  });

  it('never gets another authority than the one its nodes know', () => {
    const known = { ...aNetwork(), status: { authorityKey: PUBLIC.toString('base64') } };
    const gone = decide(view({ network: known }), NOW);
    expect(gone.problem?.reason).to.equal('AuthorityLost');
    expect(gone.actions.some((a) => a.kind === 'make-authority')).to.equal(false);
    expect(kinds(view({ network: known, authorityRemembered: true }))).to.include('make-authority restore');
    const other = { ...known, status: { authorityKey: Buffer.alloc(32).toString('base64') } };
    expect(decide(view({ network: other, authority: authority() }), NOW).problem?.reason).to.equal('AuthorityLost');
    const broken = decide(view({ authorityBroken: 'a ledger that is no JSON' }), NOW);
    expect(broken.problem?.message).to.contain('a ledger that is no JSON');
    expect(broken.actions.some((a) => a.kind === 'make-authority')).to.equal(false);
  });

  it('has its parameters signed again when its spec changes, and not otherwise', () => {
    const first = changed(view({ authority: authority() }));
    if (first === undefined) throw new Error('not signed');
    expect(changed(view({ authority: authority(first) }))).to.equal(undefined);
    const second = changed(
      view({
        authority: authority(first),
        spec: { mtu: 1300, nodeCIDRs: ['fd45::/64'], topology: { fullMesh: 'Never' } },
      }),
    );
    const signed = verifyParameters(fromBase64(second?.parameters ?? ''), PUBLIC);
    expect([
      signed.serial,
      signed.mtu,
      signed.subnet4,
      signed.subnet6?.address,
      signed.topology.fullMesh,
    ]).to.deep.equal([2n, 1300, undefined, 'fd45::', 'off']);
  });

  it('voids certificates of nodes that are gone or go', () => {
    const id = 'ab'.repeat(16);
    const entry = { uid: 'member-a', id, notAfter: NOW + 999, account: 'a', sealed: '' };
    const { ledger } = issue(EMPTY_LEDGER, 'a', entry, 1, KEY, NOW);
    const first = changed(view({ authority: authority(ledger), members: [aMember('a', 1)] }));
    expect(first?.revocations).to.equal('');
    const going = aMember('a', 1, { meta: { deletionTimestamp: 'now' } });
    for (const members of [[], [going], [aMember('a', 1, { meta: { uid: 'made anew' } })]]) {
      const list = changed(view({ authority: authority(ledger), members }))?.revocations ?? '';
      expect(isRevoked(verifyRevocations(fromBase64(list), PUBLIC), id, 1n)).to.equal(true);
    }
    expect(livingOf([going]).size).to.equal(0);
  });

  it('has no server of its own with an external one, and loses the one it had', () => {
    const external = { service: 'xmpps://x.example:5223', domain: 'x.example', adminSecretRef: { name: 'x' } };
    const spec = { signalling: { external } };
    expect(kinds(view({ spec, authority: authority() }))).to.deep.equal(['change-ledger', 'apply-daemons']);
    const deployment = { metadata: aNode('x').metadata };
    expect(kinds(view({ spec, authority: authority(), deployment }))).to.include('delete-server');
  });
});

describe('what a former EvioNetwork has left', () => {
  it('takes nothing away from the new one', () => {
    const cleanup: DaemonSet = { metadata: aNode('x').metadata };
    expect(kinds(view({ authority: authority(), cleanup }))).to.include('delete-cleanup');
    const going = { metadata: { ...cleanup.metadata, deletionTimestamp: 'now' } };
    expect(kinds(view({ authority: authority(), cleanup: going }))).not.to.include('delete-cleanup');
  });
});

describe('accounts', () => {
  const of = authority();
  const account = (name: string): string => `${name}.${of.overlayId.slice(0, 12)}`;
  const issued = (name: string, account: string) => ({
    uid: name,
    id: name,
    serial: 1,
    notAfter: NOW,
    account,
    sealed: '',
  });
  const ledger = { ...EMPTY_LEDGER, issued: { a: issued('a', account('a')), b: issued('b', account('b')) } };

  it('are admitted again when the server has lost them, and ended when their node is gone', () => {
    const changes = accountChanges(
      authority(ledger),
      [account('a'), account('gone'), account('coming')],
      new Set([account('coming')]),
    );
    expect(changes).to.deep.equal({ admit: [{ account: account('b'), id: 'b' }], end: [account('gone')] });
  });

  it('of people and of other clusters are left alone', () => {
    const present = [account('a'), account('b'), 'alice', 'a.0123456789ab'];
    expect(accountChanges(authority(ledger), present, new Set())).to.deep.equal({ admit: [], end: [] });
  });
});

describe('the end of an EvioNetwork', () => {
  const at = (seconds: number): string => new Date(seconds * 1000).toISOString();
  const network = (clean = false) =>
    aNetwork(
      {},
      {
        deletionTimestamp: at(NOW),
        finalizers: ['evio.io/cleanup'],
        annotations: clean ? { 'evio.io/nodes-clean': 'true' } : {},
      },
    );
  const set = (numberReady?: number): DaemonSet => ({
    metadata: { ...aNode('x').metadata, generation: 1, creationTimestamp: at(NOW) },
    ...(numberReady === undefined
      ? {}
      : {
          status: {
            observedGeneration: 1,
            numberReady,
            desiredNumberScheduled: 3,
            currentNumberScheduled: 3,
            numberMisscheduled: 0,
          },
        }),
  });
  const pod = (component: string, nodeName: string): Pod => ({
    metadata: { ...aNode(`${component}-${nodeName}`).metadata, labels: { 'app.kubernetes.io/component': component } },
    spec: { containers: [], nodeName },
  });
  const silent = { ...aNode('c'), status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
  const nodes = new Map([aNode('a'), aNode('b'), silent].map((node) => [node.metadata.name, node]));
  const step = (more: Partial<RemovalView>, now = NOW): string =>
    removalStep(
      {
        network: network(),
        nodes,
        agent: undefined,
        cleanup: undefined,
        dataplane: undefined,
        server: undefined,
        pods: [],
        ...more,
      },
      now,
    ).kind;
  const deployment: Deployment = { metadata: aNode('x').metadata };
  const clean = { network: network(true) };

  it('goes one step after the other, from whatever is there', () => {
    expect(step({ agent: set(), dataplane: set(), server: deployment })).to.equal('delete-workloads');
    expect(step({ server: deployment })).to.equal('delete-workloads');
    for (const component of ['agent', 'dataplane', 'server'])
      expect(step({ pods: [pod(component, 'a')] }), component).to.equal('wait');
    expect(step({})).to.equal('clean-nodes');
    expect(step({ cleanup: set(1) })).to.equal('wait');
    expect(step({ cleanup: set(3) })).to.equal('note-clean');
    expect(step({ ...clean, cleanup: set(3) })).to.equal('delete-cleanup');
    expect(step({ ...clean, pods: [pod('cleanup', 'b')] })).to.equal('wait');
    expect(step(clean)).to.equal('remove-rest');
  });

  it('cleans no node that something of Evio still writes to', () => {
    expect(step({ cleanup: set(3), pods: [pod('server', 'a')] })).to.equal('wait');
  });

  it('waits for no node that is away or gone, and for none of them longer than a minute and a half', () => {
    expect(step({ pods: [pod('agent', 'c'), pod('agent', 'gone')] })).to.equal('clean-nodes');
    expect(step({ cleanup: set(2) })).to.equal('note-clean');
    expect(step({ cleanup: set(1), pods: [pod('agent', 'a')] }, NOW + 89)).to.equal('wait');
    expect(step({ cleanup: set(1), pods: [pod('agent', 'a')] }, NOW + 90)).to.equal('note-clean');
    expect(step({ ...clean, pods: [pod('cleanup', 'a')] }, NOW + 90)).to.equal('remove-rest');
  });

  it('waits for no DaemonSet that has no controller', () => {
    expect(step({ cleanup: set() }, NOW + 9)).to.equal('wait');
    expect(step({ cleanup: set() }, NOW + 10)).to.equal('note-clean');
  });

  it('always comes to its end, whatever is left over', () => {
    const one = fc.option(fc.constant(set(0)), { nil: undefined });
    const server = fc.option(fc.constant(deployment), { nil: undefined });
    const some = fc.subarray(['agent', 'dataplane', 'server', 'cleanup'].flatMap((c) => [pod(c, 'a'), pod(c, 'c')]));
    fc.assert(
      fc.property(one, one, one, server, some, (agent, dataplane, cleanup, server, pods) => {
        let view: RemovalView = { network: network(), nodes, agent, dataplane, cleanup, server, pods };
        for (let steps = 0; steps < 12; steps++) {
          // Nobody but us does anything, and the time has come.
          const { kind } = removalStep(view, NOW + 90);
          if (kind === 'remove-rest') return true;
          if (kind === 'delete-workloads')
            view = { ...view, agent: undefined, dataplane: undefined, server: undefined };
          if (kind === 'clean-nodes') view = { ...view, cleanup: set(0) };
          if (kind === 'note-clean') view = { ...view, ...clean };
          if (kind === 'delete-cleanup') view = { ...view, cleanup: undefined };
        }
        return false;
      }),
    );
  });
});
