/** What a person is told: of a manifest that is wrong, of an XMPP server that is away, of a pool without room; and that it heals. */
import { parse } from 'yaml';
import { EXAMPLES } from '../../crds/src/examples.ts';
import type { Report } from '../demo/report.ts';
import { NETWORK } from './install.ts';
import { apply, attempt, conditionOf, get, isTrue, kubectl, list, NODES, seconds, wait, withNftables } from './kube.ts';
import { type Probe, pairsOfPods } from './traffic.ts';

/** What is wrong, and what is right again, shows within this. */
export const SHOWS_SECONDS = 10;

interface Mistake {
  readonly what: string;
  /** Of the network that is installed. */
  readonly spec: object;
  readonly sentence: string;
}

const sentenceOf = (name: string): string => {
  const example = EXAMPLES.find((one) => one.kind === 'EvioNetwork' && one.name === name);
  if (example === undefined) throw new Error(`there is no example ${name}`);
  return example.sentence;
};

const MISTAKES: readonly Mistake[] = [
  {
    what: 'nodeCIDRs that hold podCIDRs',
    spec: { nodeCIDRs: ['10.0.0.0/8', 'fd45::/64'] },
    sentence: sentenceOf('cidrs-disjoint'),
  },
  {
    what: 'an address without its length',
    spec: { nodeCIDRs: ['10.45.0.0', 'fd45::/64'] },
    sentence: sentenceOf('node-cidr-form'),
  },
  {
    what: 'an address that is none',
    spec: { nodeCIDRs: ['10.45.0.300/16', 'fd45::/64'] },
    sentence: sentenceOf('node-cidr-form'),
  },
  {
    what: 'a pool for one node',
    spec: { nodeCIDRs: ['10.45.0.0/31', 'fd45::/64'] },
    sentence: sentenceOf('node-cidr-room'),
  },
  {
    what: 'pieces of pods as long as their pool',
    spec: { nodePrefixLength: { ipv4: 22 } },
    sentence: sentenceOf('node-prefix-length-room'),
  },
  { what: 'another mode', spec: { mode: 'HostNetwork' }, sentence: sentenceOf('mode-unchangeable') },
  {
    what: 'another attachment of pods',
    spec: { pods: { attachment: 'Flat' } },
    sentence: sentenceOf('pods-attachment-unchangeable'),
  },
  {
    what: 'a prefix that is taken away',
    spec: { nodeCIDRs: ['10.45.0.0/17', 'fd45::/64'] },
    sentence: sentenceOf('node-cidrs-grow'),
  },
  { what: 'a key that is unknown', spec: { nodeCIDR: '10.45.0.0/16' }, sentence: 'unknown field "spec.nodeCIDR"' },
  { what: 'a mode that is unknown', spec: { mode: 'Pods' }, sentence: 'supported values: "PodNetwork", "HostNetwork"' },
];

const generation = async (): Promise<unknown> =>
  (parse(await kubectl('get', 'evionetwork', 'default', '-o', 'yaml')) as { metadata: { generation: number } }).metadata
    .generation;

/** A person edits the manifest that was applied, and applies it again. */
export async function refused(report: Report): Promise<void> {
  const before = await generation();
  for (const { what, spec, sentence } of MISTAKES) {
    const manifest = JSON.stringify({ ...NETWORK, spec: { ...NETWORK.spec, ...spec } });
    const said = await attempt('k', ['apply', '-f', '-'], manifest);
    // kubectl quotes the whole object before what is wrong with it.
    const text = said.err
      .trim()
      .replace(/\s+/g, ' ')
      .replace(/"\{.*\}"/, '"..."');
    report.holds(
      `kubectl apply refuses ${what}`,
      said.code !== 0 && text.includes(sentence),
      text.slice(0, 700) || said.out.trim(),
      sentence,
    );
  }
  const warned = await attempt(
    'k',
    ['apply', '--validate=warn', '--dry-run=server', '-f', '-'],
    JSON.stringify({ ...NETWORK, spec: { ...NETWORK.spec, nodeCIDR: '10.45.0.0/16' } }),
  );
  report.holds(
    'kubectl apply --validate=warn warns of a key that is unknown',
    warned.code === 0 && warned.err.includes('unknown field "spec.nodeCIDR"'),
    warned.err.trim().slice(0, 200),
    'unknown field "spec.nodeCIDR"',
  );
  const after = await generation();
  report.holds('what was refused has changed nothing', after === before, `generation ${after}`, `generation ${before}`);
}

