/**
 * The embedded server: Prosody and coturn as `evio server run` keeps them, set up by a Secret. Secrets in it are made once; the rest
 * follows the EvioNetwork.
 */

import type { Deployment, Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { Applied } from '../../../agent/src/kube-api/object.ts';
import { sha256 } from '../../../agent/src/wire/keys.ts';
import {
  conferenceOf,
  parsePeerRanges,
  type ServerSettings,
  serverSettings,
} from '../../../cli/src/server/settings.ts';
import { effectivePodCIDRs, effectiveTurn } from '../../../crds/src/effective.ts';
import type { EvioNetworkSpec } from '../../../crds/src/evio-network.ts';
import { labelsOf, SERVER } from '../names.ts';
import type { Settings } from '../settings.ts';
import { secretData, secretText } from './authority.ts';
import type { SignallingPlace } from './enrolment.ts';
import { bracketed } from './place.ts';

/** Reserved for private use; the server's certificate and its authority are for it alone. */
export const DOMAIN = 'evio.internal';
export const TURN_PORT = 3478;
export const STARTTLS_PORT = 5222;
const RELAY_PORTS = { min: 49_152, max: 65_535 } as const;
const ADMIN = 'evio-admin';
const NODE_QUOTA = 128;
const TOTAL_QUOTA = 4_000;

/** Keys of the Secret; the container finds them as files. */
export const SERVER_KEYS = {
  settings: 'server.json',
  ca: 'ca.crt',
  caKey: 'ca.key',
  certificate: 'tls.crt',
  key: 'tls.key',
} as const;

/** What is made once and kept, all as text. */
export interface ServerSecrets {
  readonly adminPassword: string;
  readonly turnSecret: string;
  /** PEM, like the others. */
  readonly ca: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
}

/** Undefined where one is missing or is of another form. */
export function secretsOf(secret: Secret): ServerSecrets | undefined {
  const texts = Object.fromEntries(Object.entries(SERVER_KEYS).map(([name, key]) => [name, secretText(secret, key)]));
  const { settings, ca, caKey, certificate, key } = texts;
  if (ca === undefined || caKey === undefined || certificate === undefined || key === undefined) return undefined;
  const read = settingsIn(settings);
  return read && { adminPassword: read.admin.password, turnSecret: read.turnSecret, ca, caKey, certificate, key };
}

function settingsIn(text: string | undefined): ServerSettings | undefined {
  try {
    const checked = serverSettings.safeParse(JSON.parse(text ?? ''));
    return checked.success ? checked.data : undefined;
  } catch {
    return undefined;
  }
}

/** `addresses`: of the host, as numbers. The container finds out itself what they are on its machine, behind a one-to-one NAT. */
export function settingsOf(
  spec: EvioNetworkSpec,
  addresses: readonly string[],
  secrets: ServerSecrets,
): ServerSettings {
  const relay = spec.ice.relayPorts ?? RELAY_PORTS;
  return {
    apiVersion: 'evio-server/1',
    xmpp: 'prosody',
    domain: DOMAIN,
    addresses: addresses.map((address) => ({ public: address, local: address })),
    ports: {
      starttls: STARTTLS_PORT,
      tls: spec.signalling.embedded?.port ?? 5223,
      turn: TURN_PORT,
      relayMin: relay.min,
      relayMax: relay.max,
    },
    // A relay in the cluster must not be a way into it.
    deniedPeers: parsePeerRanges('nodeCIDRs and podCIDRs', [...spec.nodeCIDRs, ...effectivePodCIDRs(spec)]),
    allowedPeers: [],
    relayMbit: 0,
    nodeQuota: NODE_QUOTA,
    totalQuota: TOTAL_QUOTA,
    admin: { username: ADMIN, password: secrets.adminPassword },
    turnSecret: secrets.turnSecret,
  };
}

export function serverSecret(
  spec: EvioNetworkSpec,
  addresses: readonly string[],
  secrets: ServerSecrets,
  namespace: string,
): Applied<Secret> {
  const { ca, caKey, certificate, key } = secrets;
  return {
    metadata: { name: SERVER, namespace, labels: labelsOf('server') },
    type: 'Opaque',
    data: secretData({
      [SERVER_KEYS.settings]: JSON.stringify(settingsOf(spec, addresses, secrets)),
      [SERVER_KEYS.ca]: ca,
      [SERVER_KEYS.caKey]: caKey,
      [SERVER_KEYS.certificate]: certificate,
      [SERVER_KEYS.key]: key,
    }),
  };
}

/** At most what a node file may have. */
const STUN_MAX = 8;

/** For the nodes. `host` as they are to dial it. */
export function embeddedPlace(
  spec: EvioNetworkSpec,
  host: string,
  { ca }: ServerSecrets,
): Omit<SignallingPlace, 'cni' | 'excludeRoutes'> {
  const relay = effectiveTurn(spec) === 'Embedded';
  // A NAT that maps each port of the server anew shows by the second one, which coturn has for that.
  const stun = [TURN_PORT, TURN_PORT + 1].map((port) => `${bracketed(host)}:${port}`).concat(spec.ice.stun);
  return {
    service: `xmpps://${bracketed(host)}:${spec.signalling.embedded?.port ?? 5223}`,
    domain: DOMAIN,
    conference: conferenceOf(DOMAIN),
    ca,
    stun: [...new Set(stun)].slice(0, STUN_MAX),
    turn: relay ? 'xep-0215' : 'none',
  };
}

/** As an administrator; its room and accounts are made through it. */
export const adminOf = ({ adminPassword }: ServerSecrets) => ({ username: ADMIN, password: adminPassword });

const STATE_DIR = '/var/lib/evio/server';
const SECRET_DIR = '/etc/evio/server-secret';
const CONTROL_PLANE = 'node-role.kubernetes.io/control-plane';

/** The server is there before there is a network, and also where nothing else may run yet. */
const TOLERATIONS = [
  { key: CONTROL_PLANE, operator: 'Exists' },
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists' },
  { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists' },
  { key: 'node.cloudprovider.kubernetes.io/uninitialized', operator: 'Exists' },
  { key: 'node.evio.io/agent-not-ready', operator: 'Exists' },
];

export function serverDeployment(
  spec: EvioNetworkSpec,
  secret: Applied<Secret>,
  settings: Settings,
): Applied<Deployment> {
  const labels = labelsOf('server');
  const selector = spec.signalling.embedded?.nodeSelector;
  const place =
    selector === undefined
      ? {
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: CONTROL_PLANE, operator: 'Exists' }] }],
              },
            },
          },
        }
      : { nodeSelector: selector };
  return {
    metadata: { name: SERVER, namespace: settings.namespace, labels },
    spec: {
      replicas: 1,
      // Its ports are the node's: two have no room there.
      strategy: { type: 'Recreate' },
      selector: { matchLabels: labels },
      template: {
        metadata: {
          labels,
          // It reads its settings when it starts.
          annotations: {
            'evio.io/settings': sha256(Buffer.from(JSON.stringify(secret.data)))
              .toString('hex')
              .slice(0, 32),
          },
        },
        spec: {
          hostNetwork: true,
          dnsPolicy: 'Default',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          priorityClassName: 'system-cluster-critical',
          terminationGracePeriodSeconds: 15,
          imagePullSecrets: settings.pullSecrets.map((name) => ({ name })),
          ...place,
          tolerations: TOLERATIONS,
          containers: [
            {
              name: 'server',
              image: settings.images.server,
              imagePullPolicy: settings.pullPolicy,
              args: ['server', 'run', '--from', SECRET_DIR, '--dir', STATE_DIR],
              resources: settings.resources.server,
              // It starts both servers as users of their own, and takes everything from them first. No probe: the operator asks the
              // server what a node would ask it, from outside, and `evio server run` starts again what ends.
              securityContext: {
                runAsUser: 0,
                allowPrivilegeEscalation: false,
                capabilities: {
                  drop: ['ALL'],
                  add: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SYS_NICE'],
                },
                seccompProfile: { type: 'RuntimeDefault' },
              },
              volumeMounts: [
                { name: 'secret', mountPath: SECRET_DIR, readOnly: true },
                { name: 'state', mountPath: STATE_DIR },
              ],
            },
          ],
          volumes: [
            { name: 'secret', secret: { secretName: SERVER, defaultMode: 0o400 } },
            { name: 'state', hostPath: { path: STATE_DIR, type: 'DirectoryOrCreate' } },
          ],
        },
      },
    },
  };
}
