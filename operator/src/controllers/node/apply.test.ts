import { expect } from 'chai';
import { NO_TOKENS } from '../../../../agent/src/join/tokens.ts';
import { ApiFailure, type Client, type Reason } from '../../../../agent/src/kube-api/client.ts';
import { EVIO_NODE, type EvioNode, type EvioPeer } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { NODE } from '../../../../agent/src/kube-api/kinds.ts';
import { type Kind, type KubeObject, resourceOf } from '../../../../agent/src/kube-api/object.ts';
import { overlayIdOf } from '../../../../agent/src/wire/ids.ts';
import { privateKey, rawPublicKey } from '../../../../agent/src/wire/keys.ts';
import { type Authority, overlayOf } from '../../desired/authority.ts';
import { type EnrolmentState, readKeys } from '../../desired/enrolment.ts';
import { EMPTY_LEDGER, type Ledger, withParameters } from '../../desired/ledger.ts';
import { parametersOf } from '../../desired/parameters.ts';
import { aMember, aNetwork, aNode, someKeys } from '../../desired/testing.ts';
import { Members } from '../../io/members.ts';
import type { World } from '../world.ts';
import { memberObject } from './allot.ts';
import { apply } from './apply.ts';
import type { NodeAction, NodeView, Removal } from './decide.ts';

const NOW = 1_800_000_000;
const KEY = privateKey('ed25519', Buffer.alloc(32, 7));
const machine = { ...someKeys('m'), joined: '2027-01-15T08:00:00Z' };
const network = aNetwork({ mode: 'HostNetwork', nodeSelector: { zone: 'edge' } });

/** Objects by kind and name, as the API server keeps them (test/contract/operator/client.test.ts shows its words for a uid). */
class Store {
  readonly objects = new Map<string, KubeObject>();
  /** What somebody else does before a write arrives. */
  meanwhile: () => void = () => undefined;

  put(kind: Kind, object: KubeObject): void {
    this.objects.set(`${resourceOf(kind)} ${object.metadata.name}`, object);
  }

  get member(): EvioNode | undefined {
    return this.objects.get(`${resourceOf(EVIO_NODE)} m`) as EvioNode | undefined;
  }

  drop(): void {
    this.objects.delete(`${resourceOf(EVIO_NODE)} m`);
  }

  client(): Client {
    const failure = (kind: Kind, key: string, status: number, reason: Reason): ApiFailure =>
      new ApiFailure(reason, { verb: 'patch', resource: resourceOf(kind), key, status, reason });
    const find = async (kind: Kind, key: string) => this.objects.get(`${resourceOf(kind)} ${key}`);
    const applied = async (kind: Kind, object: KubeObject) => {
      this.meanwhile();
      const { name, uid } = object.metadata;
      const present = await find(kind, name);
      if (present === undefined && uid !== undefined) throw failure(kind, name, 409, 'Conflict');
      if (present !== undefined && uid !== undefined && present.metadata.uid !== uid)
        throw failure(kind, name, 422, 'Invalid');
      const metadata = { ...{ uid: 'anew' }, ...present?.metadata, ...object.metadata, resourceVersion: '2' };
      const made = { ...present, ...object, metadata };
      this.put(kind, made);
      return made;
    };
    const gone = async (_: Kind, __: string, { uid }: { readonly uid?: string } = {}) => {
      if (this.member?.metadata.uid === uid) this.drop();
      return true;
    };
    return { find, apply: applied, delete: gone } as unknown as Client;
  }
}

function authorityOf(): Authority {
  const publicKey = rawPublicKey(KEY);
  const ledger = withParameters(EMPTY_LEDGER, parametersOf(network.spec), KEY, NOW);
  return { key: KEY, publicKey, overlayId: overlayIdOf(publicKey), ledger, tokens: NO_TOKENS };
}

