/**
 * Knowing a configuration of the original EdgeVPN.io when it is given for a node file: who moves over tries that first, and a list
 * of unknown keys would not say what to do. What becomes of its keys is the matter of `evio config import` (cli/src/import).
 */

/** Its modules, versions 20 to 24: the top level of its configuration. */
export const ORIGINAL_MODULES = [
  'Broker',
  'CFx',
  'Logger',
  'Signal',
  'Topology',
  'NetworkBuilder',
  'NetworkOperations',
  'LinkManager',
  'TincanTunnel',
  'TincanInterface',
  'GeneveTunnel',
  'BridgeController',
  'OverlayVisualizer',
  'UsageReport',
] as const;

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a JSON value is such a configuration: a module of it, and no `apiVersion`. */
export function isOriginal(value: unknown): value is Json {
  if (!isObject(value) || Object.hasOwn(value, 'apiVersion')) return false;
  return ORIGINAL_MODULES.some((name) => Object.hasOwn(value, name) && isObject(value[name]));
}

/** Said of a file that is one, where a node file belongs. */
export const originalProblem = (file: string): string =>
  `it is a configuration of the original EdgeVPN.io, not a node file; evio config import ${file} says what becomes of it`;