/** Seconds until the condition of the EvioNetwork has this status and reason; and its message. */
export async function untilCondition(
  type: string,
  status: string,
  reason: string | undefined,
  withinSeconds = 4 * SHOWS_SECONDS,
): Promise<{ readonly after: number; readonly message: string }> {
  let message = '';
  const after = await seconds(() =>
    wait(`${type}=${status} ${reason ?? ''}`, withinSeconds * 1_000, async () => {
      const is = conditionOf(await get('evionetwork', 'default'), type);
      message = is?.message ?? '';
      return is?.status === status && (reason === undefined || is.reason === reason);
    }),
  );
  return { after, message };
}

/** The server's port takes nothing and says nothing, as behind a firewall that was changed. */
export async function serverAway(report: Report, all: readonly Probe[]): Promise<void> {
  const members = async (connected: boolean): Promise<boolean> =>
    (await list('evionodes')).every((node) => isTrue(node, 'SignallingConnected') === connected);
  const rules = 'chain in { type filter hook input priority -10; tcp dport 5223 drop; }';
  await withNftables('cp', rules, async () => {
    const away = await untilCondition('SignallingReady', 'False', 'ServerUnreachable');
    report.atMost('XMPP server away: seconds until the EvioNetwork says so', away.after, SHOWS_SECONDS, 's');
    report.holds('XMPP server away: the message names it', away.message.includes('203.0.113.6:5223'), away.message);
    const ready = conditionOf(await get('evionetwork', 'default'), 'Ready');
    report.holds(
      'XMPP server away: Ready says why',
      ready?.status === 'False' && ready.reason === 'ServerUnreachable',
      `${ready?.status} ${ready?.reason}: ${ready?.message}`,
    );
    report.details['XMPP server away: seconds until every EvioNode says so'] = await seconds(() =>
      wait('every EvioNode is without the server', 120_000, () => members(false)),
    );
    const nodes = await list('nodes');
    report.holds(
      'XMPP server away: nodes stay Ready',
      nodes.filter((node) => isTrue(node, 'Ready')).length === NODES.length,
    );
    await pairsOfPods(report, all, 'XMPP server away: ');
  });
  const back = await untilCondition('SignallingReady', 'True', undefined);
  report.atMost('XMPP server back: seconds until the EvioNetwork says so', back.after, SHOWS_SECONDS, 's');
  const each = await seconds(() => wait('every EvioNode has the server again', 120_000, () => members(true)));
  report.details['XMPP server back: seconds until every EvioNode is in the room'] = back.after + each;
}

/** A Node more than the pool of pods has room for; it has no machine. */
export async function poolExhausted(report: Report, all: readonly Probe[]): Promise<void> {
  const SPARE = 'spare';
  const spare = { apiVersion: 'v1', kind: 'Node', metadata: { name: SPARE } };
  try {
    await apply([spare]);
    const empty = await untilCondition('AddressPoolReady', 'False', 'PoolExhausted');
    report.atMost('pool exhausted: seconds until the EvioNetwork says so', empty.after, SHOWS_SECONDS, 's');
    report.holds(
      'pool exhausted: the message names pool and node',
      empty.message.includes('10.244.0.0/22') && empty.message.includes(SPARE),
      empty.message,
    );
    await apply([{ ...NETWORK, spec: { ...NETWORK.spec, podCIDRs: ['10.244.0.0/16', 'fd00:10:244::/56'] } }]);
    const grown = await untilCondition('AddressPoolReady', 'True', undefined);
    report.atMost('pool grown: seconds until the EvioNetwork says so', grown.after, SHOWS_SECONDS, 's');
    const got = await seconds(() =>
      wait('the node has a piece', 30_000, async () => (await get('evionode', SPARE)) !== undefined),
    );
    report.atMost(
      'pool grown: seconds until the node that waited has its piece',
      grown.after + got,
      SHOWS_SECONDS,
      's',
    );
  } finally {
    await kubectl('delete', 'node', SPARE, '--ignore-not-found');
  }
  await wait(
    'the EvioNetwork is Ready',
    90_000,
    async () => isTrue(await get('evionetwork', 'default'), 'Ready') && (await get('evionode', SPARE)) === undefined,
  );
  await pairsOfPods(report, all, 'pool grown: ');
}

export async function mistakes(report: Report, all: readonly Probe[]): Promise<void> {
  await refused(report);
  await serverAway(report, all);
  await poolExhausted(report, all);
}
