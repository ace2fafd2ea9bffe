/** The cluster that a command asks, by the user's kubeconfig. Loaded by the commands that need it: client-node, which reads it, is large. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../../agent/src/io/kube-client.ts';
import { Connection } from '../../agent/src/io/kube-connection.ts';
import { ApiFailure } from '../../agent/src/kube-api/client.ts';
import { findAccess } from '../../operator/src/io/access.ts';
import { Failure } from './failure.ts';

const MANAGER = 'evio';

export interface ClusterAccess {
  /** Default: KUBECONFIG, ~/.kube/config, the pod's service account. */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** The kubeconfig that is meant without a name, if there is one. */
export function ownKubeconfig(): string | undefined {
  const own = join(homedir(), '.kube', 'config');
  return process.env.KUBECONFIG || (existsSync(own) ? own : undefined);
}

/** Throws a Failure when there is no kubeconfig, or it cannot be used; nothing is asked yet. */
export async function connectCluster({ kubeconfig, context }: ClusterAccess): Promise<Connection> {
  try {
    return new Connection(await findAccess({ kubeconfig: kubeconfig ?? ownKubeconfig(), context }), {
      userAgent: MANAGER,
    });
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error));
  }
}

/** A client for the time of `work`; what the API server refuses is a Failure. */
export async function withClusterClient<T>(
  access: ClusterAccess,
  work: (client: ApiClient, connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connectCluster(access);
  try {
    return await work(new ApiClient(connection, { fieldManager: MANAGER, timeoutMs: 10_000 }), connection);
  } catch (error) {
    throw error instanceof ApiFailure ? new Failure(error.message) : error;
  } finally {
    connection.close();
  }
}
