import { expect } from 'chai';
import { conflist, takenInstead } from './conflist.ts';
import type { PodSettings } from './enrolment.ts';
import { NOT_READY_TAINT, untaint } from './taint.ts';

const PODS: PodSettings = {
  attachment: 'Routed',
  subnets: ['10.244.3.0/24', 'fd00:10:244:3::/64'],
  podCIDRs: ['10.244.0.0/16', 'fd00:10:244::/48'],
  gateways: ['10.45.0.4', 'fd45::4'],
  mtu: 1400,
};

describe('the CNI configuration', () => {
  it('for routed pods', () => {
    expect(JSON.parse(conflist(PODS, 'evio0', '/var/lib/cni/evio', ['portmap', 'bandwidth']))).to.deep.equal({
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
    const [own] = JSON.parse(conflist({ ...PODS, attachment: 'Flat' }, 'evio0', '/d', [])).plugins;
    expect(own).to.include({ attachment: 'flat' });
    expect(own.podCIDRs).to.deep.equal(PODS.podCIDRs);
  });

  it('chains only what is installed', () => {
    const { plugins } = JSON.parse(conflist(PODS, 'evio0', '/d', ['bandwidth']));
    expect(plugins.map((plugin: { type: string }) => plugin.type)).to.deep.equal(['evio-cni', 'bandwidth']);
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
