import { expect } from 'chai';
import type { Peer, Status } from '../../agent/src/api.ts';
import type { EvioNode } from '../../agent/src/kube-api/evio-kinds.ts';
import { nodeIdOf } from '../../agent/src/wire/ids.ts';
import { nodesText } from './commands/nodes.ts';
import { nodesOfAgent, nodesOfCluster } from './nodes.ts';

const KEY = Buffer.alloc(32, 7);

const member = (name: string, more: object = {}, status?: object): EvioNode =>
  ({
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { network: 'default', memberName: name, addresses: ['10.45.0.3/16', 'fd45::3/64'], podCIDRs: [], ...more },
    ...(status === undefined ? {} : { status }),
  }) as unknown as EvioNode;

const condition = (status: string, reason: string) => ({
  type: 'Ready',
  status,
  reason,
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

describe('evio nodes', () => {
  it('shows a node of a cluster with the id of its key, how its tunnels go, and that it is ready', () => {
    const status = {
      keys: { identityKey: KEY.toString('base64'), sessionKey: KEY.toString('base64') },
      conditions: [condition('True', 'Ready')],
      publicAddresses: ['192.0.2.10'],
      nat: { mapping: 'AddressDependent' },
      summary: { tunnels: 6, direct: 3, relayed: 2, failed: 1 },
      versions: { agent: '0.1.0' },
    };
    const report = nodesOfCluster([member('edge1', {}, status)], 'https://api:6443');
    expect(report).to.deep.equal({
      source: 'cluster',
      of: 'https://api:6443',
      nodes: [
        {
          name: 'edge1',
          id: nodeIdOf(KEY),
          addresses: ['10.45.0.3', 'fd45::3'],
          where: ['192.0.2.10'],
          path: '3 direct, 2 relayed, 1 via, 1 down',
          nat: 'address-dependent',
          version: '0.1.0',
          ready: true,
          reason: null,
        },
      ],
    });
    expect(nodesText(report).split('\n')[1]).to.match(
      /^edge1 +[0-9a-f]{12} +10\.45\.0\.3,fd45::3 +192\.0\.2\.10 +3 direct, .* down +address-dependent +0\.1\.0 +yes$/,
    );
  });

  it('says why a node is not ready, and does not call a machine unready that tells the API nothing', () => {
    const machine = { identityKey: KEY.toString('base64'), sessionKey: '', joined: '' };
    const { nodes } = nodesOfCluster(
      [
        member('new'),
        member('bad', {}, { conditions: [condition('False', 'TincanAway')] }),
        member('box', { machine }),
        member('lost', {}, { conditions: [condition('Unknown', 'AgentSilent')] }),
      ],
      'https://api',
    );
    expect(nodes.map(({ name, ready, reason }) => [name, ready, reason])).to.deep.equal([
      ['bad', false, 'TincanAway'],
      ['box', null, 'JoinedByToken'],
      ['lost', null, 'AgentSilent'],
      ['new', null, 'NothingTold'],
    ]);
    expect(nodes.find(({ name }) => name === 'box')?.id).to.equal(nodeIdOf(KEY));
    expect(nodes.find(({ name }) => name === 'new')?.id).to.equal(null);
  });

  it('shows what one agent knows: itself with its NAT, others by their path from here', () => {
    const status = {
      overlay: { id: '', name: 'lab', mtu: 1400 },
      node: { id: 'b'.repeat(32), name: 'home1', label: '', addresses: ['10.45.0.4/16'], file: '' },
      nat: { class: 'endpoint-independent', mapped: ['192.0.2.1:24001'], local: [] },
      version: '0.1.0',
      tincan: { version: '0.1.0', pid: 1, uptimeMs: 1, rssBytes: 1 },
      findings: [{ code: 'turn-away', severity: 'error', text: '', fix: '' }],
    } as unknown as Status;
    const peer = { id: 'a'.repeat(32), name: 'away', addresses: ['10.45.0.5'], path: 'none', remote: null };
    const { of, nodes } = nodesOfAgent(status, [peer as unknown as Peer]);
    expect(of).to.equal('lab');
    expect(nodes.map(({ name, path, nat, ready, reason }) => [name, path, nat, ready, reason])).to.deep.equal([
      ['away', 'none', null, false, 'not reached from here'],
      ['home1', 'self', 'endpoint-independent', false, 'turn-away'],
    ]);
  });
});
