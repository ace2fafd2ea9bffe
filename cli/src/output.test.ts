import { expect } from 'chai';
import type { Peer, Status } from '../../agent/src/api.ts';
import { finding } from '../../agent/src/diagnosis/finding.ts';
import { peersText, statusText } from './commands/show.ts';
import { findingsText } from './findings.ts';
import { bytesText, columns, durationText } from './output.ts';

const PEER: Peer = {
  id: '0123456789abcdef0123456789abcdef',
  name: 'home2',
  addresses: ['10.45.0.4'],
  kinds: ['successor', 'predecessor'],
  path: 'direct',
  local: { address: '192.168.1.10:24001', type: 'host' },
  remote: { address: '192.0.2.10:31007', type: 'srflx' },
  rttMs: 1.234,
  loss: 0.005,
  txBytes: 1_234_567,
  rxBytes: 999,
  sinceMs: 3_723_000,
};

const STATUS: Status = {
  version: '0.1.0',
  overlay: { id: 'a'.repeat(32), name: 'lab', mtu: 1400 },
  node: {
    id: 'b'.repeat(32),
    name: 'home1',
    label: 'b'.repeat(16),
    addresses: ['10.45.0.3/16'],
    file: '/etc/evio/node.json',
  },
  agent: { pid: 1, uptimeMs: 61_000, rssBytes: 80_000_000 },
  tincan: null,
  signalling: { state: 'waiting', service: 'xmpps://h:1', error: 'the server is away', sinceMs: 5_000 },
  nat: { class: 'unknown', mapped: [], local: ['192.168.1.10:24001'] },
  switch: { connected: false, flows: 0 },
  openVSwitch: null,
  problems: [],
  findings: [],
  members: 1,
  tunnels: 0,
  ringComplete: false,
  counters: {},
};

describe('what commands print', () => {
  it('shows a peer in one line, with what is not known as a dash', () => {
    const lines = peersText([
      PEER,
      {
        ...PEER,
        name: 'lte1',
        kinds: [],
        path: 'via',
        local: null,
        remote: null,
        rttMs: null,
        loss: null,
        sinceMs: null,
      },
    ]).split('\n');
    expect(lines[1]).to.match(
      /^home2\s+0123456789ab\s+successor,predecessor\s+direct\s+192\.168\.1\.10:24001 host\s+192\.0\.2\.10:31007 srflx\s+1\.23 ms\s+0\.5 %\s+1\.2 MB\s+999 B\s+1h 2m$/,
    );
    expect(lines[2]).to.match(/^lte1\s+0123456789ab\s+-\s+via\s+-\s+-\s+-\s+-\s+1\.2 MB\s+999 B\s+-$/);
    expect(peersText([])).to.equal('no other member is known yet\n');
  });

  it('shows the trouble with signalling, and that tincan is away', () => {
    const text = statusText(STATUS);
    expect(text).to.match(/^signalling\s+waiting for 5s, xmpps:\/\/h:1: the server is away$/m);
    expect(text).to.match(/^tincan\s+not running$/m);
    expect(text).to.match(/^NAT\s+unknown, seen as none, own addresses 192\.168\.1\.10:24001$/m);
  });

  it('counts what is wrong, and shows each finding with what to do', () => {
    const text = '10.244.2.0/24 of node pi2 meets the route 10.244.2.0/25 dev eth0 of this machine';
    const findings = [
      finding('address-conflict', text, 'take the route away'),
      finding('firewall-problem', 'the program nft is not in PATH', 'install nftables'),
    ];
    expect(statusText({ ...STATUS, findings })).to.match(/^health\s+1 fault, 1 warning$/m);
    expect(statusText(STATUS)).to.match(/^health\s+no fault is known$/m);
    expect(findingsText(findings).split('\n')).to.deep.equal([
      '',
      `FAULT address-conflict: ${text}`,
      '  to do: take the route away',
      'WARNING firewall-problem: the program nft is not in PATH',
      '  to do: install nftables',
      '',
    ]);
  });

  it('writes sizes and durations for people', () => {
    expect([0, 999, 1000, 1_500_000, 2e15].map(bytesText)).to.deep.equal([
      '0 B',
      '999 B',
      '1.0 kB',
      '1.5 MB',
      '2000.0 TB',
    ]);
    expect([0, 59_999, 60_000, 3_600_000, 90_061_000].map(durationText)).to.deep.equal([
      '0s',
      '59s',
      '1m',
      '1h',
      '1d 1h',
    ]);
    expect(
      columns([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
    ).to.equal('a    bb\nccc  d\n');
  });
});
