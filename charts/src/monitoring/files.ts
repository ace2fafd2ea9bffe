/** What is written of alerts and dashboards: for the chart, for a Prometheus without Kubernetes, and the runbooks. */
import { stringify } from 'yaml';
import { ALERTS, type Alert } from './alerts.ts';
import { DASHBOARDS, dashboardText } from './dashboards.ts';

/** As a rules file of Prometheus has it, and the spec of a PrometheusRule. */
export const ruleGroups = (): object => ({
  groups: (['node', 'operator'] as const).map((group) => ({
    name: `evio-${group}`,
    rules: ALERTS.filter((alert) => alert.group === group).map(ruleOf),
  })),
});

const ruleOf = ({ name, expr, severity, summary, means, for: lasts }: Alert): object => ({
  alert: name,
  expr,
  for: lasts,
  labels: { severity },
  annotations: {
    summary,
    description: means.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1'),
    runbook: `docs/runbooks.md#${name.toLowerCase()}`,
  },
});

const MADE = '# Made from charts/src/monitoring by "node hack/generated.ts": change that, not this file.\n';
const rulesText = (): string => MADE + stringify(ruleGroups(), { lineWidth: 0 });

export function runbooksPage(): string {
  const sections = ALERTS.map(
    ({ name, severity, means, look, expr, for: lasts }) =>
      `## ${name}\n\n${severity}, after ${lasts}. ${means}\n\n${look.map((step, i) => `${i + 1}. ${step}\n`).join('')}\n    ${expr}\n`,
  );
  return `# Runbooks

What to do when an alert of Evio rings: what it means, and where to look, in this order. The rules are in \`manifests/monitoring/alerts.yaml\` for any Prometheus
(\`rule_files\`), and in the chart as a PrometheusRule (\`monitoring.rules\`); how Prometheus reads agents is in [metrics.md](metrics.md). Two dashboards for Grafana stand beside
them: \`evio-network.json\` (all nodes and the operator) and \`evio-node.json\` (one node).

<!-- Made from charts/src/monitoring/alerts.ts by hack/generated.ts: change that, not this file. -->

${sections.join('\n')}`;
}

/** The chart may read files of its own only: what is in manifests/ stands there too. */
export const monitoringFiles = (): readonly { readonly file: string; readonly make: () => string }[] => [
  ...['charts/evio/files/monitoring', 'manifests/monitoring'].flatMap((folder) => [
    { file: `${folder}/alerts.yaml`, make: rulesText },
    ...DASHBOARDS.map((dashboard) => ({ file: `${folder}/${dashboard.file}`, make: () => dashboardText(dashboard) })),
  ]),
  { file: 'docs/runbooks.md', make: runbooksPage },
];
