/** Two Grafana dashboards, as Grafana imports them (schema 39, Grafana 10 and later). */

export interface Target {
  readonly expr: string;
  /** What a series is called: `{{node}}`. */
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  /** What it shows, and when it is bad. */
  readonly about: string;
  readonly kind: 'timeseries' | 'stat' | 'table';
  readonly unit?: string;
  /** Of 24 columns. */
  readonly width: number;
  readonly targets: readonly Target[];
  /** Red from here; with `below`, red below it. */
  readonly red?: { readonly at: number; readonly below?: boolean };
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  /** Chosen at the top: a label of a metric. */
  readonly variables: readonly { readonly name: string; readonly query: string; readonly many: boolean }[];
  readonly rows: readonly Row[];
}

/** Gives a series of one agent that node's name, for the overlays that are chosen. */
const named = (expr: string): string => `${expr} * on (instance) group_left (node) evio_node_info{overlay=~"$overlay"}`;
/** Of the node that is chosen. */
const here = (expr: string): string => `${expr} and on (instance) evio_node_info{overlay=~"$overlay", node="$node"}`;

const OVERLAY = { name: 'overlay', query: 'label_values(evio_node_info, overlay)', many: true } as const;
const HEIGHT = { stat: 4, timeseries: 8, table: 8 } as const;

