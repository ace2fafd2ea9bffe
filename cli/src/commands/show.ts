/** `evio status` and `evio peers`. */

import type { Peer, Status } from '../../../agent/src/api.ts';
import { Failure, UsageError } from '../failure.ts';
import { bytesText, columns, durationText, print } from '../output.ts';
import { Progress } from '../progress.ts';
import { type Command, command } from './command.ts';
import { whereOptions } from './where.ts';

const ago = (ms: number): string => `for ${durationText(ms)}`;
const listed = (texts: readonly string[]): string => (texts.length === 0 ? 'none' : texts.join(', '));

export function statusText(s: Status): string {
  const { signalling, nat } = s;
  const trouble = signalling.error === null ? '' : `: ${signalling.error}`;
  return columns([
    ['node', `${s.node.name} (${s.node.id}), ${s.node.addresses.join(', ')}`],
    ['overlay', `${s.overlay.name} (${s.overlay.id}), MTU ${s.overlay.mtu}, ${s.members} members`],
    ['ring', `${s.ringComplete ? 'complete' : 'not complete'}, ${s.tunnels} tunnels up`],
    ['signalling', `${signalling.state} ${ago(signalling.sinceMs)}, ${signalling.service}${trouble}`],
    ['NAT', `${nat.class}, seen as ${listed(nat.mapped)}, own addresses ${listed(nat.local)}`],
    ['agent', `${processText(s.agent)}, version ${s.version}`],
    ['tincan', s.tincan === null ? 'not running' : `${processText(s.tincan)}, version ${s.tincan.version}`],
    ['switch', `${s.switch.connected ? 'connected' : 'not connected'}, ${s.switch.flows} flows`],
    ...openVSwitch(s),
    ['health', healthText(s)],
  ]);
}

function healthText({ findings }: Status): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  if (findings.length === 0) return 'no fault is known';
  return [countText(errors, 'fault'), countText(warnings, 'warning')].filter((text) => text !== '').join(', ');
}

const countText = (n: number, word: string): string => (n === 0 ? '' : `${n} ${word}${n === 1 ? '' : 's'}`);

function openVSwitch({ openVSwitch: ovs }: Status): readonly (readonly string[])[] {
  if (ovs === null) return [];
  const connected = ovs.connected ? 'connected' : 'not connected';
  return [['Open vSwitch', [`${connected}, ${ovs.flows} flows`, ...ovs.problems].join('; ')]];
}

function processText(p: { readonly pid: number; readonly uptimeMs: number; readonly rssBytes: number }): string {
  return `pid ${p.pid}, up ${durationText(p.uptimeMs)}, ${bytesText(p.rssBytes)}`;
}

const HEAD = ['NODE', 'ID', 'EDGE', 'PATH', 'LOCAL', 'REMOTE', 'RTT', 'LOSS', 'SENT', 'RECEIVED', 'SINCE'];
/** Enough to tell nodes apart; -o json has the whole id. */
const ID_SHOWN = 12;

export function peersText(peers: readonly Peer[]): string {
  if (peers.length === 0) return 'no other member is known yet\n';
  return columns([HEAD, ...peers.map(peerRow)]);
}

function peerRow(peer: Peer): readonly string[] {
  const end = (e: Peer['local']): string => (e === null ? '-' : `${e.address} ${e.type}`);
  return [
    peer.name,
    peer.id.slice(0, ID_SHOWN),
    peer.kinds.join(',') || '-',
    peer.path,
    end(peer.local),
    end(peer.remote),
    peer.rttMs === null ? '-' : `${peer.rttMs.toFixed(peer.rttMs < 10 ? 2 : 1)} ms`,
    peer.loss === null ? '-' : `${(peer.loss * 100).toFixed(1)} %`,
    bytesText(peer.txBytes),
    bytesText(peer.rxBytes),
    peer.sinceMs === null ? '-' : durationText(peer.sinceMs),
  ];
}

export const showCommands: readonly Command[] = [
  command({
    path: 'status',
    describe: 'This node: signalling, NAT, ring, processes, and what is wrong with it',
    exitCodes: {
      0: 'the agent answered and knows of no fault (there may be warnings)',
      1: 'there is a fault, or no agent runs; with --wait also: not well within the time',
    },
    options: (yargs) =>
      whereOptions(yargs)
        .option('wait', {
          type: 'boolean',
          default: false,
          describe: 'Ask until the node is well: no fault, signalling online, the ring complete',
        })
        .option('timeout', { type: 'number', default: 60, describe: 'Seconds that --wait waits at most' }),
    run: async (args, io) => {
      if (!(args.timeout >= 0 && args.timeout <= 86_400))
        throw new UsageError(`--timeout: ${args.timeout} is not allowed; allowed: 0 to 86400 seconds`);
      const { askStatus } = await import('../status.ts');
      const { findingsText } = await import('../findings.ts');
      const progress = new Progress();
      try {
        const report = await askStatus({
          where: { runDir: args['run-dir'], config: args.config },
          waitMs: args.wait ? args.timeout * 1000 : undefined,
          tell: (text) => progress.tell(text),
        });
        progress.end();
        print(io, report, (r) =>
          r.running ? statusText(r) + findingsText(r.findings) : findingsText(r.findings).trimStart(),
        );
        if (!report.running) throw new Failure(report.error);
        if (!report.ok) process.exitCode = 1;
      } finally {
        progress.end();
      }
    },
  }),
  command({
    path: 'peers',
    describe: 'Every member: edge, path, candidates, round trip, loss, bytes, since when',
    options: (yargs) => whereOptions(yargs),
    run: async (args, io) => {
      const { withAgent } = await import('../agent-client.ts');
      const answer = await withAgent({ runDir: args['run-dir'], config: args.config }, (a) =>
        a.request<{ readonly peers: readonly Peer[] }>('peers'),
      );
      print(io, answer, ({ peers }) => peersText(peers));
    },
  }),
];
