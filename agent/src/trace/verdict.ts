/** Where the frames of a trace were lost, by what its stations counted. Pure. */
import type { NodeId } from '../wire/ids.ts';
import type { Outcome, Station } from './machine.ts';
import type { Counted, Hop } from './types.ts';

export interface Verdict {
  /** At least one frame came to its end, and what answers there was heard here. */
  readonly arrived: boolean;
  /** Answers that came back to this node's `evio0`. */
  readonly returned: number;
  readonly lost: Lost | null;
}

export interface Lost {
  /** The last station that had the frames, or the answers. */
  readonly at: NodeId;
  /** The station that should have had them next and did not, or cannot tell; null: they were lost within `at`. */
  readonly before: NodeId | null;
  /** The frames, or the answers to them. */
  readonly direction: 'there' | 'back';
  /** One line for people. */
  readonly text: string;
  /** What to do or to look at. */
  readonly fix: string;
}

export interface Scene {
  readonly self: NodeId;
  readonly destination: NodeId;
  readonly nameOf: (id: NodeId) => string;
  /** The edge is Open vSwitch: frames pass it before tincan has them. */
  readonly ovs: boolean;
  /** What is to answer: the destination's own kernel, or a pod behind it. */
  readonly target: 'node' | 'pod';
}

/** What a station counts and lets go on. */
export const GOOD: ReadonlySet<string> = new Set(['read', 'sent', 'forwarded', 'arrived', 'delivered']);

/** Why a station did not pass them on. */
export const WORDS: Readonly<Record<string, string>> = {
  noPath: 'there is no path to it now',
  noSession: 'there is no session with it yet: it does not answer handshakes',
  notSent: 'they could not be sealed or sent',
  noRoute: 'no tunnel leads on',
  unknownLabel: 'nobody it knows owns the destination label',
  hopLimit: 'the hop limit was reached: they went in a circle',
  transitTooBig: 'the next path does not take records of that size',
  switchPolicy: 'a flow of its switch drops them',
  switchPort: 'its switch has no such port, or it is down',
  switchMeter: 'a meter of its switch drops them',
  sourceMacRefused: "their source MAC is not the sender's",
  sourceAddressRefused: "their source address is not the sender's",
  dataByUnprovenPath: 'they came by a path that is not proven',
  tapWrite: 'the tap does not take them',
};

export function dropsOf({ counts }: Counted): readonly (readonly [string, number])[] {
  return Object.entries(counts).filter(([name, n]) => n > 0 && !GOOD.has(name));
}

export function judge(outcome: Outcome, scene: Scene): Verdict {
  const source = outcome.stations.find(({ id }) => id === scene.self);
  const returned = source?.told?.back.counts.delivered ?? 0;
  if (returned > 0) return { arrived: true, returned, lost: null };
  return { arrived: false, returned: 0, lost: lost(outcome, scene, source) };
}

function lost({ stations, unsendable }: Outcome, scene: Scene, source: Station | undefined): Lost {
  const { self, nameOf } = scene;
  if (source?.told === undefined) {
    const why = source?.refused === 'old' ? 'this tincan is older than traces' : 'tincan does not answer';
    return within(self, 'there', why, 'look at evio status; evio agent upgrade exchanges tincan');
  }
  const there = source.told.there;
  if ((there.counts.read ?? 0) === 0) {
    const where = scene.ovs ? 'Open vSwitch' : 'the switch';
    const why = unsendable ?? `${where} of ${nameOf(self)} sent none of them to a tunnel`;
    return within(self, 'there', why, 'look at evio status and evio flows');
  }
  const onTheWay = along(stations, scene, 'there');
  if (onTheWay !== undefined) return onTheWay;
  const end = stations.find(({ id }) => id === scene.destination);
  // Nothing came back, and the destination cannot tell what it had.
  if (end?.told === undefined) return silentEnd(stations, scene, end);
  const back = along([...stations].reverse(), scene, 'back');
  return back ?? within(self, 'back', 'the answers were counted everywhere but at the end', 'run it again');
}

