/**
 * Where the shipped program begins: an old Node.js gets one clear line instead of a syntax error, so nothing is imported
 * before its version is known; an agent is started without the command line's parser, which it would keep in memory
 * (yargs: 15 MB resident) for as long as it runs; and what is asked often is answered without it.
 */

const MIN_MAJOR = 26;

/** The file of `agent run --config FILE`; anything else, and anything wrong, is the parser's. */
function agentFile(args: readonly string[]): string | undefined {
  if (args[0] !== 'agent' || args[1] !== 'run') return undefined;
  if (args.length === 3 && args[2]?.startsWith('--config=')) return args[2].slice('--config='.length) || undefined;
  return args.length === 4 && args[2] === '--config' && !args[3]?.startsWith('-') ? args[3] : undefined;
}

/** Whether this is an agent of a cluster's node; the words after `agent run` are its options. Help is the parser's. */
const inCluster = (args: readonly string[]): boolean =>
  args[0] === 'agent' && args[1] === 'run' && args.includes('--kubernetes') && !args.includes('--help');

if (Number(process.versions.node.split('.')[0]) < MIN_MAJOR) {
  process.stderr.write(
    `evio: Node.js ${MIN_MAJOR} or later is needed, ${process.execPath} is ${process.versions.node}; ` +
      'put a newer "node" first in PATH, or beside the evio command\n',
  );
  process.exitCode = 1;
} else {
  const args = process.argv.slice(2);
  const file = agentFile(args);
  const quick = (await import('./quick.ts')).quickLine(args);
  if (inCluster(args)) await (await import('./run-kubernetes.ts')).runKubernetesLine(args.slice(2));
  else if (quick !== undefined) await (await import('./run-quick.ts')).runQuick(quick);
  else if (file === undefined) await import('./main.ts');
  else await (await import('./run-agent.ts')).runAgentHere(file);
}
