import { expect } from 'chai';
import type { Outcome, Station } from './machine.ts';
import type { Counted, Hop, KernelCounts } from './types.ts';
import { judge, type Scene, type Verdict } from './verdict.ts';

const NAMES: Readonly<Record<string, string>> = { a: 'alpha', m: 'middle', z: 'zeta', o: 'other' };
const to = (peer: string, path: Hop['path'] = 'direct'): Hop => ({ peer, path, relayed: false });

function counted(counts: Readonly<Record<string, number>>, leftBy: Hop | null = null): Counted {
  return { counts, cameBy: null, leftBy };
}

interface Said {
  readonly there?: Counted;
  readonly back?: Counted;
  readonly kernel?: KernelCounts;
  readonly refused?: Station['refused'];
  readonly silent?: true;
}

function verdict(
  said: Readonly<Record<string, Said>>,
  more: Partial<Scene> & { readonly unsendable?: string } = {},
): Verdict {
  const stations = Object.entries(said).map(
    ([id, { there = counted({}), back = counted({}), kernel = null, refused, silent }]): Station => ({
      id,
      next: null,
      told: silent === true || refused !== undefined ? undefined : { there, back, kernel },
      refused,
    }),
  );
  const outcome: Outcome = { stations, frames: 3, unsendable: more.unsendable };
  const nameOf = (id: string) => NAMES[id] ?? id;
  return judge(outcome, { self: 'a', destination: 'z', nameOf, ovs: false, target: 'node', ...more });
}

const link = (sent: number, received: number) => ({ name: 'veth7', sent, received, dropped: 0 });
const SENT: Said = { there: counted({ read: 3, sent: 3 }, to('z')) };
const ARRIVED = { arrived: 3, delivered: 3 };

