/**
 * `evio token create`, `list` and `revoke` in a cluster, by the user's kubeconfig. Who makes tokens needs to create Secrets in the
 * operator's namespace and to get the ConfigMap evio-tokens there, and reads no Secret.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../../../agent/src/io/kube-client.ts';
import { Connection } from '../../../agent/src/io/kube-connection.ts';
import {
  CLUSTER_USES_MAX,
  OVERLAY_KEY,
  offerOf,
  offerTexts,
  readOverlay,
  readStanding,
  TOKEN_SECRET_TYPE,
  TOKENS_CONFIG_MAP,
  type TokenStanding,
  tokenSecretName,
} from '../../../agent/src/join/cluster-token.ts';
import { ApiFailure, isConflict, isForbidden } from '../../../agent/src/kube-api/client.ts';
import { EVIO_PEER } from '../../../agent/src/kube-api/evio-kinds.ts';
import { CONFIG_MAP, type ConfigMap, SECRET } from '../../../agent/src/kube-api/kinds.ts';
import { encodeToken, SECRET_BYTES } from '../../../agent/src/wire/join-token.ts';
import { DecodeError } from '../../../agent/src/wire/reader.ts';
import { findAccess } from '../../../operator/src/io/access.ts';
import { Failure, UsageError } from '../failure.ts';
import { nowSeconds } from '../overlay/create.ts';
import type { CreatedToken, TokenAbout } from './tokens.ts';

/** The operator makes an account on the XMPP server meanwhile. */
const READY_MS = 30_000;
const POLL_MS = 250;
const MANAGER = 'evio';

