import { expect } from 'chai';
import type { DaemonSet } from '../../../agent/src/kube-api/kinds.ts';
import { readSettings } from '../settings.ts';
import { withFormer } from './place.ts';
import { aNetwork } from './testing.ts';
import { agent, apiServersIn, cleanup, dataplane } from './workloads.ts';

const SETTINGS = readSettings(
  { EVIO_CNI_BIN_DIR: '/opt/k3s/cni', EVIO_AGENT_IMAGE: 'r/agent:1', EVIO_DATAPLANE_IMAGE: 'r/dataplane:1' },
  '1',
);
const { spec } = aNetwork({ nodeSelector: { zone: 'edge' }, agent: { logLevel: 'debug' } });
const URLS = ['https://203.0.113.6:6443'];
const all = {
  agent: agent(spec, URLS, SETTINGS),
  dataplane: dataplane(spec, SETTINGS),
  cleanup: cleanup(spec, SETTINGS),
};

describe('the DaemonSets', () => {
  it('are on the nodes of the network that have no package of the host, whatever taints those have', () => {
    for (const set of Object.values(all)) {
      const pod = set.spec?.template?.spec;
      expect(pod?.nodeSelector).to.deep.equal({ 'kubernetes.io/os': 'linux', zone: 'edge' });
      expect(JSON.stringify(pod?.affinity)).to.contain(
        '"key":"evio.io/host-package","operator":"NotIn","values":["true"]',
      );
      expect(pod?.tolerations).to.deep.equal([{ operator: 'Exists' }]);
      expect([pod?.hostNetwork, pod?.priorityClassName]).to.deep.equal([true, 'system-node-critical']);
    }
  });

  it('have no right that they do not need', () => {
    const added = (set: (typeof all)['agent']): readonly (readonly string[] | undefined)[] =>
      (set.spec?.template?.spec?.containers ?? []).map(({ securityContext }) => {
        expect([securityContext?.privileged, securityContext?.allowPrivilegeEscalation]).to.deep.equal([
          undefined,
          false,
        ]);
        expect(securityContext?.capabilities?.drop).to.deep.equal(['ALL']);
        return securityContext?.capabilities?.add;
      });
    expect(added(all.agent)).to.deep.equal([undefined]);
    expect(added(all.dataplane)).to.deep.equal([['NET_ADMIN']]);
    expect(all.dataplane.spec?.template?.spec?.automountServiceAccountToken).to.equal(false);
  });

  it('start no pod on a node that is being cleaned, and leave no cleaned node waiting for a process that hears no signal', () => {
    const { initContainers: steps = [], containers } = all.cleanup.spec?.template?.spec ?? {};
    expect(steps.map(({ name }) => name)).to.deep.equal(['links', 'files']);
    const [links, files] = steps;
    const mounted = (path: string) =>
      [links, files].map((step) => step?.volumeMounts?.some((m) => m.mountPath === path));
    expect(links?.command?.[2]?.split('\n')[0]).to.equal('rm -f /host/etc/cni/net.d/10-evio.conflist');
    expect(mounted('/host/etc/cni/net.d')).to.deep.equal([true, true]);
    expect(steps.map((step) => step.securityContext?.capabilities?.add)).to.deep.equal([
      ['NET_ADMIN'],
      ['DAC_OVERRIDE'],
    ]);
    expect(containers?.[0]?.command?.[2]).to.match(/^trap "exit 0" TERM; /);
  });

  it('leave tincan alone when something else is upgraded', () => {
    expect([all.dataplane.spec?.updateStrategy?.type, all.agent.spec?.updateStrategy?.type]).to.deep.equal([
      'OnDelete',
      'RollingUpdate',
    ]);
    const other = dataplane(
      aNetwork({ mtu: 1300, agent: { logLevel: 'warn' }, nodeSelector: { zone: 'edge' } }).spec,
      SETTINGS,
    );
    expect(other).to.deep.equal(all.dataplane);
  });

  it("put the node's own directories where the agent looks for them", () => {
    const pod = all.agent.spec?.template?.spec;
    const paths = new Map(pod?.volumes?.map((v) => [v.name, v.hostPath?.path]));
    expect(paths.get('cni-bin')).to.equal('/opt/k3s/cni');
    const env = new Map(pod?.containers?.[0]?.env?.map((e) => [e.name, e.value]));
    const mounted = new Map(pod?.containers?.[0]?.volumeMounts?.map((m) => [m.name, m.mountPath]));
    expect(env.get('EVIO_CNI_BIN_DIR')).to.equal(mounted.get('cni-bin'));
    expect(env.get('EVIO_LOG_LEVEL')).to.equal('debug');
  });

  it('have the metrics of agents at a port where one is set, under the name by which Prometheus finds it, and logs as JSON where that is wanted', () => {
    const containerOf = (settings: typeof SETTINGS) =>
      agent(aNetwork().spec, [], settings).spec?.template?.spec?.containers?.[0];
    expect(containerOf(SETTINGS)).not.to.have.property('ports');
    const open = containerOf({ ...SETTINGS, agentMetricsPort: 10455 });
    expect(open?.ports).to.deep.equal([{ name: 'metrics', containerPort: 10455 }]);
    expect(open?.env).to.deep.include({ name: 'EVIO_METRICS_PORT', value: '10455' });
    const json = containerOf({ ...SETTINGS, logFormat: 'json' });
    expect(json?.env).to.deep.include({ name: 'EVIO_LOG_FORMAT', value: 'json' });
  });

  it('tell the agents of API servers once, and are not changed because one is down', () => {
    const told = apiServersIn(all.agent as DaemonSet);
    expect(told).to.deep.equal(URLS);
    expect(apiServersIn(undefined)).to.deep.equal([]);
    expect(withFormer(['https://b'], ['https://a', 'https://b'])).to.deep.equal(['https://a', 'https://b']);
    expect(withFormer(['https://c'], ['https://a'])).to.deep.equal(['https://a', 'https://c']);
  });
});
