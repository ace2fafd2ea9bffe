/** Tells systemd how the service is (sd_notify(3)), where it has asked to be told: a unit with Type=notify. */
import { spawn } from 'node:child_process';

/** Node.js has no datagram unix sockets; `systemd-notify` comes with systemd. */
export function tellSystemd(...state: readonly string[]): void {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  const child = spawn('systemd-notify', [...state], { stdio: 'ignore' });
  // Then systemd waits in vain, and says so itself.
  child.on('error', () => undefined);
  child.unref();
}
