/** Why no agent runs: what of this machine would keep one from running, so far as it can be seen from outside. */
import { connect } from 'node:net';
import { join } from 'node:path';
import type { NodeConfig } from '../../agent/src/config/node-config.ts';
import { placeFinding } from '../../agent/src/diagnosis/diagnose.ts';
import { type Finding, finding, sorted } from '../../agent/src/diagnosis/finding.ts';
import { identityFindings } from '../../agent/src/diagnosis/identity.ts';
import { surroundings } from '../../agent/src/io/surroundings.ts';
import { placesOf } from '../../agent/src/node-facts.ts';
import { obstacleOf } from '../../agent/src/obstacle.ts';
import { Clock } from '../../agent/src/signal/clock.ts';
import { isRevoked } from '../../agent/src/wire/revocations.ts';
import { holderOf } from './udp-port.ts';

/** What can be said without a node file. */
export function machineFindings(): readonly Finding[] {
  const wrong = obstacleOf(surroundings());
  if (wrong === undefined) return [];
  const [, what, fix] = /^(.*?): (.*)$/.exec(wrong.text) ?? [undefined, wrong.text, 'see docs/operations.md'];
  return [finding(wrong.code, what ?? wrong.text, fix ?? '')];
}

/** What can be said with it. */
export async function awayFindings(config: NodeConfig, wallMs: number): Promise<readonly Finding[]> {
  const { file, name, identity, overlay, network, runDir } = config;
  const { certificate } = identity;
  const tincan = await answers(join(runDir, 'control.sock'));
  const clock = new Clock(certificate);
  clock.observe(overlay.parameters.issued);
  clock.setWall(wallMs / 1000, 0);
  const port = network.udpPort === 0 ? derivedPort(certificate.label) : network.udpPort;
  const holder = tincan ? undefined : holderOf(port);
  return sorted([
    ...machineFindings(),
    ...placesOf(config).map(placeFinding),
    ...(holder === undefined
      ? []
      : [
          finding(
            'port-taken',
            `UDP port ${port} is taken${holder.pid === undefined ? '' : ` by ${holder.name} (pid ${holder.pid})`}`,
            `end that program, or set another network.udpPort in ${file}`,
          ),
        ]),
    ...identityFindings({
      file,
      name,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      clock: clock.state(0),
      known: clock.known(0),
      revoked: isRevoked(overlay.revocations, certificate.nodeId, certificate.serial),
      displacedBy: undefined,
      twin: false,
    }),
    // What may be the reason stands before it.
    finding(
      'agent-away',
      `no agent runs for ${file}${tincan ? '; its tincan carries on' : ''}`,
      `start it: systemctl start evio, or evio agent run --config ${file}`,
    ),
  ]);
}

/** The port that a label stands for (docs/wire.md §8). */
const derivedPort = (label: bigint): number => 20_000 + Number(label % 20_000n);

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
