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

/** While the event loop turns, tells systemd so, three times in what WatchdogSec= allows (sd_watchdog_enabled(3)). */
export function feedWatchdog(): void {
  const { WATCHDOG_USEC, WATCHDOG_PID } = process.env;
  const allowedMs = Number(WATCHDOG_USEC ?? 0) / 1_000;
  // Whoever is started by a watched program inherits the words, not the duty.
  if (!(allowedMs > 0) || (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid)) return;
  setInterval(() => tellSystemd('WATCHDOG=1'), allowedMs / 3).unref();
}