export const DASHBOARDS: readonly Dashboard[] = [
  {
    file: 'evio-network.json',
    uid: 'evio-network',
    title: 'Evio / network',
    about: 'All nodes of an overlay, and the operator.',
    variables: [OVERLAY],
    rows: [
      {
        title: 'How it is',
        panels: [
          stat('Agents', 'Agents that Prometheus reads.', [
            { expr: 'count(evio_node_info{overlay=~"$overlay"})', legend: 'agents' },
          ]),
          stat('Members', 'As the node that knows most has it.', [
            { expr: `max(${named('evio_members')})`, legend: 'members' },
          ]),
          stat(
            'Nodes with a fault',
            'Nodes whose evio status ends with 1.',
            [
              {
                expr: `count(max by (instance) (${named('evio_finding{severity="error"}')})) or vector(0)`,
                legend: 'nodes',
              },
            ],
            { at: 1 },
          ),
          stat(
            'Signalling',
            'Share of nodes in the room on the XMPP server.',
            [{ expr: `avg(${named('evio_signalling_connected')})`, legend: 'connected' }],
            { at: 1, below: true },
            'percentunit',
          ),
          stat(
            'Ring',
            'Share of nodes with a tunnel to each neighbour.',
            [{ expr: `avg(${named('evio_ring_complete')})`, legend: 'complete' }],
            { at: 1, below: true },
            'percentunit',
          ),
          stat(
            'Relayed',
            'Share of tunnels that go by TURN.',
            [
              {
                expr: `sum(${named('evio_tunnels{path="relay"}')}) / sum(${named('evio_tunnels{path!="none"}')})`,
                legend: 'relayed',
              },
            ],
            undefined,
            'percentunit',
          ),
        ],
      },
      {
        title: 'Faults and tunnels',
        panels: [
          {
            title: 'Faults and warnings',
            about: 'By cause (docs/diagnosis.md) and node.',
            kind: 'table',
            width: 12,
            targets: [{ expr: named('evio_finding'), legend: '{{node}} {{code}}' }],
          },
          series('Tunnels by path', 'Relayed and via cost speed; none is a neighbour that is not reached.', [
            { expr: `sum by (path) (${named('evio_tunnels')})`, legend: '{{path}}' },
          ]),
          series(
            'Throughput',
            'What nodes send by their tunnels.',
            [
              {
                expr: `sum by (node) (${named('rate(evio_tunnel_bytes_total{direction="sent"}[$__rate_interval])')})`,
                legend: '{{node}}',
              },
            ],
            'Bps',
          ),
          series(
            'Worst loss',
            'Probes that were lost, by node: above one percent TCP slows down.',
            [{ expr: `topk(10, max by (node) (${named('evio_tunnel_loss_ratio')}))`, legend: '{{node}}' }],
            'percentunit',
          ),
          series(
            'Slowest tunnels',
            'Round trips.',
            [{ expr: `topk(10, ${named('evio_tunnel_rtt_seconds')})`, legend: '{{node}} to {{peer}}' }],
            's',
          ),
          series(
            'Certificates',
            'Time that is left; they are renewed long before.',
            [
              {
                expr: `bottomk(10, ${named('(evio_certificate_expiry_timestamp_seconds - time())')})`,
                legend: '{{node}}',
              },
            ],
            's',
          ),
        ],
      },
      {
        title: 'Operator',
        panels: [
          series('Reconciles', 'By controller and result.', [
            {
              expr: 'sum by (controller, result) (rate(evio_operator_reconciles_total[$__rate_interval]))',
              legend: '{{controller}} {{result}}',
            },
          ]),
          series(
            'Reconcile time',
            'Ninety-five of a hundred are shorter.',
            [
              {
                expr: 'histogram_quantile(0.95, sum by (controller, le) (rate(evio_operator_reconcile_duration_seconds_bucket[$__rate_interval])))',
                legend: '{{controller}}',
              },
            ],
            's',
          ),
          series('Queues', 'Objects that wait.', [
            { expr: 'sum by (controller) (evio_operator_queue_depth)', legend: '{{controller}}' },
          ]),
          series('Requests to the API server', 'By status; 0 is no answer.', [
            {
              expr: 'sum by (status) (rate(evio_operator_api_requests_total[$__rate_interval]))',
              legend: '{{status}}',
            },
          ]),
        ],
      },
    ],
  },
  {
    file: 'evio-node.json',
    uid: 'evio-node',
    title: 'Evio / node',
    about: 'One node: its tunnels, its processes, what is wrong with it.',
    variables: [
      OVERLAY,
      { name: 'node', query: 'label_values(evio_node_info{overlay=~"$overlay"}, node)', many: false },
    ],
    rows: [
      {
        title: 'How it is',
        panels: [
          stat('tincan', '1: it runs and carries frames.', [{ expr: here('evio_tincan_up'), legend: 'tincan' }], {
            at: 1,
            below: true,
          }),
          stat(
            'Signalling',
            '1: in the room on the XMPP server.',
            [{ expr: here('evio_signalling_connected'), legend: 'signalling' }],
            { at: 1, below: true },
          ),
          stat('Ring', '1: a tunnel to each neighbour.', [{ expr: here('evio_ring_complete'), legend: 'ring' }], {
            at: 1,
            below: true,
          }),
          stat('NAT', 'Its class.', [{ expr: here('evio_nat_type_info'), legend: '{{type}}' }]),
          stat(
            'Certificate',
            'Time that is left.',
            [{ expr: here('(evio_certificate_expiry_timestamp_seconds - time())'), legend: 'left' }],
            { at: 86_400, below: true },
            's',
          ),
          stat(
            'Switch',
            '1: connected to its agent.',
            [{ expr: here('evio_switch_connected'), legend: '{{switch}}' }],
            { at: 1, below: true },
          ),
          stat('Version', 'Of the agent, and of tincan.', [
            { expr: here('evio_build_info'), legend: '{{agent}} / {{tincan}}' },
          ]),
        ],
      },
      {
        title: 'Tunnels',
        panels: [
          {
            title: 'Faults and warnings',
            about: 'By cause (docs/diagnosis.md).',
            kind: 'table',
            width: 12,
            targets: [{ expr: here('evio_finding'), legend: '{{code}}' }],
          },
          series('Neighbours by path', 'none: not reached.', [{ expr: here('evio_tunnels'), legend: '{{path}}' }]),
          series('Tunnels', '1: up, by the path that is named.', [
            { expr: here('evio_tunnel_up'), legend: '{{peer}} {{path}}' },
          ]),
          series('Addresses for pods', 'Of each piece of the node.', [
            { expr: here('evio_pod_addresses'), legend: '{{subnet}} {{state}}' },
          ]),
          series('Members', 'That this node knows.', [{ expr: here('evio_members'), legend: 'members' }]),
          series(
            'Sent, by neighbour',
            'By its tunnel.',
            [
              {
                expr: here('rate(evio_tunnel_bytes_total{direction="sent"}[$__rate_interval])'),
                legend: '{{peer}}',
              },
            ],
            'Bps',
          ),
          series(
            'Received, by neighbour',
            'By its tunnel.',
            [
              {
                expr: here('rate(evio_tunnel_bytes_total{direction="received"}[$__rate_interval])'),
                legend: '{{peer}}',
              },
            ],
            'Bps',
          ),
          series('Round trips', 'By neighbour.', [{ expr: here('evio_tunnel_rtt_seconds'), legend: '{{peer}}' }], 's'),
          series(
            'Loss',
            'Probes that were lost, by neighbour.',
            [{ expr: here('evio_tunnel_loss_ratio'), legend: '{{peer}}' }],
            'percentunit',
          ),
        ],
      },
      {
        title: 'Processes',
        panels: [
          series(
            'Memory',
            'Resident.',
            [
              { expr: here('evio_agent_resident_memory_bytes'), legend: 'agent' },
              { expr: here('evio_tincan_resident_memory_bytes'), legend: 'tincan' },
            ],
            'bytes',
          ),
          series(
            'Uptime',
            'A fall is a restart.',
            [
              { expr: here('evio_agent_uptime_seconds'), legend: 'agent' },
              { expr: here('evio_tincan_uptime_seconds'), legend: 'tincan' },
            ],
            's',
          ),
          series('Flows in the switch', 'Of tincan and of Open vSwitch.', [
            { expr: here('evio_switch_flows'), legend: '{{switch}}' },
          ]),
          series('What is counted', 'The ten that rise fastest; docs/operations.md explains those of bad input.', [
            { expr: `topk(10, ${here('rate(evio_events_total[$__rate_interval]) > 0')})`, legend: '{{name}}' },
          ]),
        ],
      },
    ],
  },
];

