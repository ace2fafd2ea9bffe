/** How an agent reaches the API server: as its pod's service account, at whatever address. */
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Access } from './kube-connection.ts';
import type { ServiceAccount } from './service-account.ts';

/** Every API server's certificate is for this name; it may be reached by addresses that it does not know. */
const SERVER_NAME = 'kubernetes.default.svc';

export function apiServerAccess(servers: readonly string[], account: ServiceAccount): Access {
  return {
    servers,
    options: async () => ({ ...account.credentials(), minVersion: 'TLSv1.2', checkServerIdentity: isApiServer }),
  };
}

function isApiServer(host: string, certificate: PeerCertificate): Error | undefined {
  const error = checkServerIdentity(host, certificate);
  return error === undefined || checkServerIdentity(SERVER_NAME, certificate) === undefined ? undefined : error;
}
