import { expect } from 'chai';
import { ASSUMED, chain, conflist, type Installed, takenInstead } from './conflist.ts';
import type { PodSettings } from './enrolment.ts';
import { NOT_READY_TAINT, untaint } from './taint.ts';

const PODS: PodSettings = {
  attachment: 'Routed',
  subnets: ['10.244.3.0/24', 'fd00:10:244:3::/64'],
  podCIDRs: ['10.244.0.0/16', 'fd00:10:244::/48'],
  gateways: ['10.45.0.4', 'fd45::4'],
  mtu: 1400,
};

const NEW = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
/** As Debian 12 and 13 have them: 1.1.1. */
const OLD = NEW.slice(0, -1);
const NONE: Installed = new Map();

describe('the CNI configuration', () => {
  it('for routed pods', () => {
    expect(
      JSON.parse(
        conflist(
          PODS,
          'evio0',
          '/var/lib/cni/evio',
          new Map([
            ['portmap', NEW],
            ['bandwidth', NEW],
          ]),
        ),
      ),
    ).to.deep.equal({
      cniVersion: '1.0.0',
      cniVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
      name: 'evio',
      plugins: [
        {
          type: 'evio-cni',
          attachment: 'routed',
          bridge: 'evio0',
          mtu: 1400,
          subnets: PODS.subnets,
          gateways: PODS.gateways,
          dataDir: '/var/lib/cni/evio',
        },
        { type: 'portmap', capabilities: { portMappings: true } },
        { type: 'bandwidth', capabilities: { bandwidth: true } },
      ],
    });
  });

  it('for flat pods says what is on the link', () => {
    const [own] = JSON.parse(conflist({ ...PODS, attachment: 'Flat' }, 'evio0', '/d', NONE)).plugins;
    expect(own).to.include({ attachment: 'flat' });
    expect(own.podCIDRs).to.deep.equal(PODS.podCIDRs);
  });

  it('chains only what is installed', () => {
    const { plugins } = JSON.parse(conflist(PODS, 'evio0', '/d', new Map([['bandwidth', OLD]])));
    expect(plugins.map((plugin: { type: string }) => plugin.type)).to.deep.equal(['evio-cni', 'bandwidth']);
  });

  for (const [what, installed, chained, newest, list] of [
    ['none, all of its own', {}, [], '1.0.0', ['0.3.1', '0.4.0', '1.0.0', '1.1.0']],
    ['one that lacks 1.1.0, no 1.1.0', { portmap: NEW, bandwidth: OLD }, ['portmap', 'bandwidth'], '1.0.0', ASSUMED],
    ['one that lacks 1.0.0, neither', { portmap: ['0.3.1', '0.4.0'] }, ['portmap'], '0.4.0', ['0.3.1', '0.4.0']],
    ['one of another time, without it', { portmap: ['2.0.0'], bandwidth: OLD }, ['bandwidth'], '1.0.0', ASSUMED],
    [
      'one that speaks none that old runtimes do, without it',
      { portmap: ['1.1.0'] },
      [],
      '1.0.0',
      [...ASSUMED, '1.1.0'],
    ],
    [
      'two with nothing in common, the first',
      { portmap: ['1.0.0'], bandwidth: ['0.4.0'] },
      ['portmap'],
      '1.0.0',
      ['1.0.0'],
    ],
  ] as const)
    it(`names the versions that all plugins of it speak: with ${what}`, () => {
      const there = new Map(Object.entries(installed)) as Installed;
      expect(chain(there)).to.deep.equal({ chained, versions: list });
      expect(JSON.parse(conflist(PODS, 'evio0', '/d', there))).to.deep.include({
        cniVersion: newest,
        cniVersions: list,
      });
    });

  it('knows which other one a runtime would take', () => {
    expect(takenInstead(['10-evio.conflist', '20-other.conflist', '05-note.txt'])).to.equal(undefined);
    expect(takenInstead(['10-calico.conflist', '05-cilium.conf'])).to.equal('05-cilium.conf');
  });
});

describe('the taint of a node whose data path is not proven', () => {
  const ours = { key: NOT_READY_TAINT, effect: 'NoExecute' };
  const other = { key: 'other', effect: 'NoSchedule' };

  it('is taken off where it stands, and nothing else', () => {
    expect(untaint({ spec: { taints: [other, ours] } })).to.deep.equal([
      { op: 'test', path: '/spec/taints/1', value: ours },
      { op: 'remove', path: '/spec/taints/1' },
    ]);
  });

  it('with two effects is taken off from the end', () => {
    const second = { ...ours, effect: 'NoSchedule' };
    const paths = untaint({ spec: { taints: [ours, other, second] } })?.map(({ op, path }) => `${op} ${path}`);
    expect(paths).to.deep.equal([
      'test /spec/taints/2',
      'remove /spec/taints/2',
      'test /spec/taints/0',
      'remove /spec/taints/0',
    ]);
  });

  it('that is not there needs nothing', () => {
    for (const node of [{ spec: { taints: [other] } }, { spec: {} }, {}, undefined])
      expect(untaint(node)).to.equal(undefined);
  });
});
