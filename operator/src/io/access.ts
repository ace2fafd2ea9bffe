/**
 * Where the API server is, and who we are to it: the service account of the pod, or a kubeconfig. client-node reads kubeconfigs, with
 * all their ways to log in; it is loaded only then, because it costs 85 MB.
 */
import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Access } from '../../../agent/src/io/kube-connection.ts';
import { ServiceAccount } from '../../../agent/src/io/service-account.ts';
import { systemReason } from '../../../agent/src/io/system-error.ts';

export interface AccessOptions {
  /** A kubeconfig; without it KUBECONFIG, then the service account of the pod. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** Instead of those named there: URLs that can be reached before the Service of the API server can. */
  readonly servers?: readonly string[] | undefined;
  /** Where the service account is; for tests. */
  readonly serviceAccount?: string;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Throws one line when there is no kubeconfig and no service account, or it cannot be used. */
export async function findAccess(options: AccessOptions = {}): Promise<Access> {
  const servers = options.servers ?? [];
  for (const server of servers)
    if (!URL.canParse(server)) throw new Error(`the API server's address "${server}" is no URL`);
  const file = options.kubeconfig ?? process.env.KUBECONFIG ?? '';
  const access = file === '' ? inCluster(options) : await fromFile(file, options.context);
  return servers.length === 0 ? access : { servers, options: access.options };
}

/** With client-node's KubeConfig, however it came about. */
export function fromKubeConfig(config: KubeConfig, name = 'the kubeconfig'): Access {
  const cluster = config.getCurrentCluster();
  const server = cluster?.server;
  if (server === undefined || !URL.canParse(server))
    throw new Error(`${name} has no cluster with a server for its context "${config.getCurrentContext() ?? ''}"`);
  return {
    servers: [server],
    async options() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      // Its agents keep the first certificate for ever.
      if (cluster?.proxyUrl === undefined) delete options.agent;
      return options;
    },
  };
}

async function fromFile(file: string, context: string | undefined): Promise<Access> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    config.loadFromFile(file);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? systemReason(error) : 'it is no kubeconfig';
    throw new Error(`cannot read the kubeconfig ${file}: ${why}`);
  }
  if (context !== undefined) config.setCurrentContext(context);
  return fromKubeConfig(config, `the kubeconfig ${file}`);
}

function inCluster({ serviceAccount = SERVICE_ACCOUNT, servers }: AccessOptions): Access {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  if (!existsSync(`${serviceAccount}/token`) || (host === undefined && (servers ?? []).length === 0))
    throw new Error(
      'no API server: this is no pod with a service account; name a kubeconfig (--kubeconfig, or KUBECONFIG in the environment)',
    );
  const account = new ServiceAccount(serviceAccount);
  return {
    servers: [`https://${host?.includes(':') === true ? `[${host}]` : host}:${port}`],
    options: async () => account.credentials(),
  };
}
