/** `namespace/pod` to its address, by the user's kubeconfig. */
import { ApiClient } from '../../agent/src/io/kube-client.ts';
import { ApiFailure } from '../../agent/src/kube-api/client.ts';
import { POD } from '../../agent/src/kube-api/kinds.ts';
import { type ClusterAccess, connectCluster } from './cluster.ts';
import { Failure, UsageError } from './failure.ts';

/** A DNS label, a slash, and the name of a pod. Node names and addresses have no slash. */
export const isPod = (text: string): boolean => text.includes('/');

/** Those of `texts` that name pods, as addresses; the others as they are. Throws Failure. */
export async function podsToAddresses(texts: readonly string[], access: ClusterAccess): Promise<readonly string[]> {
  if (!texts.some(isPod)) return texts;
  const wrong = texts.find(
    (text) => isPod(text) && !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text),
  );
  if (wrong !== undefined) throw new UsageError(`"${wrong}" is not allowed; allowed: NAMESPACE/POD`);
  const connection = await connectCluster(access);
  try {
    const client = new ApiClient(connection, { fieldManager: 'evio' });
    return await Promise.all(texts.map((text) => (isPod(text) ? addressOf(client, text) : text)));
  } catch (error) {
    if (error instanceof ApiFailure) throw new Failure(error.message);
    throw error;
  } finally {
    connection.close();
  }
}

async function addressOf(client: ApiClient, key: string): Promise<string> {
  const pod = await client.find(POD, key);
  if (pod === undefined) throw new UsageError(`there is no pod ${key}`);
  const address = pod.status?.podIP;
  if (address === undefined || address === '')
    throw new Failure(`pod ${key} has no address yet (${pod.status?.phase ?? 'unknown'})`);
  return address;
}
