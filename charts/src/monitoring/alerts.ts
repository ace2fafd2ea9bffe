/**
 * Alert rules, each with its runbook: the files of the chart, manifests/monitoring and docs/runbooks.md are made of this. An alert is for
 * somebody who is woken by it: it names the node, lasts longer than what heals by itself, and says what to look at first.
 */

export interface Alert {
  readonly name: `Evio${string}`;
  readonly group: 'node' | 'operator';
  /** `critical`: traffic is lost or about to be. `warning`: it works, and will not for long or not for all. `info`: to know. */
  readonly severity: 'critical' | 'warning' | 'info';
  readonly expr: string;
  readonly for: string;
  /** One line, with Prometheus' templates. */
  readonly summary: string;
  readonly means: string;
  readonly look: readonly string[];
  /** Series that let it fire once `for` has passed (promtool's notation), for the test. */
  readonly fires: readonly (readonly [series: string, values: string])[];
}

/** Gives a series of one node that node's name and overlay. */
const named = (expr: string): string => `${expr} * on (instance) group_left (node, overlay) evio_node_info`;
const NODE = '{{ $labels.node }}';
const INFO = ['evio_node_info{instance="a", node="edge1", overlay="lab"}', '1x900'] as const;

export const ALERTS: readonly Alert[] = [
  {
    name: 'EvioAgentAway',
    group: 'node',
    severity: 'critical',
    expr: 'up == 0 and on (instance, job) last_over_time(evio_node_info[6h])',
    for: '5m',
    summary: 'The agent at {{ $labels.instance }} does not answer.',
    means:
      'Prometheus reached this agent within the last six hours and does not now. tincan carries traffic on without its agent, so pods may be well; new nodes, failed tunnels and certificates are not seen to.',
    look: [
      'Is the machine on? `kubectl get node`, or a ping to its overlay address from another node.',
      'On it: `evio status` says why no agent runs; `journalctl -u evio` or `kubectl logs` of its pod says how it ended.',
      'If the agent is well, Prometheus cannot reach it: by default it answers on 127.0.0.1 only ([metrics](metrics.md)).',
    ],
    fires: [
      ['up{instance="a", job="evio"}', '0x900'],
      ['evio_node_info{instance="a", job="evio", node="edge1", overlay="lab"}', '1x10 stale'],
    ],
  },
  {
    name: 'EvioTincanDown',
    group: 'node',
    severity: 'critical',
    expr: named('(evio_tincan_up == 0)'),
    for: '1m',
    summary: `${NODE} carries no frames: tincan does not run.`,
    means:
      'The datapath of this node is gone: nothing crosses the overlay from or to it. An agent starts tincan anew within a second, so something keeps it from starting.',
    look: [
      '`evio status` there names it: no rights, no /dev/net/tun, a taken port ([diagnosis](diagnosis.md)).',
      'In a cluster tincan is the DaemonSet `evio-dataplane`: `kubectl -n evio-system describe pod` of that node, and its log.',
    ],
    fires: [['evio_tincan_up{instance="a"}', '0x900'], INFO],
  },
  {
    name: 'EvioFault',
    group: 'node',
    severity: 'critical',
    expr: named('(evio_finding{severity="error"} == 1)'),
    for: '10m',
    summary: `${NODE} has a fault: {{ $labels.code }}.`,
    means:
      'The agent has found by itself what is wrong; the label `code` is its cause, and [diagnosis](diagnosis.md) has what each means.',
    look: [
      '`evio status` on the node, or the conditions of its EvioNode: host, port or file, and what to do.',
      '`evio netcheck` there, for what the network lets through.',
    ],
    fires: [['evio_finding{instance="a", code="turn-secret", severity="error"}', '1x900'], INFO],
  },
  {
    name: 'EvioWarning',
    group: 'node',
    severity: 'warning',
    expr: named('(evio_finding{severity="warning", code!="certificate-soon"} == 1)'),
    for: '1h',
    summary: `${NODE} has had a warning for an hour: {{ $labels.code }}.`,
    means: 'It works, and will not for ever or not for all. The label `code` is the cause ([diagnosis](diagnosis.md)).',
    look: ['`evio status` on the node: what to do stands under it.'],
    fires: [['evio_finding{instance="a", code="stun-away", severity="warning"}', '1x900'], INFO],
  },
  {
    name: 'EvioCertificateSoon',
    group: 'node',
    severity: 'critical',
    expr: named('(evio_finding{code="certificate-soon"} == 1)'),
    for: '15m',
    summary: `The certificate of ${NODE} ends soon, and nobody has renewed it.`,
    means: 'Less than a tenth of its life is left. Once it has ended the others take nothing from this node any more.',
    look: [
      'In a cluster the operator renews: does it run and lead, and is the EvioNetwork Ready? `kubectl describe evionode`.',
      'Outside: does `evio authority serve` run? Else `evio node enroll NAME --renew` ([operations](operations.md)).',
      'A clock that is ahead looks the same: compare it.',
    ],
    fires: [['evio_finding{instance="a", code="certificate-soon", severity="warning"}', '1x900'], INFO],
  },
  {
    name: 'EvioPodAddressesLow',
    group: 'node',
    severity: 'warning',
    expr: named(
      '(evio_pod_addresses{state="free"} / on (instance, subnet) sum by (instance, subnet) (evio_pod_addresses) < 0.1)',
    ),
    for: '15m',
    summary: `{{ $value | humanizePercentage }} of the addresses for pods are left on ${NODE}, in {{ $labels.subnet }}.`,
    means: 'When none is left no pod starts on this node any more: `EvioFault` rings then, with the code `pool-full`.',
    look: [
      '`evio ipam check` on the node: addresses of pods that are gone are told, and given back by `--fix`.',
      'Are there that many pods? `maxPods` of its kubelet is to be below what the piece has; larger pieces are for new nodes (`spec.pods`, [api](api.md)).',
    ],
    fires: [
      ['evio_pod_addresses{instance="a", subnet="10.244.3.0/24", state="free"}', '5x900'],
      ['evio_pod_addresses{instance="a", subnet="10.244.3.0/24", state="used"}', '248x900'],
      INFO,
    ],
  },
  {
    name: 'EvioSignallingAway',
    group: 'node',
    severity: 'warning',
    expr: named('(evio_signalling_connected == 0)'),
    for: '15m',
    summary: `${NODE} is not in the room on the XMPP server.`,
    means:
      'Tunnels that stand go on, and nodes with tunnels signal over them. A node that restarts now, or loses all its tunnels, does not come back until the server is reached.',
    look: [
      'One node or all? All: the server (`kubectl -n evio-system get pods`, or `systemctl status evio-prosody`).',
      'One: `evio status` and `evio netcheck` there name host, port, certificate or password.',
    ],
    fires: [['evio_signalling_connected{instance="a"}', '0x900'], INFO],
  },
  {
    name: 'EvioRingIncomplete',
    group: 'node',
    severity: 'warning',
    expr: named('(evio_ring_complete == 0)'),
    for: '15m',
    summary: `${NODE} lacks a tunnel to a neighbour on the ring.`,
    means: 'Traffic goes round by others, so that nothing need be lost; one more failure may cut this node off.',
    look: [
      '`evio peers` there: which neighbour has no path? Then the same on that one.',
      'Both behind NATs that cannot be punched need TURN: `evio netcheck` says whether it answers.',
    ],
    fires: [['evio_ring_complete{instance="a"}', '0x900'], INFO],
  },
  {
    name: 'EvioTunnelLoss',
    group: 'node',
    severity: 'warning',
    expr: named('(evio_tunnel_loss_ratio > 0.05)'),
    for: '15m',
    summary: `{{ $value | humanizePercentage }} of probes from ${NODE} to {{ $labels.peer }} are lost.`,
    means:
      'TCP slows down at one percent and crawls at five. It is the line between these two, or a machine that is too busy to send.',
    look: [
      '`evio ping PEER`, and `ping` between the two outside of the overlay: does the line itself lose?',
      'Does every tunnel of one node lose? Then its uplink, or its processor (`top`).',
    ],
    fires: [['evio_tunnel_loss_ratio{instance="a", peer="b"}', '0.2x900'], INFO],
  },
  {
    name: 'EvioMostlyRelayed',
    group: 'node',
    severity: 'info',
    expr: named(
      '(sum by (instance) (evio_tunnels{path="relay"}) / sum by (instance) (evio_tunnels{path!="none"}) > 0.5)',
    ),
    for: '1h',
    summary: `Most tunnels of ${NODE} go by TURN.`,
    means:
      'It works, at the speed and the cost of the relay. Two NATs that give each destination another port cannot do without; others can.',
    look: [
      '`evio netcheck` there: UDP, and what its NAT does.',
      'A firewall that drops UDP 20000-39999 from outside costs direct paths ([ports](install.md#ports)).',
    ],
    fires: [
      ['evio_tunnels{instance="a", path="relay"}', '3x900'],
      ['evio_tunnels{instance="a", path="direct"}', '1x900'],
      INFO,
    ],
  },
  {
    name: 'EvioSwitchAway',
    group: 'node',
    severity: 'critical',
    expr: named('(evio_switch_connected == 0)'),
    for: '5m',
    summary: `The {{ $labels.switch }} switch of ${NODE} is not connected to its agent.`,
    means: 'Flows that are set go on forwarding; nothing new is set: new members and failed tunnels are not followed.',
    look: [
      '`evio status`: is tincan, or Open vSwitch (`systemctl status openvswitch-switch`), there and does it answer?',
    ],
    fires: [['evio_switch_connected{instance="a", switch="ovs"}', '0x900'], INFO],
  },
  {
    name: 'EvioMembersDiffer',
    group: 'node',
    severity: 'warning',
    expr: `max by (overlay) (${named('evio_members')}) - min by (overlay) (${named('evio_members')}) > 0`,
    for: '30m',
    summary: 'Nodes of overlay {{ $labels.overlay }} do not agree on how many members there are.',
    means:
      'News of members and revocations crosses an overlay within minutes. For half an hour means two halves that do not reach each other, or a node that hears nothing.',
    look: ['Which node knows fewer: `evio_members` by instance.', '`evio status` there: signalling and ring.'],
    fires: [
      ['evio_members{instance="a"}', '5x900'],
      ['evio_members{instance="b"}', '3x900'],
      INFO,
      ['evio_node_info{instance="b", node="edge2", overlay="lab"}', '1x900'],
    ],
  },
  {
    name: 'EvioVersionsDiffer',
    group: 'node',
    severity: 'info',
    expr: 'count(count by (agent) (evio_build_info)) > 1',
    for: '1d',
    summary: 'Agents of {{ $value }} versions have run for a day.',
    means: 'An upgrade has not come to its end.',
    look: ['`evio nodes` has the version of each; `kubectl -n evio-system rollout status daemonset/evio-agent`.'],
    fires: [
      ['evio_build_info{instance="a", agent="0.1.0"}', '1x3000'],
      ['evio_build_info{instance="b", agent="0.2.0"}', '1x3000'],
    ],
  },
  {
    name: 'EvioOperatorAway',
    group: 'operator',
    severity: 'critical',
    expr: 'count(last_over_time(evio_operator_leader[1d])) > 0 unless on () sum(evio_operator_leader) > 0',
    for: '10m',
    summary: 'No operator of Evio leads.',
    means:
      'There was one within the last day. The network goes on; no node joins, no certificate is renewed, nobody is revoked.',
    look: [
      '`kubectl -n evio-system get pods -l app.kubernetes.io/component=operator`, its events and its log.',
      '`kubectl -n evio-system get lease evio-operator`: who holds it, since when?',
    ],
    fires: [['evio_operator_leader{instance="o"}', '0x900']],
  },
  {
    name: 'EvioAddressPoolFull',
    group: 'operator',
    severity: 'critical',
    expr: 'max by (network) (evio_operator_network_condition{type="AddressPoolReady", status="False"}) == 1',
    for: '5m',
    summary: 'EvioNetwork {{ $labels.network }} has no address, or no piece for pods, for another node.',
    means: 'Nodes that are there go on. A new one waits: it gets no address, and pods do not start there.',
    look: [
      '`kubectl describe evionetwork`: AddressPoolReady names who waits, and for what.',
      '`nodeCIDRs` and `podCIDRs` may grow; EvioNodes of machines that are gone for good hold theirs until they are deleted (`kubectl get evionodes`).',
    ],
    fires: [
      [
        'evio_operator_network_condition{instance="o", network="default", type="AddressPoolReady", status="False"}',
        '1x900',
      ],
    ],
  },
  {
    name: 'EvioOperatorErrors',
    group: 'operator',
    severity: 'warning',
    expr: 'sum by (controller) (rate(evio_operator_reconciles_total{result="error"}[10m])) > 0.01',
    for: '20m',
    summary: 'The controller {{ $labels.controller }} of the operator keeps failing.',
    means: 'What it works on is not as it is to be, and it tries again with longer pauses.',
    look: [
      'Its log has a line for each failure, with the object.',
      '`kubectl describe evionetwork default`: the conditions name the cause.',
    ],
    fires: [['evio_operator_reconciles_total{instance="o", controller="node", result="error"}', '0+10x900']],
  },
  {
    name: 'EvioOperatorQueue',
    group: 'operator',
    severity: 'warning',
    expr: 'evio_operator_queue_depth > 100',
    for: '20m',
    summary: '{{ $value }} objects wait for the controller {{ $labels.controller }}.',
    means: 'The operator does not keep up: joins and renewals are late.',
    look: [
      'Is one reconcile slow (`evio_operator_reconcile_duration_seconds`), or does the API server refuse (`evio_operator_api_requests_total` by status)?',
      'Does it reach its limits of processor and memory?',
    ],
    fires: [['evio_operator_queue_depth{instance="o", controller="node"}', '200x900']],
  },
  {
    name: 'EvioOperatorWatchSilent',
    group: 'operator',
    severity: 'warning',
    expr: 'evio_operator_watch_age_seconds > 300',
    for: '10m',
    summary: 'The operator has heard nothing of {{ $labels.kind }} for {{ $value | humanizeDuration }}.',
    means: 'A sound watch hears a bookmark each minute. What the operator sees of this kind may be old.',
    look: ['Is the API server reached from its node?', 'Its log says when a watch ended and why.'],
    fires: [['evio_operator_watch_age_seconds{instance="o", kind="Node"}', '900x900']],
  },
];