/** Follows one direction from station to station to the first that did not pass it on. */
function along(stations: readonly Station[], scene: Scene, direction: 'there' | 'back'): Lost | undefined {
  const { nameOf } = scene;
  const what = direction === 'there' ? 'frames' : 'answers';
  let last: { readonly id: NodeId; readonly by: Hop | null } | undefined;
  let silent: Station | undefined;
  for (const [i, station] of stations.entries()) {
    const { id, told } = station;
    if (told === undefined) {
      silent ??= station;
      continue;
    }
    const counted = told[direction];
    const [first, end] = [i === 0, i === stations.length - 1];
    const had = first ? 'read' : end ? 'arrived' : undefined;
    const passed = first ? 'sent' : end ? 'delivered' : 'forwarded';
    const drops = dropsOf(counted);
    if (had !== undefined && direction === 'back' && first && (counted.counts.read ?? 0) === 0)
      return unanswered(station, scene);
    if ((counted.counts[passed] ?? 0) > 0) {
      last = { id, by: counted.leftBy };
      silent = undefined;
      continue;
    }
    const worst = drops.toSorted(([, a], [, b]) => b - a)[0];
    if (worst !== undefined || (had !== undefined && (counted.counts[had] ?? 0) > 0)) {
      const words = worst === undefined ? 'it did not pass them on' : (WORDS[worst[0]] ?? worst[0]);
      return within(id, direction, `${nameOf(id)} had the ${what} and dropped them: ${words}`, fixFor(worst?.[0]));
    }
    if (last === undefined)
      return within(id, direction, `${nameOf(id)} had none of the ${what}`, 'look at evio status');
    // A station by which they did not go, after all: the next one tells whether they arrived.
    const other = last.by !== null && last.by.peer !== id ? last.by : undefined;
    if (!end && (other !== undefined || skipped(stations, i, direction))) continue;
    if (silent !== undefined)
      return {
        at: last.id,
        before: silent.id,
        direction,
        text: `the ${what} were lost behind ${nameOf(last.id)}: at ${nameOf(silent.id)}, which ${silence(silent)}, or between it and ${nameOf(id)}`,
        fix: `look at ${nameOf(silent.id)}: evio status there`,
      };
    if (other !== undefined)
      return {
        at: last.id,
        before: other.peer,
        direction,
        text: `the ${what} left ${nameOf(last.id)} by the ${pathText(other)} path to ${nameOf(other.peer)}, which was not asked, and did not arrive at ${nameOf(id)}`,
        fix: `look at ${nameOf(other.peer)}: evio status there`,
      };
    const by = last.by === null ? '' : ` by the ${pathText(last.by)} path`;
    return {
      at: last.id,
      before: id,
      direction,
      text: `the ${what} left ${nameOf(last.id)}${by} and did not arrive at ${nameOf(id)}`,
      fix: `a firewall of ${nameOf(last.id)} or ${nameOf(id)}, or the network between them, drops Evio's UDP one way`,
    };
  }
  return undefined;
}

/** Some station further on had them. */
function skipped(stations: readonly Station[], at: number, direction: 'there' | 'back'): boolean {
  return stations
    .slice(at + 1)
    .some(({ told }) => told !== undefined && Object.keys(told[direction].counts).length > 0);
}

function unanswered({ id, told }: Station, scene: Scene): Lost {
  const name = scene.nameOf(id);
  if (scene.target === 'pod') {
    const link = told?.kernel?.link ?? null;
    if (link !== null && link.sent === 0)
      return within(
        id,
        'there',
        `${name} gave the frames to its evio0, and its kernel handed none on to ${link.name}, the pod's link: a firewall of ${name} or a NetworkPolicy drops them`,
        `on ${name}: nft list ruleset; iptables -S`,
      );
    const behind =
      link === null ? '' : ` (its link ${link.name}: ${link.sent} to it, ${link.received} from it, of all traffic)`;
    const why = `${name} gave the frames to its evio0, and no answer of the pod came back${behind}`;
    return within(
      id,
      'back',
      why,
      `on ${name}: is the pod there (ip route get ADDRESS), does a firewall or NetworkPolicy drop ICMP`,
    );
  }
  const kernel = told?.kernel ?? null;
  const firewall = `on ${name}: nft list ruleset; iptables -S`;
  if (kernel !== null && kernel.echoIn === 0)
    return within(
      id,
      'there',
      `${name} gave the frames to its evio0, and its kernel did not take them: a firewall of ${name} drops what comes in there`,
      firewall,
    );
  if (kernel !== null && kernel.replyOut === 0)
    return within(
      id,
      'back',
      `${name} took the frames and does not answer echo requests (net.ipv4.icmp_echo_ignore_all, or a firewall)`,
      firewall,
    );
  return within(
    id,
    'back',
    `${name} gave the frames to its evio0, and no answer came back: a firewall of ${name} drops ICMP, or a route there leads elsewhere`,
    firewall,
  );
}

function silentEnd(stations: readonly Station[], scene: Scene, end: Station | undefined): Lost {
  const { nameOf, destination } = scene;
  const last = stations.findLast(({ id, told }) => id !== destination && told !== undefined)?.id ?? scene.self;
  const said = end === undefined ? 'was not reached' : silence(end);
  return {
    at: last,
    before: destination,
    direction: 'there',
    text: `the frames left ${nameOf(last)}, nothing came back, and ${nameOf(destination)} ${said}`,
    fix: `on ${nameOf(destination)}: evio status; an agent of a version without traces does not answer`,
  };
}

export function silence({ refused }: Pick<Station, 'refused'>): string {
  switch (refused) {
    case 'old':
      return 'has a tincan that is older than traces';
    case 'busy':
      return 'counts for too many traces already';
    case 'away':
      return 'has no tincan that answers';
    case undefined:
      return 'does not answer (its agent is away, or older than traces)';
  }
}

export function pathText({ path, relayed }: Hop): string {
  if (path === 'direct') return 'direct';
  if (path === 'webrtc') return relayed ? 'relayed' : 'WebRTC';
  return 'lost';
}

function within(at: NodeId, direction: 'there' | 'back', text: string, fix: string): Lost {
  return { at, before: null, direction, text, fix };
}

function fixFor(drop: string | undefined): string {
  switch (drop) {
    case 'noPath':
    case 'noRoute':
    case 'unknownLabel':
    case 'hopLimit':
      return 'look at evio peers and evio graph there';
    case 'noSession':
      return 'look at evio status on both: tincan of the other does not answer, or its clock or certificate is wrong';
    case 'switchPolicy':
    case 'switchPort':
    case 'switchMeter':
      return 'look at evio flows there';
    default:
      return 'look at evio status there: its counters tell more';
  }
}