function stat(title: string, about: string, targets: readonly Target[], red?: Panel['red'], unit?: string): Panel {
  return { title, about, kind: 'stat', width: 4, targets, ...(red && { red }), ...(unit && { unit }) };
}

function series(title: string, about: string, targets: readonly Target[], unit?: string): Panel {
  return { title, about, kind: 'timeseries', width: 12, targets, ...(unit && { unit }) };
}

const SOURCE = { type: 'prometheus', uid: `$\{datasource}` } as const;

/** The text of a dashboard's file. */
export function dashboardText({ uid, title, about, variables, rows }: Dashboard): string {
  const panels: object[] = [];
  let y = 0;
  for (const row of rows) {
    panels.push({
      type: 'row',
      title: row.title,
      id: panels.length + 1,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: 24, h: 1 },
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      if (x + panel.width > 24) [x, y, height] = [0, y + height, 0];
      const h = HEIGHT[panel.kind];
      panels.push(panelOf(panel, panels.length + 1, { x, y, w: panel.width, h }));
      [x, height] = [x + panel.width, Math.max(height, h)];
    }
    y += height;
  }
  return `${JSON.stringify(
    {
      uid,
      title,
      description: about,
      tags: ['evio'],
      schemaVersion: 39,
      version: 1,
      editable: true,
      graphTooltip: 1,
      refresh: '30s',
      time: { from: 'now-3h', to: 'now' },
      timezone: '',
      templating: {
        list: [
          { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' },
          ...variables.map(variableOf),
        ],
      },
      links: [],
      annotations: { list: [] },
      panels,
    },
    null,
    2,
  )}\n`;
}

const variableOf = ({ name, query, many }: Dashboard['variables'][number]): object => ({
  name,
  label: name,
  type: 'query',
  datasource: SOURCE,
  definition: query,
  query: { query, refId: name },
  refresh: 2,
  sort: 1,
  multi: many,
  includeAll: many,
  ...(many ? { allValue: '.*', current: { text: ['All'], value: ['$__all'] } } : {}),
});

function panelOf({ title, about, kind, unit, targets, red }: Panel, id: number, gridPos: object): object {
  const steps =
    red === undefined
      ? [{ color: 'green', value: null }]
      : red.below === true
        ? [
            { color: 'red', value: null },
            { color: 'green', value: red.at },
          ]
        : [
            { color: 'green', value: null },
            { color: 'red', value: red.at },
          ];
  const byName = targets.every(({ legend }) => /^\{\{(type|agent)\}\}/.test(legend));
  return {
    id,
    type: kind,
    title,
    description: about,
    datasource: SOURCE,
    gridPos,
    fieldConfig: {
      defaults: {
        unit: unit ?? 'short',
        min: kind === 'timeseries' ? 0 : undefined,
        thresholds: { mode: 'absolute', steps },
      },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'] },
            textMode: byName ? 'name' : 'auto',
            colorMode: 'value',
            graphMode: 'none',
          }
        : kind === 'table'
          ? { showHeader: true }
          : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    ...(kind === 'table'
      ? {
          transformations: [
            {
              id: 'organize',
              options: { excludeByName: { Time: true, Value: true, instance: true, job: true, __name__: true } },
            },
          ],
        }
      : {}),
    targets: targets.map(({ expr, legend }, i) => ({
      refId: String.fromCharCode(65 + i),
      datasource: SOURCE,
      expr,
      legendFormat: legend,
      ...(kind === 'table'
        ? { format: 'table', instant: true }
        : kind === 'stat'
          ? { instant: true }
          : { range: true }),
    })),
  };
}
