import { expect } from 'chai';
import { NO_TOKENS, type TokenBook } from '../../../agent/src/join/tokens.ts';
import type { EvioNode } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { Node } from '../../../agent/src/kube-api/kinds.ts';
import { nodeIdOf } from '../../../agent/src/wire/ids.ts';
import { EMPTY_LEDGER } from './ledger.ts';
import { otherWith, type RegisterView, registered } from './register.ts';
import { aMember, aNode, someKeys } from './testing.ts';

const KEYS = someKeys('m');
const ID = nodeIdOf(Buffer.from(KEYS.identityKey, 'base64'));
const machine = { ...KEYS, joined: '2027-01-15T08:00:00Z' };
const HOST = { meta: { labels: { 'evio.io/host-package': 'true' } } };
const peerOwner = [{ apiVersion: 'evio.io/v1alpha1', kind: 'EvioPeer', name: 'm', uid: 'u' }];

function view({
  members = [],
  nodes = [],
  tokens = NO_TOKENS,
  ledger = EMPTY_LEDGER,
}: {
  readonly members?: readonly EvioNode[];
  readonly nodes?: readonly Node[];
  readonly tokens?: TokenBook;
  readonly ledger?: typeof EMPTY_LEDGER;
}): RegisterView {
  const byName = <T extends Node | EvioNode>(list: readonly T[]) =>
    new Map(list.map((o): [string, T] => [o.metadata.name, o]));
  return { members: byName(members), nodes: byName(nodes), authority: { tokens, ledger } };
}

describe('the register of a cluster', () => {
  it('knows a machine by its keys, and gives the name of a node that DaemonSets run to nobody', () => {
    const found = registered(view({ members: [aMember('m', 1, { spec: { machine } })] }), 'm', ID);
    expect(found).to.deep.equal({ id: ID, serial: 0, state: 'enrolled' });
    for (const members of [[aMember('m', 1)], [aMember('long', 1, { spec: { memberName: 'm' } })]])
      expect(registered(view({ members }), 'm', ID)).to.deep.include({ id: '', state: 'enrolled' });
  });

  it('keeps the name of a Node that has no EvioNode yet, unless that says it runs the host package', () => {
    expect(registered(view({ nodes: [aNode('m')] }), 'm', ID)).to.deep.include({ id: '', state: 'enrolled' });
    expect(registered(view({ nodes: [aNode('m', HOST)] }), 'm', ID)).to.equal(undefined);
    const both = view({ nodes: [aNode('m', HOST)], members: [aMember('m', 1)] });
    expect(registered(both, 'm', ID)).to.equal(undefined);
    const former = aMember('m', 1, { spec: { enrolment: { serial: '7' } as never } });
    expect(registered(view({ nodes: [aNode('m', HOST)], members: [former] }), 'm', ID)?.state).to.equal('enrolled');
  });

  it('has the place of an EvioPeer for who comes by its own token, as long as no machine has it', () => {
    const waiting = aMember('m', 1, { meta: { ownerReferences: peerOwner } });
    expect(registered(view({ members: [waiting] }), 'm', ID, 'm')).to.equal(undefined);
    for (const token of [undefined, 'other'])
      expect(registered(view({ members: [waiting] }), 'm', ID, token)?.state, token).to.equal('enrolled');
    const had = aMember('m', 1, { spec: { machine }, meta: { ownerReferences: peerOwner } });
    expect(registered(view({ members: [had] }), 'm', 'another', 'm')).to.deep.include({ id: ID, state: 'enrolled' });
    // A token of an EvioPeer opens no place of a Node.
    const node = view({ nodes: [aNode('m', HOST)], members: [aMember('m', 1)] });
    expect(registered(node, 'm', ID, 'm')?.state).to.equal('enrolled');
  });

  it('tells who else has the keys of a machine: a member, one that was enrolled, one that is about to join', () => {
    const members = [aMember('m', 1, { spec: { machine } }), aMember('n', 2)];
    expect(otherWith(view({ members }), ID, 'm')).to.equal(undefined);
    expect(otherWith(view({ members }), ID, 'second')).to.equal('m');
    expect(otherWith(view({ members }), '00'.repeat(16), 'second')).to.equal(undefined);
    const issued = { n: { uid: 'u', id: ID, serial: 1, notAfter: 9, account: 'n.x', sealed: '' } };
    expect(otherWith(view({ ledger: { ...EMPTY_LEDGER, issued } }), ID, 'second')).to.equal('n');
    expect(otherWith(view({ ledger: { ...EMPTY_LEDGER, issued } }), ID, 'n')).to.equal(undefined);
    const claim = { node: ID, name: 'm', serial: 0, certificate: '', at: 1 };
    const tokens = { ...NO_TOKENS, tokens: [{ id: 't', hash: 'h', created: 1, expires: 2, uses: 1, claims: [claim] }] };
    expect(otherWith(view({ tokens }), ID, 'second')).to.equal('m');
    expect(otherWith(view({ tokens }), ID, 'm')).to.equal(undefined);
  });

  it('remembers who was revoked, and whose join was not finished', () => {
    const ledger = { ...EMPTY_LEDGER, revoked: [{ id: ID, serial: 4, notAfter: 9 }] };
    expect(registered(view({ ledger }), 'm', ID)).to.deep.equal({ id: ID, serial: 4, state: 'revoked' });
    expect(registered(view({ ledger }), 'm', 'another')).to.equal(undefined);
    const claim = { node: ID, name: 'm', serial: 0, certificate: '', at: 1 };
    const token = { id: 't', hash: 'h', created: 1, expires: 2, uses: 1, claims: [claim] };
    const tokens = { ...NO_TOKENS, tokens: [token] };
    expect(registered(view({ tokens }), 'm', ID)?.state).to.equal('pending');
    expect(registered(view({ tokens }), 'm', 'another')).to.equal(undefined);
    const done = { ...NO_TOKENS, tokens: [{ ...token, claims: [{ ...claim, serial: 3 }] }] };
    expect(registered(view({ tokens: done }), 'm', ID)).to.equal(undefined);
  });
});
