/**
 * What the chart's Jobs run, in the operator's image:
 *
 *   evio-chart.mjs apply-network SPEC_JSON
 *   evio-chart.mjs uninstall SECONDS
 *   evio-chart.mjs connectivity PODS SECONDS      (POD_NAME, POD_NAMESPACE)
 */
import { apiOf, inCluster } from './api.ts';
import { testConnectivity } from './connectivity.ts';
import { applyNetwork, removeNetwork, type Time } from './network.ts';

const APPLY_MS = 90_000;

const time: Time = {
  now: () => performance.now(),
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (text: string | undefined): number => {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`"${text ?? ''}" is no number of seconds`);
  return value * 1_000;
};

async function run([verb, first, second]: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const api = apiOf(inCluster(env));
  switch (verb) {
    case 'apply-network':
      return applyNetwork(api, JSON.parse(first ?? '{}'), APPLY_MS, time, say);
    case 'uninstall':
      return removeNetwork(api, seconds(first), time, say);
    case 'connectivity': {
      const { POD_NAME: pod = '', POD_NAMESPACE: namespace = '' } = env;
      // The Job's own end comes later, so that this says what is wrong.
      const timeoutMs = seconds(second) - 10_000;
      return testConnectivity(api, { pod, namespace, pods: Number(first), timeoutMs }, time, say);
    }
    default:
      throw new Error(`unknown verb "${verb ?? ''}"`);
  }
}

try {
  await run(process.argv.slice(2), process.env);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
