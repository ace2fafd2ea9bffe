/** `evio agent run --kubernetes`: the agent of a cluster's node in this process, to its end; or everything of it off this machine. */
import { createLog } from '../../agent/src/io/log.ts';
import { type KubernetesArguments, kubernetesOptions, parseKubernetesArguments } from './kubernetes-options.ts';
import { report } from './report.ts';

/** Does not return. */
export async function runKubernetesHere(given: KubernetesArguments, cleanup: boolean): Promise<never> {
  let code: number;
  try {
    const options = kubernetesOptions(given, process.env, process.argv[1] ?? '');
    const log = createLog(
      { level: options.logLevel, format: options.logFormat },
      { component: 'agent', node: options.nodeName },
    );
    if (cleanup) {
      const { cleanUp } = await import('../../agent/src/io/kube-cleanup.ts');
      code = await cleanUp(options, log);
    } else {
      const { runKubernetesAgent } = await import('../../agent/src/kubernetes.ts');
      code = await runKubernetesAgent(options, log);
    }
  } catch (error) {
    code = report(error);
  }
  // WebRTC's threads do not end by themselves.
  process.exit(code);
}

/** The words after `agent run`, read without the command line's parser, which the agent would keep in memory. Does not return. */
export async function runKubernetesLine(argv: readonly string[]): Promise<never> {
  let parsed: ReturnType<typeof parseKubernetesArguments>;
  try {
    parsed = parseKubernetesArguments(argv);
  } catch (error) {
    process.exit(report(error));
  }
  return runKubernetesHere(parsed.given, parsed.cleanup);
}
