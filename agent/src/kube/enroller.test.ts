import { expect } from 'chai';
import type { EvioNode } from '../../../crds/src/evio-node.ts';
import type { Credentials } from '../wire/sealed-credentials.ts';
import { Enroller, type EnrollerAction, type Stored } from './enroller.ts';
import { type OwnKeys, publicKeys } from './enrolment.ts';
import { type Membership, TestOperator } from './operator.testing.ts';

const OWN: OwnKeys = { identity: Buffer.alloc(32, 5), session: Buffer.alloc(32, 6) };
const CREDENTIALS: Credentials = {
  service: 'xmpps://192.0.2.1:5223',
  domain: 'evio.internal',
  username: 'n.default',
  password: 'very secret',
  room: 'default@rooms.evio.internal',
  stun: ['192.0.2.1:3478'],
};
const PLACE = {
  runDir: '/run/evio/default',
  stateDir: '/var/lib/evio/default',
  logLevel: 'info',
  switch: 'tincan',
} as const;
const MEMBER: Membership = { name: 'n', serial: 7, keys: publicKeys(OWN), credentials: CREDENTIALS };

const operator = new TestOperator();
const enroller = (stored?: Stored, pinned?: string) =>
  new Enroller({ own: OWN, place: PLACE, pinned, pinFile: '/state/authority.pub', stored });
const kinds = (actions: readonly EnrollerAction[]) => actions.map((action) => action.kind);
const message = (one: Enroller) => (one.standing.kind === 'enrolled' ? '' : one.standing.message);

