/** What a running node knows of itself, as `diagnose` takes it. */
import { join } from 'node:path';
import type { Agent } from './agent.ts';
import type { NodeConfig } from './config/node-config.ts';
import { hostPortOf } from './config/service.ts';
import type { Facts, PlaceProblem } from './diagnosis/diagnose.ts';
import type { ServerFact } from './diagnosis/relays.ts';
import { placeProblem } from './io/place.ts';
import type { XmppState } from './io/xmpp.ts';
import { VERSION } from './version.ts';

export interface FactSources {
  readonly agent: Agent;
  readonly config: NodeConfig;
  readonly signalling: XmppState;
  /** As the TURN servers were found last; undefined: not asked. */
  readonly turn: readonly ServerFact[] | undefined;
  /** "address:port" of those that tincan asks. */
  readonly stun: readonly string[];
  readonly tincan: {
    readonly version: string | undefined;
    readonly wasUp: boolean;
    readonly problem: string | undefined;
    readonly silentPid: number | undefined;
    readonly upMs: number;
  };
  readonly ovs: { readonly databaseConnected: boolean; readonly problems: readonly string[] } | undefined;
  readonly uptimeMs: number;
  /** Milliseconds since the ring was last seen to be complete. */
  readonly incompleteMs: number;
}

/** tincan has asked a server three times by then. */
const STUN_MS = 8_000;

/** `now`: as the agent's machine counts. */
export function factsOf(sources: FactSources, now: number): Facts {
  const { agent, config, signalling, tincan, ovs, uptimeMs } = sources;
  const { certificate } = config.identity;
  const { service, username, domain, room } = config.signalling;
  const online = signalling.state === 'online';
  return {
    uptimeMs,
    identity: {
      file: config.file,
      name: config.name,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      ...agent.standing(now),
    },
    signalling: {
      account: {
        file: config.file,
        service: service.url,
        host: service.host,
        port: service.port,
        username,
        domain,
        room,
      },
      online,
      failure: signalling.failure,
    },
    relays: {
      servers: [...(sources.turn ?? []), ...stunFacts(sources)],
      service: service.url,
      file: config.file,
      asked: sources.turn !== undefined,
      turnWanted: config.ice.turn !== 'none',
      tcp: online,
      udpElsewhere: agent.members.some(({ nodeId }) => {
        const status = agent.status(nodeId);
        return status?.path === 'direct' && status.remote !== null && !isPrivate(hostPortOf(status.remote).host);
      }),
    },
    tincan: {
      version: tincan.version,
      agentVersion: VERSION,
      wasUp: tincan.wasUp,
      problem: tincan.problem,
      log: join(config.runDir, 'tincan.log'),
      silentPid: tincan.silentPid,
    },
    ovs:
      ovs === undefined
        ? undefined
        : {
            socket: join(config.ovs.runDir, 'db.sock'),
            databaseConnected: ovs.databaseConnected,
            bridge: config.network.bridge,
            bridgeConnected: agent.edge?.controller.connected === true,
            problems: ovs.problems,
          },
    network: agent.problems,
    places: placesOf(config),
    holes: agent.holes,
    narrow: agent.narrow(now),
    oneWay: agent.oneWay(now),
    ring: { incompleteMs: agent.overlay.ringComplete ? 0 : sources.incompleteMs, missing: missingOf(agent) },
  };
}

/** Directories of a node that cannot be written. */
export function placesOf({ stateDir, runDir }: Pick<NodeConfig, 'stateDir' | 'runDir'>): readonly PlaceProblem[] {
  const of = (what: PlaceProblem['what'], dir: string): readonly PlaceProblem[] => {
    const code = placeProblem(dir);
    return code === undefined ? [] : [{ what, dir, code }];
  };
  return [...of('state', stateDir), ...of('run', runDir)];
}

/** Whether tincan hears from the servers that it asks for its own socket. */
function stunFacts({ agent, stun, tincan }: FactSources): readonly ServerFact[] {
  if (tincan.version === undefined) return [];
  const heard = new Set(agent.localCandidates.map(({ server }) => server));
  return stun.flatMap((server): readonly ServerFact[] => {
    const about = { kind: 'stun', ...hostPortOf(server) } as const;
    if (heard.has(server)) return [{ ...about, outcome: { kind: 'well', rttMs: null } }];
    if (tincan.upMs < STUN_MS) return [];
    return [{ ...about, outcome: { kind: 'silent', closed: false, hostReached: undefined } }];
  });
}

const RING: ReadonlySet<string> = new Set(['successor', 'predecessor']);

function missingOf(agent: Agent): readonly string[] {
  return agent.overlay.neighbours
    .filter(({ peer, up }) => !up && agent.kinds(peer).some((kind) => RING.has(kind)))
    .map(({ peer }) => agent.member(peer)?.name ?? peer);
}

/** RFC 1918, RFC 6598, RFC 4193, link-local: a peer there shows nothing of the way to the internet. */
function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.|f[cd]|fe[89ab])/i.test(
    address,
  );
}
