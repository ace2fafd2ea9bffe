/**
 * What happens each time a control connection stands: tincan gets this node's identity, and tells which tunnels it still has. Members
 * and tunnels follow by the agent's machine.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { NodeConfig } from './config/node-config.ts';
import { hostPortOf } from './config/service.ts';
import { type Control, ControlError } from './io/control.ts';
import { readHello, readTunnels, type TincanHello, type TincanTunnel } from './tincan.ts';
import { VERSION } from './version.ts';
import { formatEndpoint, formatPrefix, isWithin } from './wire/address.ts';

/** Creating bridge and tap may wait for the kernel. */
const CONFIGURE_TIMEOUT_MS = 10_000;

export interface Link {
  readonly hello: TincanHello;
  readonly tunnels: readonly TincanTunnel[];
}

/** tincan belongs to another node or overlay, or is of a version that does not understand us: it has to end before ours can begin. */
export class UnusableTincanError extends Error {
  /** The interface stays for the next one. */
  readonly keepBridge: boolean;
  constructor(message: string, keepBridge: boolean) {
    super(message);
    this.keepBridge = keepBridge;
  }
}

/** A tincan that is nobody's yet cannot become this node: an interface's name is taken, a port, an address. */
export class UnableError extends Error {}

/** `started`: by this agent, just now. `before` a tincan that is new gets its configuration, what that takes for granted is made. */
export async function bringUp(
  control: Control,
  config: NodeConfig,
  stun: readonly string[],
  started: boolean,
  before: () => Promise<void>,
): Promise<Link> {
  const hello = readHello(await control.request('hello', { client: 'evio agent' }), performance.now());
  const own = config.identity.certificate;
  const { configured } = hello;
  if (configured !== null && (configured.nodeId !== own.nodeId || configured.overlayId !== own.overlayId))
    throw new UnusableTincanError(`the tincan in ${config.runDir} runs for node ${configured.nodeId}`, false);
  if (configured === null) await before();
  try {
    await control.request('configure', configuration(config, stun), CONFIGURE_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    // It runs with an older node file: another port, or other interfaces.
    const message = error.message.replace(/^configure: /, '');
    if (error.code === 'conflict') throw new UnusableTincanError(`${message}; it is started anew`, false);
    // One we started ourselves would only be followed by its like.
    if (!started && hello.version !== VERSION && error.code === 'bad-request')
      throw new UnusableTincanError(
        `tincan ${hello.version} does not understand agent ${VERSION} (${message}); it is exchanged`,
        true,
      );
    if (configured === null && (error.code === 'system' || error.code === 'bad-request'))
      throw new UnableError(message);
    throw error;
  }
  const tunnels = readTunnels(await control.request('tunnels', {}));
  return { hello, tunnels };
}

/** `configure` of docs/wire.md §10.1. */
interface Configuration {
  readonly sessionKey: string;
  readonly certificate: string;
  readonly parameters: string;
  readonly bridge: {
    readonly name: string;
    readonly tap: string;
    /** A tap for each tunnel, and a bridge that Open vSwitch made. */
    readonly perTunnel?: { readonly prefix: string };
  };
  readonly udp: { readonly port: number };
  readonly stun: readonly string[];
  /** Missing where there are none: a tincan of before they were carried takes the rest. */
  readonly excludeInterfaces?: readonly string[];
  readonly excludeRoutes?: readonly string[];
}

export function configuration(config: NodeConfig, stun: readonly string[]): Configuration {
  return {
    sessionKey: Buffer.from(config.identity.sessionKey.reveal()).toString('base64'),
    certificate: config.identity.certificate.bytes.toString('base64'),
    parameters: config.overlay.parameters.bytes.toString('base64'),
    bridge: {
      name: config.network.bridge,
      tap: config.network.tap,
      ...(config.switch === 'ovs' ? { perTunnel: { prefix: config.ovs.tapPrefix } } : {}),
    },
    udp: { port: config.network.udpPort },
    stun,
    ...(config.network.excludeInterfaces.length > 0 ? { excludeInterfaces: config.network.excludeInterfaces } : {}),
    ...(config.network.excludeRoutes.length > 0 ? { excludeRoutes: config.network.excludeRoutes } : {}),
  };
}

/** `firewall` of docs/wire.md §10.1. */
export interface FirewallOrder {
  readonly podCIDRs: readonly string[];
  readonly overlayCIDRs: readonly string[];
  readonly hostInterfacePrefix: string;
}

/** Null: one of an earlier node file is taken away. Undefined: this node never has one. */
export function firewallOrder({ identity, overlay, pods, network }: NodeConfig): FirewallOrder | null | undefined {
  // What is nobody's here but kube-proxy's has no pods.
  const routes = identity.certificate.routes.filter((route) => !isWithin(route, network.excludeRoutes));
  if (pods === undefined) return routes.length === 0 ? undefined : null;
  const { subnet4, subnet6 } = overlay.parameters;
  const subnets = [subnet4, subnet6].filter((prefix) => prefix !== undefined).map(formatPrefix);
  return {
    podCIDRs: routes.map(formatPrefix),
    overlayCIDRs: [...new Set([...subnets, ...pods.overlayCIDRs])],
    hostInterfacePrefix: pods.hostInterfacePrefix,
  };
}

/** "host:port" to "address:port", each address of each name. What does not resolve now is left out. */
export async function resolveEndpoints(endpoints: readonly string[]): Promise<readonly string[]> {
  const resolved = await Promise.all(endpoints.map(resolveOne));
  return [...new Set(resolved.flat())];
}

async function resolveOne(endpoint: string): Promise<readonly string[]> {
  const { host, port } = hostPortOf(endpoint);
  const literal = isIP(host);
  if (literal !== 0) return [formatEndpoint({ family: literal === 6 ? 6 : 4, address: host, port })];
  try {
    const found = await lookup(host, { all: true });
    return found.map(({ address, family }) => formatEndpoint({ family: family === 6 ? 6 : 4, address, port }));
  } catch {
    return [];
  }
}