/** Who the user is to the cluster; undefined: KUBECONFIG or ~/.kube/config, and its current context. */
export interface ClusterAccess {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

export interface ClusterPlace extends ClusterAccess {
  /** Of the operator. */
  readonly namespace: string;
  readonly network: string;
}

export interface ClusterTokenOptions {
  readonly uses: number;
  readonly lifeSeconds: number;
  readonly peer: string | undefined;
}

export async function createClusterToken(place: ClusterPlace, options: ClusterTokenOptions): Promise<CreatedToken> {
  const { uses, lifeSeconds, peer } = options;
  if (uses > CLUSTER_USES_MAX)
    throw new UsageError(
      `--uses: ${uses} is not allowed; allowed in a cluster: a whole number from 1 to ${CLUSTER_USES_MAX}`,
    );
  if (peer !== undefined && uses !== 1) throw new UsageError('--uses: a peer is one machine; leave --uses out');
  const secret = randomBytes(SECRET_BYTES);
  const offer = offerOf(secret, { expires: nowSeconds() + lifeSeconds, uses, ...(peer === undefined ? {} : { peer }) });
  return withCluster(place, async (client) => {
    if (peer !== undefined) await makePeer(client, peer);
    const data = Object.entries(offerTexts(offer)).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
    await client.create(SECRET, {
      metadata: {
        name: tokenSecretName(offer.id),
        namespace: place.namespace,
        labels: { 'app.kubernetes.io/name': 'evio', 'app.kubernetes.io/component': 'join-token' },
      },
      type: TOKEN_SECRET_TYPE,
      immutable: true,
      data: Object.fromEntries(data),
    });
    const { overlay, standing } = await ready(client, place, offer.id);
    const token = encodeToken({ ...overlay, secret, expires: offer.expires });
    return { ...about(offer.id, standing), token, overlay: place.network };
  });
}

/** One that is there stays. Who may not make it may have it made by somebody else: the operator says when it is not there. */
async function makePeer(client: ApiClient, name: string): Promise<void> {
  try {
    await client.create(EVIO_PEER, { metadata: { name }, spec: { network: 'default' } });
  } catch (error) {
    if (!isConflict(error) && !isForbidden(error)) throw error;
  }
}

/** Those that still stand. */
export const listClusterTokens = (place: ClusterPlace): Promise<readonly TokenAbout[]> =>
  withCluster(place, async (client) => {
    const { data = {} } = await told(client, place);
    return Object.entries(data)
      .filter(([id]) => id !== OVERLAY_KEY)
      .map(([id, text]) => about(id, readStanding(text)))
      .sort((a, b) => (a.expires < b.expires ? -1 : 1));
  });

export const revokeClusterToken = (place: ClusterPlace, id: string): Promise<TokenAbout> =>
  withCluster(place, async (client) => {
    const { data = {} } = await told(client, place);
    const ids = Object.keys(data).filter((key) => key !== OVERLAY_KEY);
    const text = data[id];
    if (id === OVERLAY_KEY || text === undefined)
      throw new Failure(`network ${place.network} has no token ${id}; it has: ${ids.join(', ') || 'none'}`);
    await client.delete(SECRET, `${place.namespace}/${tokenSecretName(id)}`);
    return about(id, readStanding(text));
  });

const about = (id: string, { expires, uses, left, joined }: TokenStanding): TokenAbout => ({
  id,
  expires,
  uses,
  left,
  joined,
});

async function ready(client: ApiClient, place: ClusterPlace, id: string) {
  const until = performance.now() + READY_MS;
  for (;;) {
    const map = await client.find(CONFIG_MAP, `${place.namespace}/${TOKENS_CONFIG_MAP}`);
    let message: string | undefined;
    const [overlay, text] = [map?.data?.[OVERLAY_KEY], map?.data?.[id]];
    if (overlay !== undefined && text !== undefined) {
      const standing = readStanding(text);
      if (standing.state === 'ready') return { overlay: readOverlay(overlay), standing };
      message = standing.message;
      if (standing.state === 'refused')
        throw new Failure(`the operator refuses the token: ${standing.message}${await takenBack(client, place, id)}`);
    }
    if (performance.now() >= until && message !== undefined) throw new Failure(`the token is not ready: ${message}`);
    if (performance.now() >= until)
      throw new Failure(
        `the operator has not made the account of token ${id} within ${READY_MS / 1000} s: does it run, and is the EvioNetwork Ready? (kubectl get evionetworks); the token stays, and "evio token revoke ${id}" makes it void`,
      );
    await sleep(POLL_MS);
  }
}

/** Nobody needs it; who may only make tokens says whose turn it is. */
async function takenBack(client: ApiClient, { namespace }: ClusterPlace, id: string): Promise<string> {
  const name = tokenSecretName(id);
  try {
    await client.delete(SECRET, `${namespace}/${name}`);
    return '';
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return `; its Secret stays: kubectl -n ${namespace} delete secret ${name}`;
  }
}

async function told(client: ApiClient, { namespace, network }: ClusterPlace): Promise<ConfigMap> {
  const map = await client.find(CONFIG_MAP, `${namespace}/${TOKENS_CONFIG_MAP}`);
  if (map === undefined)
    throw new Failure(
      `namespace ${namespace} has no ConfigMap ${TOKENS_CONFIG_MAP}: the operator of network ${network} does not run there, or has not begun`,
    );
  return map;
}

async function withCluster<T>(place: ClusterPlace, work: (client: ApiClient) => Promise<T>): Promise<T> {
  const connection = await connectionOf(place);
  try {
    return await work(new ApiClient(connection, { fieldManager: MANAGER }));
  } catch (error) {
    if (error instanceof DecodeError)
      throw new Failure(
        `ConfigMap ${place.namespace}/${TOKENS_CONFIG_MAP} cannot be read: ${error.message}; is it of another version?`,
      );
    if (!(error instanceof ApiFailure)) throw error;
    const help = isForbidden(error) ? '; the Role evio-token-maker there has what it takes' : '';
    throw new Failure(`${error.message}${help}`);
  } finally {
    connection.close();
  }
}

/** Throws Failure. */
export async function connectionOf({ kubeconfig, context }: ClusterAccess): Promise<Connection> {
  const own = join(homedir(), '.kube', 'config');
  const file = kubeconfig ?? process.env.KUBECONFIG ?? (existsSync(own) ? own : undefined);
  try {
    return new Connection(await findAccess({ kubeconfig: file, context }), { userAgent: MANAGER });
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error));
  }
}