describe('the verdict of a trace', () => {
  it('is that they arrived, once one answer came back, whoever was silent', () => {
    const back = counted({ arrived: 2, delivered: 2 });
    expect(verdict({ a: { ...SENT, back }, z: { silent: true } })).to.deep.equal({
      arrived: true,
      returned: 2,
      lost: null,
    });
  });

  const cases: readonly (readonly [what: string, of: Verdict, at: string, before: string | null, text: RegExp])[] = [
    ['our own tincan does not answer', verdict({ a: { refused: 'away' }, z: {} }), 'a', null, /tincan does not answer/],
    ['our own tincan is old', verdict({ a: { refused: 'old' }, z: {} }), 'a', null, /older than traces/],
    [
      'the switch is away',
      verdict({ a: {}, z: {} }, { unsendable: "tincan's switch: nothing answers" }),
      'a',
      null,
      /nothing answers/,
    ],
    ['Open vSwitch lets none through', verdict({ a: {}, z: {} }, { ovs: true }), 'a', null, /Open vSwitch of alpha/],
    [
      'a flow drops them',
      verdict({ a: { there: counted({ read: 3, switchPolicy: 3 }) }, z: {} }),
      'a',
      null,
      /alpha had the frames and dropped them: a flow/,
    ],
    [
      'there is no path',
      verdict({ a: { there: counted({ read: 3, noPath: 3 }) }, z: { silent: true } }),
      'a',
      null,
      /no path to it now/,
    ],
    [
      'a firewall lies between',
      verdict({ a: SENT, z: {} }),
      'a',
      'z',
      /left alpha by the direct path and did not arrive at zeta/,
    ],
    [
      'a member between passes nothing on, and is counted there',
      verdict({
        a: { there: counted({ read: 3, sent: 3 }, to('m')) },
        m: { there: counted({ noRoute: 3 }) },
        z: {},
      }),
      'm',
      null,
      /middle had the frames and dropped them: no tunnel leads on/,
    ],
    [
      'they never reach the member between',
      verdict({ a: { there: counted({ read: 3, sent: 3 }, to('m')) }, m: {}, z: {} }),
      'a',
      'm',
      /did not arrive at middle/,
    ],
    [
      'the member between sent them and they did not arrive',
      verdict({
        a: { there: counted({ read: 3, sent: 3 }, to('m')) },
        m: { there: counted({ forwarded: 3 }, to('z', 'webrtc')) },
        z: {},
      }),
      'm',
      'z',
      /left middle by the WebRTC path and did not arrive at zeta/,
    ],
    [
      'the member between is too old to tell',
      verdict({ a: { there: counted({ read: 3, sent: 3 }, to('m')) }, m: { silent: true }, z: {} }),
      'a',
      'm',
      /lost behind alpha: at middle, which does not answer .* or between it and zeta/,
    ],
    [
      'the destination refuses the source address',
      verdict({ a: SENT, z: { there: counted({ arrived: 3, sourceAddressRefused: 3 }) } }),
      'z',
      null,
      /zeta had the frames and dropped them: their source address/,
    ],
    [
      'the firewall of the destination drops them before its ICMP',
      verdict({ a: SENT, z: { there: counted(ARRIVED), kernel: { echoIn: 0, replyOut: 0, link: null } } }),
      'z',
      null,
      /its kernel did not take them: a firewall of zeta/,
    ],
    [
      'the destination does not answer echo requests',
      verdict({ a: SENT, z: { there: counted(ARRIVED), kernel: { echoIn: 3, replyOut: 0, link: null } } }),
      'z',
      null,
      /does not answer echo requests/,
    ],
    [
      'the pod does not answer',
      verdict(
        { a: SENT, z: { there: counted(ARRIVED), kernel: { echoIn: 0, replyOut: 0, link: null } } },
        { target: 'pod' },
      ),
      'z',
      null,
      /no answer of the pod/,
    ],
    [
      "nothing goes on to the pod's link",
      verdict(
        { a: SENT, z: { there: counted(ARRIVED), kernel: { echoIn: 0, replyOut: 0, link: link(0, 0) } } },
        { target: 'pod' },
      ),
      'z',
      null,
      /its kernel handed none on to veth7, the pod's link/,
    ],
    [
      'the pod had them and is silent',
      verdict(
        { a: SENT, z: { there: counted(ARRIVED), kernel: { echoIn: 0, replyOut: 0, link: link(3, 0) } } },
        { target: 'pod' },
      ),
      'z',
      null,
      /no answer of the pod came back \(its link veth7: 3 to it, 0 from it/,
    ],
    [
      'the destination is silent and nothing came back',
      verdict({ a: SENT, z: { silent: true } }),
      'a',
      'z',
      /nothing came back, and zeta does not answer \(its agent is away, or older than traces\)/,
    ],
  ];
  for (const [what, { arrived, lost }, at, before, text] of cases)
    it(`names the station when ${what}`, () => {
      expect(arrived).to.equal(false);
      expect(lost).to.include({ at, before });
      expect(lost?.text).to.match(text);
      expect(lost?.fix).to.match(/\S/);
    });

  it('follows the answers back the same way', () => {
    const there = { there: counted(ARRIVED) };
    const kernel = { echoIn: 3, replyOut: 3, link: null };
    const replied = counted({ read: 3, sent: 3 }, to('m'));
    const lost = verdict({
      a: { there: counted({ read: 3, sent: 3 }, to('m')) },
      m: { there: counted({ forwarded: 3 }, to('z')), back: counted({ forwarded: 3 }, to('a')) },
      z: { ...there, back: replied, kernel },
    }).lost;
    expect(lost).to.include({ at: 'm', before: 'a', direction: 'back' });
    expect(lost?.text).to.match(/answers left middle .* did not arrive at alpha/);
  });

  it('names the node by which the answers went where that is another one', () => {
    const lost = verdict({
      a: { there: counted({ read: 3, sent: 3 }, to('m')) },
      m: { there: counted({ forwarded: 3 }, to('z')) },
      z: {
        there: counted(ARRIVED),
        back: counted({ read: 3, sent: 3 }, to('o')),
        kernel: { echoIn: 3, replyOut: 3, link: null },
      },
    }).lost;
    expect(lost).to.include({ at: 'z', before: 'o', direction: 'back' });
    expect(lost?.text).to.match(/left zeta by the direct path to other, which was not asked/);
  });
});