describe('what was decided for a machine that joined by a token', () => {
  let store: Store;
  let world: World;
  let events: number;
  const present = aMember('m', 1, { spec: { machine, podCIDRs: [] } });
  const wanted = memberObject({ name: 'm', memberName: 'm', owner: undefined, machine }, present.spec, undefined);
  const view: NodeView = {
    ...{ name: 'm', network, nodes: new Map(), peers: new Map<string, EvioPeer>() },
    ...{ members: new Map([['m', present]]), authority: authorityOf(), place: undefined },
  };

  beforeEach(() => {
    store = new Store();
    store.put(EVIO_NODE, present);
    events = 0;
    let authority = authorityOf();
    const book = {
      change: async (change: (of: Authority) => Ledger) => {
        authority = { ...authority, ledger: change(authority) };
        return authority;
      },
    };
    const noted = () => {
      events++;
    };
    world = {
      ...{ client: store.client(), book, now: () => NOW, events: { event: noted }, log: { info: () => undefined } },
      members: new Members({ list: () => [present], get: () => present }),
    } as unknown as World;
  });

  const overlay = overlayOf(authorityOf());
  const place = {
    ...{ service: 'xmpps://192.0.2.1:5223', domain: 'evio.test', conference: 'conference.evio.test', ca: undefined },
    ...{ stun: [], turn: 'none', cni: undefined, excludeRoutes: [] },
  } as const;
  const state = {
    ...{ member: { name: 'm', addresses: ['10.45.0.1/16'], podCIDRs: [], services: [] }, keys: readKeys(machine) },
    ...{
      present: undefined,
      issued: undefined,
      uid: present.metadata.uid,
      overlay,
      place,
      lifetimeSeconds: 720 * 3_600,
    },
  } as unknown as EnrolmentState;
  const actions: readonly NodeAction[] = [
    { kind: 'apply', member: wanted },
    { kind: 'issue', member: wanted, state, reason: 'HalfLifeOver', admit: false },
  ];

  it('makes nothing again of one that is deleted while a write is under way, and looks again soon', async () => {
    for (const action of actions) {
      store.meanwhile = () => store.drop();
      expect(await apply(view, { actions: [action] }, world)).to.equal(1_000);
      expect(store.member, action.kind).to.equal(undefined);
      expect([events, world.members.all().get('m')]).to.deep.equal([0, present]);
      store.put(EVIO_NODE, present);
    }
  });

  it('changes no other one that has its name meanwhile', async () => {
    const another = { ...present, metadata: { ...present.metadata, uid: 'another' } };
    store.meanwhile = () => store.put(EVIO_NODE, another);
    for (const action of actions) {
      expect(await apply(view, { actions: [action] }, world)).to.equal(1_000);
      expect(store.member, action.kind).to.equal(another);
    }
  });

  it('changes one that stays', async () => {
    for (const action of actions) {
      expect(await apply(view, { actions: [action] }, world)).to.equal(undefined);
      expect(world.members.all().get('m')?.metadata.resourceVersion).to.equal('2');
    }
    expect([events, store.member?.spec.enrolment?.serial]).to.deep.equal([1, '1']);
  });

  const removes = async (reason: Removal): Promise<boolean> => {
    const { uid } = present.metadata;
    await apply(view, { actions: [{ kind: 'delete', uid, reason }] }, world);
    return store.member === undefined;
  };

  it('costs it nothing where a cache is behind: with its Node there it stays, also where nodeSelector would not choose that', async () => {
    store.put(NODE, aNode('m'));
    expect(await removes('NodeGone')).to.equal(false);
    store.put(NODE, aNode('m', { meta: { uid: 'another' } }));
    expect(await removes('NodeGone')).to.equal(true);
  });

  it('takes it away where its Node is gone, or is there and not selected', async () => {
    expect(await removes('NodeGone')).to.equal(true);
    store.put(EVIO_NODE, present);
    store.put(NODE, aNode('m', { meta: { labels: { zone: 'edge' } } }));
    expect(await removes('NotSelected')).to.equal(false);
    store.put(NODE, aNode('m'));
    expect(await removes('NotSelected')).to.equal(true);
  });
});
