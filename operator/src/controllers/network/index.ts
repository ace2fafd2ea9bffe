/** The network controller: one key, the EvioNetwork `default`. */
import { isDeepStrictEqual } from 'node:util';
import { EVIO_NETWORK, type EvioNetwork } from '../../../../agent/src/kube-api/evio-kinds.ts';
import { type EvioNetworkStatus, NETWORK_NAME } from '../../../../crds/src/evio-network.ts';
import { type Controller, type Watching, watch } from '../../controller.ts';
import { accountOf } from '../../desired/enrolment.ts';
import { isSilent } from '../../desired/gateway.ts';
import { networkStatus } from '../../desired/network-status.ts';
import { nodeMatters } from '../node/index.ts';
import type { World } from '../world.ts';
import { keepAccounts } from './accounts.ts';
import { carryOut, follow } from './apply.ts';
import { decide } from './decide.ts';
import { observe, observeStatus } from './observe.ts';
import { remove } from './removal.ts';

/** What is not told of by any watch is looked at so often: names in the DNS, ends of certificates, API servers. */
const LOOK_MS = 30_000;
/** After something failed: soon enough that a condition is true within ten seconds of what it is about. */
const RETRY_MS = 3_000;
/** Numbers alone do not change the status more often. */
const NUMBERS_MS = 10_000;

const KEY = NETWORK_NAME;

/** `signals`: what wakes it that is in no cache. */
export function networkController(world: World, signals: Watching): Controller {
  const ours = (): readonly string[] => [KEY];
  const status = new StatusWriter(world);
  return {
    name: 'network',
    watches: [
      watch(world.networks, (network) => [network.metadata.name]),
      watch(world.memberCache, ours),
      watch(world.nodes, ours, (after, before) => nodeMatters(after, before) || isSilent(after) !== isSilent(before)),
      watch(world.secrets, ours),
      watch(world.daemonSets, ours),
      watch(world.deployments, ours),
      // They matter when the network goes.
      watch(world.pods, () => (world.networks.get(KEY)?.metadata.deletionTimestamp === undefined ? [] : [KEY])),
      signals,
    ],
    async reconcile(key) {
      const network = world.networks.get(key);
      if (network === undefined || key !== KEY) {
        if (key === KEY) rest(world);
        return undefined;
      }
      if (network.metadata.deletionTimestamp !== undefined) {
        await status.write(network, undefined, undefined).catch(() => undefined);
        const againAfterMs = await remove(network, world);
        return againAfterMs === undefined ? undefined : { againAfterMs };
      }
      return { againAfterMs: await reconcile(network, world, status) };
    },
  };
}

/** There is no network: nobody is asked anything. */
function rest(world: World): void {
  world.link.want(undefined);
  world.join.want(undefined);
  world.relay.want(undefined);
  world.book.forget();
}

async function reconcile(network: EvioNetwork, world: World, status: StatusWriter): Promise<number> {
  let failure: string | undefined;
  const attempt = async (work: () => unknown): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failure ??= error instanceof Error ? error.message : String(error);
    }
  };
  await attempt(() => world.surroundings.look());
  const view = observe(network, world);
  const plan = decide(view, world.now());
  // What one thing waits for is not what the next one waits for.
  for (const action of plan.actions) await attempt(() => carryOut(view, action, world));
  await attempt(() => follow(network, world));
  await attempt(() => keepAccounts(world, accountsOf(world)));
  const waitMs = await status.write(network, plan.problem, failure);
  if (failure !== undefined) world.log.warn(`the EvioNetwork is not as it should be: ${failure}`);
  return Math.min(failure === undefined ? LOOK_MS : RETRY_MS, waitMs ?? LOOK_MS);
}

/** Of all members, also of those that are not in the ledger yet; and those that end at a time of their own. */
function accountsOf(world: World): ReadonlySet<string> {
  const { authority } = world.book.read();
  if (authority === undefined) return new Set();
  const { overlayId, tokens } = authority;
  const accounts = [...world.members.all().values()].map(({ spec }) => accountOf(overlayId, spec.memberName));
  return new Set([...accounts, ...tokens.ending.map(({ username }) => username)]);
}

class StatusWriter {
  readonly #world: World;
  #numbersAt = Number.NEGATIVE_INFINITY;

  constructor(world: World) {
    this.#world = world;
  }

  /** Gives how long to wait for numbers that are not written yet. */
  async write(
    network: EvioNetwork,
    authority: { readonly reason: string; readonly message: string } | undefined,
    failure: string | undefined,
  ): Promise<number | undefined> {
    const { client } = this.#world;
    const present = network.status;
    const acted = failure === undefined && authority === undefined && network.metadata.deletionTimestamp === undefined;
    const observed = acted ? network.metadata.generation : present?.observedGeneration;
    const now = new Date(this.#world.now() * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    const wanted = networkStatus(observeStatus(network, this.#world, { authority, failure }), observed, now);
    if (isDeepStrictEqual(plain(present), plain(wanted))) return undefined;
    const since = performance.now() - this.#numbersAt;
    if (since < NUMBERS_MS && isDeepStrictEqual(words(present), words(wanted))) return NUMBERS_MS - since;
    await client.applyStatus(EVIO_NETWORK, { metadata: { name: network.metadata.name }, status: wanted });
    this.#numbersAt = performance.now();
    return undefined;
  }
}

const plain = (status: EvioNetworkStatus | undefined): unknown => JSON.parse(JSON.stringify(status ?? {}));

/** What is written at once: everything but counts. */
const words = (status: EvioNetworkStatus | undefined): unknown => {
  const { tunnels: _, unreachablePairs: __, addresses: ___, ...rest } = status ?? { conditions: [] };
  return plain(rest as EvioNetworkStatus);
};
