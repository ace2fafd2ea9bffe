/** What both controllers see and use: caches, the authority's book, the session with the XMPP server. */
import type { Log } from '../../../agent/src/io/log.ts';
import type { Desk } from '../../../agent/src/join/desk.ts';
import type { Cache } from '../../../agent/src/kube-api/cache.ts';
import type { Client } from '../../../agent/src/kube-api/client.ts';
import type { EvioNetwork, EvioNode, EvioPeer } from '../../../agent/src/kube-api/evio-kinds.ts';
import type { ConfigMap, DaemonSet, Deployment, Node, Pod, Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { KubeObject } from '../../../agent/src/kube-api/object.ts';
import type { Source } from '../controller.ts';
import { type Missing, type Signalling, type SignallingView, signallingOf } from '../desired/signalling.ts';
import type { Recorder } from '../events/recorder.ts';
import type { Applier } from '../io/applier.ts';
import type { AuthorityBook } from '../io/authority-book.ts';
import { JoinLink } from '../io/join-link.ts';
import type { Members } from '../io/members.ts';
import type { RelayWatch } from '../io/relay-watch.ts';
import type { SignallingLink } from '../io/signalling-link.ts';
import type { Surroundings } from '../io/surroundings.ts';
import { SERVER } from '../names.ts';
import type { Settings } from '../settings.ts';

export type Seen<T extends KubeObject> = Cache<T> & Source<T>;

export interface WorldParts {
  readonly settings: Settings;
  readonly client: Client;
  readonly events: Recorder;
  readonly log: Log;
  readonly networks: Seen<EvioNetwork>;
  readonly nodes: Seen<Node>;
  readonly memberCache: Seen<EvioNode>;
  readonly peers: Seen<EvioPeer>;
  readonly secrets: Seen<Secret>;
  /** The one that tells how join tokens stand. */
  readonly configMaps: Seen<ConfigMap>;
  readonly daemonSets: Seen<DaemonSet>;
  readonly deployments: Seen<Deployment>;
  /** Of what the operator makes. */
  readonly pods: Seen<Pod>;
  readonly members: Members;
  readonly book: AuthorityBook;
  readonly link: SignallingLink;
  readonly relay: RelayWatch;
  readonly applier: Applier;
  readonly surroundings: Surroundings;
  /** Seconds since 1970. */
  now(): number;
}

export interface World extends WorldParts {
  /** Answers who joins by a token. */
  readonly join: JoinLink;
  /** Runs what allots addresses, one thing after the other: what one gets has to be seen by the next. */
  allotting<T>(work: () => Promise<T>): Promise<T>;
  key(name: string): string;
  signallingView(network: EvioNetwork): SignallingView;
  signalling(network: EvioNetwork): Signalling | Missing;
}

/** `desk`: of the world that is made here. */
export function worldOf(parts: WorldParts, desk: (world: World) => Desk): World {
  const { settings, secrets, surroundings } = parts;
  const key = (name: string): string => `${settings.namespace}/${name}`;
  const signallingView = (network: EvioNetwork): SignallingView => ({
    spec: network.spec,
    namespace: settings.namespace,
    secret: (name) => secrets.get(key(name)),
    server: secrets.get(key(SERVER)),
    host: surroundings.host(network.spec.signalling.embedded?.host),
  });
  let turn: Promise<unknown> = Promise.resolve();
  const allotting = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };
  const { link, log, now } = parts;
  const signalling = (network: EvioNetwork) => signallingOf(signallingView(network));
  const join = new JoinLink({ link, log, now: () => now(), desk: () => desk(world) });
  const world: World = { ...parts, join, allotting, key, signallingView, signalling };
  return world;
}