describe('enrolment in a cluster', () => {
  it('is awaited until the operator has answered the keys', () => {
    const one = enroller();
    expect(one.handle(undefined)).to.deep.equal([]);
    expect(message(one)).to.match(/has not made the EvioNode/);
    const { enrolment: _, ...spec } = operator.spec(MEMBER);
    expect(one.handle({ ...operator.node(MEMBER), spec })).to.deep.equal([]);
    expect(one.standing.kind).to.equal('awaiting');
    const former = { ...MEMBER, keys: publicKeys({ ...OWN, session: Buffer.alloc(32, 9) }) };
    expect(one.handle(operator.node(former))).to.deep.equal([]);
    expect(message(one)).to.match(/former keys/);
  });

  it('pins the authority, is stored, and only then run', () => {
    const one = enroller();
    const actions = one.handle(operator.node(MEMBER));
    expect(kinds(actions)).to.deep.equal(['pin', 'store', 'run']);
    expect(one.standing).to.deep.equal({ kind: 'enrolled', serial: '7' });
    const stored = actions[1] as Extract<EnrollerAction, { kind: 'store' }>;
    const file = JSON.parse(stored.enrolled.file);
    expect(file.signalling.password).to.equal('very secret');
    expect([file.name, file.runDir, file.stateDir]).to.deep.equal(['n', PLACE.runDir, PLACE.stateDir]);
    expect(stored.enrolled.pods).to.deep.equal({
      attachment: 'Routed',
      subnets: ['10.244.3.0/24'],
      podCIDRs: [],
      gateways: ['10.45.0.3'],
      mtu: 1400,
    });
    // Shown again, as after a lost watch.
    expect(one.handle(operator.node(MEMBER)).filter(({ kind }) => kind === 'pin')).to.deep.equal([]);
  });

  it('leaves the addresses of Services to kube-proxy: no routes, and no pods of them', () => {
    const one = enroller();
    const credentials = { ...CREDENTIALS, excludeRoutes: ['10.244.0.0/16'] };
    const actions = one.handle(operator.node({ ...MEMBER, credentials }));
    const { enrolled } = actions[1] as Extract<EnrollerAction, { kind: 'store' }>;
    expect(JSON.parse(enrolled.file).network).to.deep.equal({ excludeRoutes: ['10.244.0.0/16'] });
    expect(enrolled.pods).to.equal(undefined);
  });

  it('that is stored already changes nothing, also when it is sealed anew', () => {
    const first = enroller();
    first.handle(operator.node(MEMBER));
    const again = enroller(first.stored, operator.parameters.authorityKey.toString('base64'));
    expect(again.standing.kind).to.equal('enrolled');
    const node = operator.node(MEMBER);
    // A certificate is made from the time; the same one is shown.
    const shown: EvioNode = {
      ...node,
      spec: {
        ...node.spec,
        enrolment: {
          ...(node.spec.enrolment as NonNullable<EvioNode['spec']['enrolment']>),
          certificate: JSON.parse(first.stored?.file ?? '').identity.certificate,
        },
      },
    };
    expect(again.handle(shown)).to.deep.equal([]);
  });

  it('renewed makes the node run with it', () => {
    const one = enroller();
    one.handle(operator.node(MEMBER));
    expect(kinds(one.handle(operator.node({ ...MEMBER, serial: 8 })))).to.deep.equal(['store', 'run']);
    expect(one.standing).to.deep.equal({ kind: 'enrolled', serial: '8' });
  });

  it('with another list of revoked nodes hands the list on, and the node stays in the room', () => {
    const one = enroller();
    const node = operator.node(MEMBER);
    one.handle(node);
    const { revocations } =
      operator.spec({ ...MEMBER, revoked: [{ nodeId: 'ab'.repeat(16), serial: 3n }] }).enrolment ?? {};
    const enrolment = { ...(node.spec.enrolment as NonNullable<EvioNode['spec']['enrolment']>), revocations };
    const actions = one.handle({ ...node, spec: { ...node.spec, enrolment } });
    expect(kinds(actions)).to.deep.equal(['store', 'revoke']);
    expect(actions[1]).to.deep.equal({ kind: 'revoke', list: revocations });
  });

  it('with another attachment of pods changes what pods get, and the node stays in the room', () => {
    const one = enroller();
    const podCIDRs = ['10.244.0.0/16'];
    const cni = { attachment: 'Flat', podCIDRs } as const;
    const node = operator.node({ ...MEMBER, credentials: { ...CREDENTIALS, cni: { attachment: 'Routed', podCIDRs } } });
    one.handle(node);
    expect(JSON.parse(one.stored?.file ?? '').pods).to.deep.equal({ overlayCIDRs: podCIDRs });
    const { credentials } = operator.spec({ ...MEMBER, credentials: { ...CREDENTIALS, cni } }).enrolment ?? {};
    const enrolment = { ...node.spec.enrolment, credentials } as NonNullable<EvioNode['spec']['enrolment']>;
    expect(kinds(one.handle({ ...node, spec: { ...node.spec, enrolment } }))).to.deep.equal(['store', 'pods']);
    expect(one.stored?.pods?.attachment).to.equal('Flat');
  });

  it('without a piece of the pod CIDRs leaves pods to another network', () => {
    const one = enroller();
    one.handle(operator.node({ ...MEMBER, podCIDRs: [] }));
    expect(one.stored?.pods).to.equal(undefined);
  });

  it('of another authority is refused, with how to accept it, and the node goes on with what it has', () => {
    const one = enroller();
    one.handle(operator.node(MEMBER));
    const { stored } = one;
    expect(one.handle(new TestOperator(2).node({ ...MEMBER, serial: 9 }))).to.deep.equal([]);
    expect(one.standing.kind).to.equal('refused');
    expect(message(one)).to.match(/another authority .* remove \/state\/authority\.pub on this node/);
    expect(one.stored).to.equal(stored);
    // The right one comes back.
    expect(kinds(one.handle(operator.node({ ...MEMBER, serial: 10 })))).to.deep.equal(['store', 'run']);
  });

  const broken: readonly (readonly [string, (node: EvioNode) => unknown, RegExp])[] = [
    [
      'an unsigned certificate',
      (n) => ({ ...n.spec.enrolment, certificate: flip(n.spec.enrolment?.certificate) }),
      /certificate/,
    ],
    ['parameters that are none', (n) => ({ ...n.spec.enrolment, overlayParameters: 'AAAA' }), /overlay.parameters/],
    [
      'credentials for another node',
      (n) => ({ ...n.spec.enrolment, credentials: flip(n.spec.enrolment?.credentials) }),
      /another node/,
    ],
    ["a serial that is not the certificate's", (n) => ({ ...n.spec.enrolment, serial: '99' }), /has serial 7, not 99/],
    [
      'a service that is none',
      () => operator.spec({ ...MEMBER, credentials: { ...CREDENTIALS, service: 'http://192.0.2.1' } }).enrolment,
      /signalling\.service/,
    ],
  ];
  for (const [name, change, words] of broken)
    it(`with ${name} is refused in one line without a secret, and nothing is stored`, () => {
      const one = enroller();
      const node = operator.node(MEMBER);
      const enrolment = change(node) as EvioNode['spec']['enrolment'];
      expect(one.handle({ ...node, spec: { ...node.spec, enrolment } })).to.deep.equal([]);
      expect(message(one)).to.match(words);
      expect(message(one)).to.not.match(/very secret|\n/);
      expect(one.stored).to.equal(undefined);
    });
});

/** One bit in the middle. */
function flip(base64 = ''): string {
  const bytes = Buffer.from(base64, 'base64');
  const at = bytes.length - 8;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64');
}
