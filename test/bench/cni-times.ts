/**
 * Times ADD and DEL of a CNI plugin, whole processes each; runs within the node's network namespace, so that nothing but the plugin is
 * counted. As the timing test of evio-cni does it (cni-plugin/tests/timing.rs).
 *
 *   node cni-times.ts PROGRAM CONFIGURATION NETNS TIMES      prints {"add":[ms...],"del":[ms...]}
 */
import { spawnSync } from 'node:child_process';

const [program = '', input = '', netns = '', times = '0'] = process.argv.slice(2);
const found = { add: [] as number[], del: [] as number[] };
for (let i = 0; i < Number(times); i++) {
  for (const verb of ['add', 'del'] as const) {
    const env = {
      ...{ CNI_COMMAND: verb.toUpperCase(), CNI_CONTAINERID: `bench-${i}`, CNI_NETNS: netns, CNI_IFNAME: 'eth0' },
      ...{ CNI_PATH: '/usr/lib/cni', PATH: process.env.PATH },
    };
    const started = performance.now();
    const done = spawnSync(program, [], { input, env, encoding: 'utf8' });
    found[verb].push(performance.now() - started);
    if (done.status !== 0) {
      process.stderr.write(`${program} ${verb}: ${done.error?.message ?? `${done.stdout}${done.stderr}`.trim()}\n`);
      process.exit(1);
    }
  }
}
process.stdout.write(`${JSON.stringify(found)}\n`);
