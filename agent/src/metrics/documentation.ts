/** docs/metrics.md, made from the catalogue: `node hack/generated.ts`. */
import { METRICS } from './catalogue.ts';

const HEAD = `# Metrics

The agent answers \`GET /metrics\` in Prometheus' text format. It is off unless asked for:

- a node with a node file: \`"metrics": {"port": 9105}\`, on 127.0.0.1 alone, with \`/livez\` and \`/readyz\` beside it (docs/configuration.md);
- a node of a cluster: beside the probes, at \`127.0.0.1:10456\` (\`--health-port\`), and where the chart has \`agent.metricsPort\` at the node's overlay
  addresses too: pods and other nodes reach it there, and a connection to any other address is closed. A Prometheus in the cluster asks a pod's
  address, which for an agent is its Node's InternalIP: the overlay's where Evio gives nodes their addresses ([install.md](install.md)).

Only this machine reaches those on 127.0.0.1: a Prometheus elsewhere reads them by an agent of its own on the node (Prometheus' agent mode, Grafana Alloy,
vector). With the Prometheus operator: \`--set agent.metricsPort=10455 --set monitoring.podMonitors=true,monitoring.rules=true,monitoring.dashboards=true\`; alerts and
dashboards for others are in \`manifests/monitoring\`, what to do when one rings in [runbooks.md](runbooks.md). Nothing secret is in them; names of nodes are. There is one series for a metric and each value of its labels: \`peer\` is a
neighbour, of which a node has O(log n), and at most 64 are told; \`name\` and \`code\` are words of lists that stand in the code.

The operator has metrics of its own, at \`/metrics\` beside its probes: they stand below, without those that prom-client has of every Node.js process.

<!-- Made from agent/src/metrics/catalogue.ts by hack/generated.ts: change the catalogue, not this file. -->

| metric | type | labels | what |
|---|---|---|---|
`;

/** The whole page. `operator`: the metrics of that. */
export function metricsPage(operator: readonly Documented[]): string {
  return `${HEAD}${METRICS.map(row).join('')}
## The operator

| metric | type | labels | what |
|---|---|---|---|
${operator.map(row).join('')}`;
}

interface Documented {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

const row = ({ name, type, labels, help }: Documented): string =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |\n`;
