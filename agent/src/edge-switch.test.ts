import { expect } from 'chai';
import { EdgeSwitch } from './edge-switch.ts';
import type { ControllerAction, SwitchMember } from './sdn/index.ts';
import type { Message } from './sdn/openflow/index.ts';
import { labelOf } from './wire/ids.ts';

const B = `${'02'.repeat(8)}${'00'.repeat(8)}`;
const C = `${'03'.repeat(8)}${'00'.repeat(8)}`;

function member(n: number, label: bigint): SwitchMember {
  const mac = `02:45:0a:00:00:0${n}`;
  return { label, mac, macs: [{ mac, mask: 'ff:ff:ff:ff:ff:ff' }], addresses: [{ address: `10.0.0.${n}` }] };
}

const self = member(1, 1n);
const picture = {
  self,
  members: [member(2, labelOf(B)), member(3, labelOf(C))],
  hops: new Map([
    [labelOf(B), [labelOf(B), labelOf(C)]],
    [labelOf(C), [labelOf(C), labelOf(B)]],
  ]),
  drained: [],
};

/** A bridge whose controller has read it: it was empty. */
function connected(): EdgeSwitch {
  const edge = new EdgeSwitch(1n);
  edge.handle({ kind: 'connected' }, 0);
  const hello: Message = { type: 'hello', xid: 1, versions: [4] };
  let sent = edge.handle({ kind: 'message', message: hello }, 0);
  while (sent.length > 0) sent = sent.flatMap((action) => reply(edge, action));
  return edge;
}

function reply(edge: EdgeSwitch, action: ControllerAction): readonly ControllerAction[] {
  if (action.kind !== 'send' || action.message.type !== 'multipart-request') return [];
  const { xid, body } = action.message;
  const empty: Message =
    body.of === 'flows'
      ? { type: 'multipart-reply', xid, more: false, body: { of: 'flows', flows: [] } }
      : { type: 'multipart-reply', xid, more: false, body: { of: 'groups', groups: [] } };
  return edge.handle({ kind: 'message', message: empty }, 0);
}

const mods = (actions: readonly ControllerAction[], type: 'flow-mod' | 'group-mod'): number =>
  actions.filter((action) => action.kind === 'send' && action.message.type === type).length;

describe('Open vSwitch at the edge', () => {
  it('has a port for each tap, under the number of its tunnel', () => {
    const edge = new EdgeSwitch(1n);
    expect(edge.setTap(C, { name: 'evio0-03', number: 17 })).to.equal(true);
    expect(edge.setTap(B, { name: 'evio0-02', number: 16 })).to.equal(true);
    expect(edge.setTap(B, { name: 'evio0-02', number: 16 })).to.equal(false);
    expect(edge.taps).to.deep.equal([
      { name: 'evio0-02', number: 16 },
      { name: 'evio0-03', number: 17 },
    ]);
    expect(edge.setTap(B, undefined)).to.equal(true);
    expect(edge.taps.map(({ name }) => name)).to.deep.equal(['evio0-03']);
  });

  it('leaves the flows of an earlier agent alone until the port of every tunnel is known', () => {
    const edge = connected();
    expect(edge.draw(picture, true, 1)).to.deep.equal([]);
    edge.setTap(B, { name: 'evio0-02', number: 16 });
    edge.setTap(C, { name: 'evio0-03', number: 17 });
    edge.usePorts({ taps: new Map([['evio0-02', 16]]), others: new Map() });
    expect(edge.draw(picture, true, 2)).to.deep.equal([]);
    edge.usePorts({
      taps: new Map([
        ['evio0-02', 16],
        ['evio0-03', 17],
      ]),
      others: new Map(),
    });
    const drawn = edge.draw(picture, true, 3);
    expect(mods(drawn, 'flow-mod')).to.be.greaterThan(0);
    expect(mods(drawn, 'group-mod')).to.be.greaterThan(0);
  });

  it('goes on with the others when one of the ports is lost later', () => {
    const edge = connected();
    edge.setTap(B, { name: 'evio0-02', number: 16 });
    edge.usePorts({ taps: new Map([['evio0-02', 16]]), others: new Map([['pod', 40]]) });
    edge.draw(picture, true, 1);
    edge.setTap(C, { name: 'evio0-03', number: 17 });
    const { controller } = edge;
    const before = controller.flows;
    edge.usePorts({ taps: new Map(), others: new Map() });
    edge.draw(picture, true, 2);
    // The pod's flow is gone, and whatever led by the tap leads nowhere.
    expect(controller.flows).to.equal(before - 1);
  });
});
