/** What of this machine and this process decides whether a node can run. */
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Surroundings } from '../obstacle.ts';

export function surroundings(): Surroundings {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return {
    euid: process.geteuid?.() ?? -1,
    capabilities: BigInt(`0x${capabilities}`),
    tunError: openError('/dev/net/tun'),
    release: release(),
  };
}

function openError(path: string): string | undefined {
  try {
    closeSync(openSync(path, constants.O_RDWR));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
