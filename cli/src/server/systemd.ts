/** Both servers as systemd services of our own, beside the packages' ones, whose configuration stays as it is. */

import { existsSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { TRAFFIC_NICE } from '../../../agent/src/io/priority.ts';
import { Failure, UsageError } from '../failure.ts';
import { mustRun, run } from '../process.ts';
import { putFile, type ServerLayout } from './layout.ts';
import { portProblem } from './ready.ts';
import { type Service, servicesOf } from './services.ts';
import { type ServerSettings, XMPP_NAMES } from './settings.ts';

const UNITS = '/etc/systemd/system';
const READY_MS = 20_000;

/** sd_booted(3) */
export const hasSystemd = (): boolean => existsSync('/run/systemd/system');

/** What PrivateTmp= puts empty directories in the place of (systemd.exec(5)). */
const REPLACED = ['/tmp', '/var/tmp'] as const;

/** Throws a UsageError when services could not see what is in `dir`, which need not be there yet. */
export function refuseUnseen(dir: string): void {
  const real = realPath(resolve(dir));
  const above = REPLACED.find((place) => `${real}${sep}`.startsWith(`${place}${sep}`));
  if (above === undefined) return;
  throw new UsageError(
    `--dir: ${dir} is below ${above}, of which systemd services have their own (PrivateTmp); give another --dir, or --foreground to run the servers without systemd`,
  );
}

/** Where links lead, as far as the path is there. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(realPath(above), path.slice(above.length));
  }
}

const unitName = (service: Service): string => `evio-${service.name}.service`;

/** systemd.syntax(7): a path in a command is quoted, and "%" is doubled. */
export const quoted = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;

export function unitText(service: Service): string {
  const [program, ...args] = service.command;
  const writable = service.writes === undefined ? '' : `ReadWritePaths=${quoted(service.writes)}\n`;
  const environment = Object.entries(service.environment)
    .map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}\n`)
    .join('');
  // Nice counts within a control group, the weight between them.
  const priority = service.carriesTraffic ? `Nice=${TRAFFIC_NICE}\nCPUWeight=1000\n` : '';
  return `# Written by "evio server init".
[Unit]
Description=Evio: ${service.name}
After=network-online.target
Wants=network-online.target

[Service]
User=${service.user}
Group=${service.user}
${environment}ExecStart=/usr/bin/${program} ${args.map(quoted).join(' ')}
Restart=always
RestartSec=2
${priority}NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
${writable}ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK

[Install]
WantedBy=multi-user.target
`;
}

/** Writes, enables and (re)starts both units, and waits until both servers answer. */
export async function installUnits(layout: ServerLayout, settings: ServerSettings): Promise<void> {
  const services = servicesOf(layout, settings);
  for (const name of XMPP_NAMES) if (name !== settings.xmpp) await removeUnit(`evio-${name}.service`);
  for (const service of services) putFile(`${UNITS}/${unitName(service)}`, unitText(service), 0o644);
  await mustRun('systemd does not take the units', 'systemctl', ['daemon-reload']);
  for (const service of services) {
    await run('systemctl', ['stop', unitName(service)]);
    for (const { protocol, address, port } of service.ports) {
      const problem = await portProblem(protocol, address, port);
      if (problem !== undefined)
        throw new Failure(`${problem} (the package's own service? systemctl disable --now ${service.name})`);
    }
    await mustRun(`cannot start ${unitName(service)}`, 'systemctl', ['enable', '--now', unitName(service)]);
  }
  for (const service of services) await awaitReady(service);
}

/** Of the XMPP server that was chosen before: its port is the other one's now. Its folder stays. */
async function removeUnit(unit: string): Promise<void> {
  const file = `${UNITS}/${unit}`;
  if (!existsSync(file)) return;
  await mustRun(`cannot stop ${unit}`, 'systemctl', ['disable', '--now', unit]);
  rmSync(file, { force: true });
}

async function awaitReady(service: Service): Promise<void> {
  const until = performance.now() + READY_MS;
  const ready = service.readiness();
  while (!(await ready())) {
    if (performance.now() > until) {
      throw new Failure(
        `${unitName(service)} does not answer after ${READY_MS / 1000} s; see: journalctl -u ${unitName(service)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
