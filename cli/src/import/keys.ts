/**
 * Every key of the original's configuration (versions 21.x and 24.1), and what becomes of it. This table is the only place that
 * knows: a key that is not in it is told as unknown. `convert.ts` does the carrying over of those that are `carried`.
 */

import { ORIGINAL_MODULES } from '../../../agent/src/config/original.ts';

export type Version = '21.x' | '24.1';

export interface OldKey {
  /** `*` is the id of an overlay, or the name of a module below `Controllers`. */
  readonly path: string;
  /** Left out: both. */
  readonly only?: Version;
  /** What it was for. */
  readonly was: string;
  /** What to do now; undefined: it is carried over, and there is nothing to tell. */
  readonly now: string | undefined;
  /** Values with which nothing changes, so that there is nothing to tell either. */
  readonly harmless?: (value: unknown) => boolean;
}

/** The original's BridgeProvider to `switch` of the node file. Of Linux bridges tincan's own switch takes the place. */
export const SWITCH_OF: Readonly<Record<string, string>> = { OVS: 'ovs' };

const is =
  (...texts: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'string' && texts.includes(value.toLowerCase());
const isTrue = (value: unknown): boolean => value === true;
const isFalse = (value: unknown): boolean => value === false;
const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

const carried = (path: string, was: string, only?: Version): OldKey => ({
  path,
  was,
  now: undefined,
  ...(only === undefined ? {} : { only }),
});
const changed = (path: string, was: string, now: string, more: Partial<OldKey> = {}): OldKey => ({
  path,
  was,
  now,
  ...more,
});

const LOG_TO_STDOUT = 'Evio logs to standard output, so give this to journald (StandardOutput= of the unit)';
const ITS_OWN_PACE = 'nothing to do, Evio acts on events instead of timers';
const ONE_BRIDGE = 'nothing to do, a node has one bridge (network.bridge) and its tunnels are no ports of it';
const FLOWS = 'nothing to do, the flows are laid from the ring, not from what was flooded';
const OVERLAY_MTU = 'set it for the whole overlay: evio overlay create --mtu (auto is 1400)';
const OLD_21 = { only: '21.x' } as const;
const NEW_24 = { only: '24.1' } as const;

/** What every module takes. */
const common = (module: string): readonly OldKey[] => [
  changed(`${module}.Enabled`, 'whether the module runs', 'leave it out, Evio has no modules to turn off', {
    harmless: module === 'UsageReport' || module === 'OverlayVisualizer' ? isFalse : isTrue,
  }),
  changed(`${module}.TimerInterval`, "the period of the module's timer", ITS_OWN_PACE),
  changed(`${module}.StateTracingEnabled`, "whether the module's state is logged", 'use evio status -o json', {
    harmless: isFalse,
  }),
  changed(`${module}.Dependencies`, 'which modules start before it', 'leave it out, Evio has no modules', OLD_21),
  ...(module === 'Broker' || module === 'Logger'
    ? []
    : [changed(`${module}.LogLevel`, 'the log level of one module', 'set log.level, one for the whole node')]),
];

const broker = (module: 'Broker' | 'CFx', only: Version): readonly OldKey[] => [
  carried(`${module}.Overlays`, 'the ids of the overlays of this node', only),
  changed(`${module}.NodeId`, "the node's id, chosen freely", "nothing to do, Evio's is made from the node's key", {
    only,
  }),
  changed(`${module}.NidFileName`, 'where the node id is kept', 'leave it out, the node file holds the key', { only }),
  changed(`${module}.Model`, 'a variant of the modules', 'leave it out, Evio has no modules', { only }),
];

const logging = (module: 'Broker' | 'Logger', only: Version): readonly OldKey[] => [
  carried(`${module}.LogLevel`, 'how much is logged', only),
  ...(['BrokerLogLevel', 'ControllerLogLevel'] as const).map((key) => carried(`${module}.${key}`, 'the same', only)),
  changed(`${module}.TincanLogLevel`, "tincan's log level", 'set log.level, one for the whole node', { only }),
  ...(
    [
      ['Directory', 'where the log files are'],
      ['BrokerLogName', "the name of the controller's log"],
      ['CtrlLogFileName', "the name of the controller's log"],
      ['TincanLogName', "the name of tincan's log"],
      ['TincanLogFileName', "the name of tincan's log"],
      ['MaxFileSize', 'when a log is rotated'],
      ['MaxArchives', 'how many old logs are kept'],
      ['Device', 'whether logs go to files or to the console'],
      ['ConsoleLevel', 'how much is logged on the console'],
      ['KeepLogsOnStart', 'whether a start keeps old logs'],
    ] as const
  ).map(([key, was]) => changed(`${module}.${key}`, was, LOG_TO_STDOUT, { only })),
  changed(`${module}.DebugCBTs`, 'logging of messages between modules', 'set log.level to "debug"', {
    only,
    harmless: isFalse,
  }),
];

const O = (module: string): string => `${module}.Overlays.*`;
const DEVICE = `${O('BridgeController')}.NetDevice`;

const bridge = (at: string, which: 'the switch' | 'the application bridge'): readonly OldKey[] => [
  carried(`${at}.NamePrefix`, `the start of the name of ${which}`),
  carried(`${at}.IP4`, `the IPv4 address on ${which}`),
  carried(`${at}.PrefixLen`, 'the prefix length of that address'),
  changed(`${at}.MTU`, `the MTU of ${which}`, OVERLAY_MTU),
  changed(
    `${at}.AutoDelete`,
    `whether ${which} is taken away at start and stop`,
    'use evio agent stop to take it away',
  ),
  ...(['BridgeProvider', 'Type'] as const).map((key) =>
    key === 'BridgeProvider'
      ? carried(`${at}.${key}`, `what makes ${which}: OVS, LXBR or VNIC`, '24.1')
      : carried(`${at}.${key}`, `what makes ${which}: OVS, LXBR or VNIC`, '21.x'),
  ),
];

export const OLD_KEYS: readonly OldKey[] = [
  ...broker('Broker', '24.1'),
  ...logging('Broker', '24.1'),
  changed('Broker.Controllers.*', 'which modules are loaded', 'leave it out, Evio has no modules', NEW_24),
  ...broker('CFx', '21.x'),
  ...logging('Logger', '21.x'),
  ...ORIGINAL_MODULES.flatMap(common),

  carried(`${O('Signal')}.HostAddress`, 'the XMPP server'),
  carried(`${O('Signal')}.Port`, 'its port'),
  changed(
    `${O('Signal')}.Username`,
    "the node's XMPP account",
    'evio node enroll makes a new account; the domain is kept where it is that of the new server',
  ),
  changed(`${O('Signal')}.Password`, 'its password', 'evio node enroll makes a new one; end the old account'),
  changed(
    `${O('Signal')}.AuthenticationMethod`,
    'how the node logs in: password or X.509',
    'nothing to do, a node logs in by password (SCRAM) and proves itself to others by its own certificate',
    { harmless: is('password') },
  ),
  ...(['CertDirectory', 'CertFile', 'KeyFile'] as const).map((key) =>
    changed(
      `${O('Signal')}.${key}`,
      'an X.509 certificate for the XMPP login',
      'evio node enroll makes what replaces it',
    ),
  ),
  changed('Signal.TrustStore', 'authorities to trust', 'evio node enroll writes signalling.ca'),
  changed(`${O('Signal')}.TrustStore`, 'authorities to trust', 'evio node enroll writes signalling.ca'),
  changed('Signal.PresenceInterval', 'how often the node tells that it is there', ITS_OWN_PACE),
  changed('Signal.JidResolutionTimeout', "how long a peer's address is waited for", ITS_OWN_PACE),
  changed(
    'Signal.NetCheckHostName',
    'a name that has to resolve before the start',
    'leave it out, a start waits for nothing',
  ),
  ...(['Signal', O('Signal')] as const).map((at) =>
    changed(`${at}.CacheExpiry`, "how long a peer's address is remembered", ITS_OWN_PACE),
  ),

  changed('Topology.TrimCheckInterval', 'how often lost peers are dropped', ITS_OWN_PACE, NEW_24),
  changed('Topology.MaxConcurrentOps', 'how many edges are made at a time', ITS_OWN_PACE, NEW_24),
  carried(`${O('Topology')}.MinSuccessors`, 'successors on the ring', '24.1'),
  carried(`${O('Topology')}.MaxSuccessors`, 'successors on the ring', '21.x'),
  carried(`${O('Topology')}.MaxLongDistEdges`, 'long-distance links'),
  carried(`${O('Topology')}.MaxOnDemandEdges`, 'links made because of traffic'),
  ...(['StaticEdges', 'EnforcedEdges'] as const).map((key) =>
    changed(
      `${O('Topology')}.${key}`,
      'peers that are always linked, by their old ids',
      'list the same nodes in topology.static by their new names',
      { harmless: isEmpty, only: key === 'StaticEdges' ? '24.1' : '21.x' },
    ),
  ),
  changed(
    `${O('Topology')}.ManualTopology`,
    'no other edges than the static ones',
    'nothing like it: the ring is always there. topology.longDistance 0, onDemand 0 and fullMesh "off" come nearest',
    { harmless: isFalse },
  ),
  changed(
    `${O('Topology')}.Role`,
    'whether the node takes incoming edges (a leaf does not)',
    'nothing like it: every node is on the ring, and one that forwards nothing is gone round',
    { harmless: is('switch', 'roleswitch') },
  ),
  changed(
    `${O('Topology')}.LocationId`,
    'peers of one location use Geneve',
    'nothing to do, nodes of one network find each other (network.lan) and talk directly, encrypted',
  ),
  changed(`${O('Topology')}.EncryptionRequired`, 'encryption', 'nothing to do, everything is always encrypted', {
    harmless: isTrue,
  }),
  changed(`${O('Topology')}.Name`, 'a name for people', 'use it as NAME of evio overlay create'),
  changed(`${O('Topology')}.Description`, 'a text for people', 'leave it out'),
  ...(['PeerDiscoveryCoalesce', 'ExclusionBaseInterval', 'MaxSuccessiveFails', 'ExpiryInterval'] as const).flatMap(
    (key) =>
      ['Topology', O('Topology')].map((at) =>
        changed(`${at}.${key}`, 'when peers are tried, given up and forgotten', ITS_OWN_PACE, OLD_21),
      ),
  ),
  ...['Topology', O('Topology')].map((at) =>
    changed(`${at}.MaxConcurrentEdgeSetup`, 'how many edges are made at a time', ITS_OWN_PACE, OLD_21),
  ),

  carried('LinkManager.Stun', 'STUN servers'),
  changed(
    'LinkManager.Turn',
    'TURN servers with their passwords',
    'nodes get relays and short-lived credentials from the XMPP server: evio server init sets both up (ice.turn)',
    { harmless: isEmpty },
  ),
  carried('LinkManager.IgnoredNetInterfaces', 'interfaces not to use'),
  carried(`${O('LinkManager')}.IgnoredNetInterfaces`, 'interfaces not to use'),
  changed(
    `${O('LinkManager')}.TapNamePrefix`,
    'names of the taps, one for each tunnel',
    'a node has one tap: network.tap',
    NEW_24,
  ),
  changed(
    `${O('LinkManager')}.TapName`,
    'names of the taps, one for each tunnel',
    'a node has one tap: network.tap',
    OLD_21,
  ),
  changed(`${O('LinkManager')}.Type`, 'the type of tunnels', 'leave it out, there is one', OLD_21),
  ...['LinkManager', O('LinkManager')].map((at) =>
    changed(`${at}.LinkSetupTimeout`, 'how long a tunnel may take', ITS_OWN_PACE, OLD_21),
  ),
  changed(
    `${O('LinkManager')}.AllowRecursiveTunneling`,
    'tunnels through other overlays of this node',
    'list the bridges of other overlays in network.excludeInterfaces if they must not carry this one',
    { harmless: isFalse },
  ),
  ...(['EndPointInterface', 'EndPointAddress'] as const).map((key) =>
    changed(
      `${O('GeneveTunnel')}.${key}`,
      'the local end of Geneve tunnels',
      'nothing to do, nodes of one network find each other (network.lan) and talk directly, encrypted',
      NEW_24,
    ),
  ),

  ...(
    [
      ['LogDir', 'where its log is', LOG_TO_STDOUT],
      ['LogFilename', 'the name of its log', LOG_TO_STDOUT],
      ['LogLevel', 'its log level', 'set log.level, one for the whole node'],
      ['MaxBytes', 'when its log is rotated', LOG_TO_STDOUT],
      ['BackupCount', 'how many old logs are kept', LOG_TO_STDOUT],
      ['TrafficAnalysisInterval', 'how often traffic is looked at', ITS_OWN_PACE],
      ['LinkCheckInterval', 'how often Geneve links are probed', ITS_OWN_PACE],
      ['StateTracingEnabled', 'logging of its state', 'use evio status -o json'],
      ['StateLoggingInterval', 'how often its state is logged', 'use evio status -o json'],
      ['MonitorInterval', 'how often traffic is looked at', ITS_OWN_PACE],
      ['OverlayId', 'which overlay it drives', 'leave it out, a node file has one overlay'],
      ['BridgeName', 'the switch it drives', ONE_BRIDGE],
      ['ProxyListenAddress', 'its socket to the controller', 'leave it out, there is no such socket'],
      ['ProxyListenPort', 'its socket to the controller', 'leave it out, there is no such socket'],
      ['MulticastBroadcastInterval', 'when multicast trees are renewed', 'nothing to do, multicast is flooded'],
    ] as const
  ).map(([key, was, now]) => changed(`BridgeController.BoundedFlood.${key}`, was, now)),
  ...['BridgeController.BoundedFlood', 'BridgeController.BoundedFlood.Overlays.*'].flatMap((at) => [
    changed(
      `${at}.MaxOnDemandEdges`,
      'a second limit of links made because of traffic',
      'topology.onDemand is the only one',
    ),
    changed(`${at}.DemandThreshold`, 'bytes of a flow that are worth a link', 'nothing to do, Evio judges by rate'),
    changed(`${at}.FlowIdleTimeout`, 'when an idle flow is taken away', FLOWS),
    changed(`${at}.FlowHardTimeout`, 'when any flow is taken away', FLOWS),
  ]),
  ...bridge(DEVICE, 'the switch'),
  ...bridge(`${DEVICE}.AppBridge`, 'the application bridge'),
  changed(
    `${DEVICE}.AppBridge.NetworkAddress`,
    'the subnet of the overlay',
    'give it to evio overlay create --subnet4',
  ),
  changed(
    `${DEVICE}.SwitchProtocol`,
    'bounded flood (BF) or spanning tree (STP)',
    'nothing to do, Evio floods over arcs of the ring, and has no loops',
    { harmless: is('bf') },
  ),
  changed(
    `${DEVICE}.SDNControllerPort`,
    'the OpenFlow port of the controller',
    'nothing to do, agent and switch talk over switch.sock in the run directory (OpenFlow 1.3)',
    NEW_24,
  ),
  ...(['ConnectionType', 'HostName', 'Port'] as const).map((key) =>
    changed(
      `${O('BridgeController')}.SDNController.${key}`,
      'where the OpenFlow controller is',
      'nothing to do, agent and switch talk over switch.sock in the run directory (OpenFlow 1.3)',
    ),
  ),

  carried('OverlayVisualizer.NodeName', "the node's name"),
  changed('OverlayVisualizer.WebServiceAddress', 'a web service that draws the overlay', 'use evio peers -o json'),
  changed('OverlayVisualizer.GeoCoordinate', 'where the node is on its map', 'leave it out'),
  changed('UsageReport.WebService', 'where reports of use go', 'leave it out, Evio reports nothing to anybody'),
];
