/** Commands that ask a cluster, as a user calls them with a kubeconfig: `evio nodes`, `evio preflight`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { IpamReport } from '../../cli/src/ipam/check.ts';
import type { NodesReport } from '../../cli/src/nodes.ts';
import type { PreflightReport } from '../../cli/src/preflight/check.ts';
import { evio, program, scratch } from '../e2e/evio.ts';
import { pathOf, startEvioApi } from '../servers/evio-api.ts';
import type { KubeApi } from '../servers/kube-api.ts';

const NODE = (name: string, architecture: string, address: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: {
    addresses: [{ type: 'InternalIP', address }],
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '6.1.0',
      osImage: '',
      containerRuntimeVersion: '',
      kubeletVersion: '',
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture,
    },
  },
});
const KEY = Buffer.alloc(32, 9).toString('base64');

describe('commands that ask a cluster', function () {
  this.timeout(120_000);
  let api: KubeApi;
  before(async () => {
    api = await startEvioApi({ users: { reader: { name: 'reader' } } });
    const made = async (path: string, body: object): Promise<void> => {
      const answer = await api.request('POST', path, body);
      if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    };
    await made('/api/v1/nodes', NODE('edge1', 'amd64', '192.0.2.7'));
    await made('/api/v1/nodes', NODE('edge2', 'arm', '10.45.0.9'));
    for (const name of ['edge1', 'edge2'])
      await made(pathOf('EvioNode'), {
        apiVersion: 'evio.io/v1alpha1',
        kind: 'EvioNode',
        metadata: { name },
        spec: {
          memberName: name,
          addresses: [`10.45.0.${name.at(-1)}/16`],
          podCIDRs: [`10.244.${name.at(-1)}.0/24`],
        },
      });
    const status = { keys: { identityKey: KEY, sessionKey: KEY }, publicAddresses: ['192.0.2.7'] };
    const patched = await api.request(
      'PATCH',
      `${pathOf('EvioNode')}/edge1/status`,
      { status },
      {
        type: 'application/merge-patch+json',
      },
    );
    if (patched.status !== 200) throw new Error(JSON.stringify(patched.body));
  });
  after(() => api?.stop());

  it('lists the members of a cluster by a kubeconfig', async () => {
    const done = await evio('nodes', '--kubeconfig', api.kubeconfig(), '-o', 'json');
    expect(done.code, done.stderr).to.equal(0);
    const { source, of, nodes } = JSON.parse(done.stdout) as NodesReport;
    expect([source, of]).to.deep.equal(['cluster', api.url]);
    expect(nodes.map(({ name, addresses, where, reason }) => [name, addresses, where, reason])).to.deep.equal([
      ['edge1', ['10.45.0.1'], ['192.0.2.7'], 'NothingTold'],
      ['edge2', ['10.45.0.2'], null, 'NothingTold'],
    ]);
    expect(nodes[0]?.id).to.match(/^[0-9a-f]{32}$/);
  });

  it('means the cluster when kubectl calls it, and says in one line what it may not', async () => {
    const env = ['EVIO_KUBECTL=1', `KUBECONFIG=${api.kubeconfig('reader')}`];
    const main = new URL('../../cli/src/main.ts', import.meta.url).pathname;
    const done = await program('env', ...env, process.execPath, main, 'nodes');
    expect(done.stderr).to.match(/^evio: cannot list evionodes\.evio\.io: not permitted: .*\n$/);
    expect(done.code).to.equal(1);
  });

  it('looks at a cluster before an installation: version, nodes, rights, networks', async () => {
    const done = await evio('preflight', '--kubeconfig', api.kubeconfig(), '-o', 'json');
    const { of, name, checks } = JSON.parse(done.stdout) as PreflightReport;
    expect([of, name]).to.deep.equal(['cluster', api.url]);
    const all = checks.map((one) => `${one.verdict} ${one.name}: ${one.text}`).join('\n');
    expect(all)
      .to.match(/^pass kubernetes: Kubernetes v1\.3\d/m)
      .and.to.match(/^pass rights: /m)
      .and.to.match(/^fail architecture: there is no agent for edge2 \(arm\)$/m)
      .and.to.match(/^fail cidr: addresses of edge2 are within 10\.45\.0\.0\/16$/m)
      .and.to.match(/^pass (service-cidr|cni|installed|pod-security): /m);
    expect(done.code).to.equal(1);
  });

  it('compares the book of addresses with the pods of the node whose prefixes it has', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    for (const [name, ip] of [
      ['web', '10.244.1.7'],
      ['other', '10.244.2.7'],
    ] as const) {
      const nodeName = ip === '10.244.1.7' ? 'edge1' : 'edge2';
      const containers = [{ name: 'c', image: 'i' }];
      const made = await api.request('POST', pods, { metadata: { name }, spec: { nodeName, containers } });
      expect(made.status, JSON.stringify(made.body)).to.equal(201);
      const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }] };
      await api.request('PATCH', `${pods}/${name}/status`, { status }, { type: 'application/merge-patch+json' });
    }
    const { dir, remove } = scratch();
    const conflist = join(dir, 'evio.conflist');
    const own = { type: 'evio-cni', subnets: ['10.244.1.0/24'], dataDir: dir };
    writeFileSync(conflist, JSON.stringify({ cniVersion: '1.0.0', name: 'evio', plugins: [own] }));
    const done = await evio('ipam', 'check', '--conflist', conflist, '--kubeconfig', api.kubeconfig(), '-o', 'json');
    remove();
    const { node, problems } = JSON.parse(done.stdout) as IpamReport;
    expect(node).to.equal('edge1');
    expect(problems.map(({ kind, addresses }) => [kind, ...addresses])).to.deep.equal([['unrecorded', '10.244.1.7']]);
    expect(done.code).to.equal(1);
  });

  it('ends with 1 and one line where nobody answers', async () => {
    const kubeconfig = api.kubeconfig('nobody');
    writeFileSync(kubeconfig, readFileSync(kubeconfig, 'utf8').replace(api.url, 'https://127.0.0.1:1'));
    const done = await evio('preflight', '--kubeconfig', kubeconfig);
    expect(done.stderr).to.match(/^evio: .*127\.0\.0\.1:1.*\n$/);
    expect(done.code).to.equal(1);
  });
});
