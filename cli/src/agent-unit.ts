/** A node as a systemd service (systemd.service(5)). */
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { quoted } from './server/systemd.ts';

/** Where systemd looks for programs (systemd.exec(5)). */
const PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export interface Program {
  readonly argv: readonly string[];
  readonly execPath: string;
}

/** What is different from one unit of a node to the other. */
export interface UnitWords {
  /** The comment in its first line. */
  readonly written: string;
  readonly description: string;
  /** Further lines of [Unit]. */
  readonly unit?: readonly string[];
  /** As ExecStart= takes it: quoted, with "%" doubled unless a specifier is meant. */
  readonly command: string;
  /** What the program needs in its environment: `NAME=value`. */
  readonly environment?: string | undefined;
}

/** The node file is read: a unit for one that is wrong would help nobody. */
export function agentUnit(config: string, program: Program): string {
  const file = resolve(config);
  const { name } = loadNodeConfig(file);
  const script = program.argv[1] ?? '';
  // Shipped, the launcher beside the bundle finds Node.js; in the source tree there is none.
  const command = basename(script) === 'evio.mjs' ? [join(dirname(script), 'evio')] : [program.execPath, script];
  const node = dirname(program.execPath);
  return unitText({
    written: 'Written by "evio agent unit".',
    description: `Evio: node ${name.replaceAll('%', '%%')}`,
    command: [...command, 'agent', 'run', '--config', file].map(quoted).join(' '),
    environment: PATH.includes(node) ? undefined : `PATH=${[node, ...PATH].join(delimiter)}`,
  });
}

/** The unit of every node, whoever installs it. */
export function unitText({ written, description, unit = [], command, environment }: UnitWords): string {
  return `# ${written}
[Unit]
Description=${description}
After=network-online.target
Wants=network-online.target
# After a boot the node has its address before a kubelet that is told it (--node-ip), and would end without. Whether it is there or not.
Before=kubelet.service kube-proxy.service k3s.service k3s-agent.service
StartLimitIntervalSec=0
${unit.map((line) => `${line}\n`).join('')}
[Service]
# Started means that the overlay's interface is there.
Type=notify
ExecStart=${command}
${environment === undefined ? '' : `Environment=${quoted(environment)}\n`}# tincan stays when the agent is stopped or restarted, and carries traffic on; "evio agent stop" ends both for good.
KillMode=process
Restart=on-failure
RestartSec=1
# An agent that is stuck, as a native library may make it, is ended without a word and started again.
WatchdogSec=60
WatchdogSignal=SIGKILL
# Traffic goes through it: a busy machine must not make it wait. (Within the unit, agent and tincan raise themselves.)
CPUWeight=1000
# When memory is short, others go first; should the agent be ended all the same, tincan stays and systemd starts it again.
OOMScoreAdjust=-500
OOMPolicy=continue
# A wrong node file does not become right by trying again.
RestartPreventExitStatus=2
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
`;
}
