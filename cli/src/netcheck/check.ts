/** `evio netcheck`: what this machine's network lets a node do, from its node file alone. No agent is needed, and none is disturbed. */
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import { hostPortOf } from '../../../agent/src/config/service.ts';
import { type Finding, sorted } from '../../../agent/src/diagnosis/finding.ts';
import { identityFindings } from '../../../agent/src/diagnosis/identity.ts';
import { ANSWERS, relayFindings, type ServerFact } from '../../../agent/src/diagnosis/relays.ts';
import { type Account, signallingFinding, slowFindings } from '../../../agent/src/diagnosis/signalling.ts';
import { addressOf, askTurn, withoutAnswer } from '../../../agent/src/io/udp-ask.ts';
import { Clock } from '../../../agent/src/signal/clock.ts';
import type { Service } from '../../../agent/src/signal/services.ts';
import { isRevoked } from '../../../agent/src/wire/revocations.ts';
import { type Endpoint, endpointText } from './endpoint.ts';
import { mappingLifetime, type NatReport, natReport } from './nat.ts';
import { familyOf, UdpSocket } from './udp-socket.ts';
import { checkXmpp, type XmppReport } from './xmpp.ts';

export interface NetcheckOptions {
  /** Longest idle time to try, in seconds; undefined: the mapping's lifetime is not looked for. */
  readonly lifetimeS: number | undefined;
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  /** Hears what is done now. */
  readonly tell: (text: string) => void;
}

/** One STUN or TURN server. */
export interface ServerReport extends ServerFact {
  readonly address: string | null;
  /** How it sees this machine, "address:port". */
  readonly mapped: string | null;
}

export interface NetcheckReport {
  readonly file: string;
  readonly node: string;
  readonly overlay: string;
  readonly xmpp: XmppReport;
  readonly stun: readonly ServerReport[];
  /** Null: not known, since the XMPP server names them and could not be asked; or not wanted. */
  readonly turn: readonly ServerReport[] | null;
  /** Whether any server answered by UDP; null: there was none to ask. */
  readonly udp: boolean | null;
  /** Null: no STUN server has answered. */
  readonly nat: NatReport | null;
  readonly findings: readonly Finding[];
  /** No finding is an error. */
  readonly ok: boolean;
}

export async function netcheck(config: NodeConfig, options: NetcheckOptions): Promise<NetcheckReport> {
  const { tell, wallMs, lifetimeS } = options;
  const clock = new Clock(config.identity.certificate);
  clock.observe(config.overlay.parameters.issued);
  clock.setWall(wallMs / 1000, 0);
  const { report: xmpp, services } = await checkXmpp(config, clock.known(0), tell);

  const udp = services?.filter(({ transport }) => transport === 'udp');
  const stunAt =
    config.ice.stun.length > 0 ? config.ice.stun.map(hostPortOf) : (udp ?? []).filter(({ type }) => type === 'stun');
  const turnAt = config.ice.turn === 'none' ? [] : udp?.flatMap(turnOf);
  tell('asking STUN and TURN servers');
  const [stun, turn] = await Promise.all([
    Promise.all(stunAt.map(askStun)),
    turnAt &&
      Promise.all(
        turnAt.map(
          async (one): Promise<ServerReport> => ({
            kind: 'turn',
            host: one.host,
            port: one.port,
            address: null,
            mapped: null,
            outcome: await askTurn(one),
          }),
        ),
      ),
  ]);
  const servers = [...stun, ...(turn ?? [])];
  const answered = await answering(stun, turn ?? []);
  const nat = answered.length === 0 ? null : await behaviour(answered, lifetimeS, tell);

  const findings = sorted([
    ...identityFindings({
      file: config.file,
      name: config.name,
      notBefore: config.identity.certificate.notBefore,
      notAfter: config.identity.certificate.notAfter,
      clock: clock.state(0),
      known: clock.known(0),
      revoked: isRevoked(
        config.overlay.revocations,
        config.identity.certificate.nodeId,
        config.identity.certificate.serial,
      ),
      displacedBy: undefined,
      twin: false,
    }),
    ...(xmpp.failure === null ? [] : [signallingFinding(xmpp.failure, accountOf(config))]),
    ...slowFindings(xmpp),
    ...relayFindings({
      servers,
      service: config.signalling.service.url,
      file: config.file,
      asked: services !== undefined,
      turnWanted: config.ice.turn !== 'none',
      tcp: xmpp.tcpMs !== null,
      udpElsewhere: false,
    }),
  ]);
  return {
    file: config.file,
    node: config.name,
    overlay: config.overlay.parameters.name,
    xmpp,
    stun,
    turn: config.ice.turn === 'none' ? null : (turn ?? null),
    udp: servers.length === 0 ? null : servers.some(({ outcome }) => ANSWERS.has(outcome.kind)),
    nat,
    findings,
    ok: findings.every(({ severity }) => severity !== 'error'),
  };
}

export function accountOf({ file, signalling }: NodeConfig): Account {
  const { service, username, domain, room } = signalling;
  return { file, service: service.url, host: service.host, port: service.port, username, domain, room };
}

function turnOf({ type, host, port, username, password }: Service) {
  return type === 'turn' && username !== undefined && password !== undefined
    ? [{ host, port, username, password }]
    : [];
}

async function askStun({ host, port }: { readonly host: string; readonly port: number }): Promise<ServerReport> {
  const about = { kind: 'stun', host, port } as const;
  let address: string;
  try {
    address = await addressOf(host);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'ENOTFOUND';
    return { ...about, address: null, mapped: null, outcome: { kind: 'unresolved', code } };
  }
  const socket = await UdpSocket.open(familyOf(address));
  try {
    const answer = await socket.ask({ address, port });
    if (answer === undefined)
      return {
        ...about,
        address,
        mapped: null,
        outcome: await withoutAnswer(address, { silent: true, closed: false }),
      };
    const { mapped, error } = answer.binding;
    if (mapped === undefined)
      return { ...about, address, mapped: null, outcome: { kind: 'refused', code: error ?? 0 } };
    return { ...about, address, mapped: endpointText(mapped), outcome: { kind: 'well', rttMs: answer.rttMs } };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    return { ...about, address, mapped: null, outcome: { kind: 'unsent', code } };
  } finally {
    socket.close();
  }
}

/** Servers that can be asked how they see this machine: a TURN server answers such questions too. IPv4 first: most NATs are there. */
async function answering(stun: readonly ServerReport[], turn: readonly ServerReport[]): Promise<readonly Endpoint[]> {
  const of = stun.filter(({ outcome }) => outcome.kind === 'well');
  const relays = turn.filter(({ outcome }) => ANSWERS.has(outcome.kind));
  const found = await Promise.all(
    [...of, ...relays].map(async ({ address, host, port }) => ({ address: address ?? (await addressOf(host)), port })),
  );
  const unlike = found.filter(
    (one, i) => found.findIndex((other) => other.address === one.address && other.port === one.port) === i,
  );
  const family = unlike.some(({ address }) => familyOf(address) === 4) ? 4 : 6;
  return unlike.filter(({ address }) => familyOf(address) === family);
}

async function behaviour(
  servers: readonly Endpoint[],
  lifetimeS: number | undefined,
  tell: NetcheckOptions['tell'],
): Promise<NatReport> {
  tell('looking at the NAT');
  const report = await natReport(servers);
  const [first] = servers;
  const wanted = lifetimeS !== undefined && first !== undefined && report.mapping !== 'none';
  return { ...report, lifetime: wanted ? await mappingLifetime(first, lifetimeS, tell) : null };
}
