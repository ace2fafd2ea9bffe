/** The API server of the user's kubeconfig, for commands that ask a cluster. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../../agent/src/io/kube-connection.ts';
import { findAccess } from '../../operator/src/io/access.ts';
import { Failure } from './failure.ts';

export interface ClusterUser {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

/** `userAgent` is what the API server's log calls it. Throws a Failure; nothing was asked of the API server then. */
export async function connectionOf({ kubeconfig, context }: ClusterUser, userAgent: string): Promise<Connection> {
  const own = join(homedir(), '.kube', 'config');
  const file = kubeconfig ?? process.env.KUBECONFIG ?? (existsSync(own) ? own : undefined);
  try {
    return new Connection(await findAccess({ kubeconfig: file, context }), { userAgent });
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error));
  }
}
