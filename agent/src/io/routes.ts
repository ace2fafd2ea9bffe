/** The routes of this machine. */
import { readFileSync } from 'node:fs';
import { type Route, routes4, routes6 } from '../kube/conflict.ts';

/** Of the main table; none of a family that the kernel does not have. */
export function readRoutes(): readonly Route[] {
  return [...routes4(read('/proc/net/route')), ...routes6(read('/proc/net/ipv6_route'))];
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
