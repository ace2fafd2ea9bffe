/** How the signalling server is reached, and as whom; or in words what is missing for that. */

import type { Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { PodAttachment } from '../../../agent/src/wire/sealed-credentials.ts';
import { conferenceOf, effectivePodCIDRs, effectiveTurn } from '../../../crds/src/effective.ts';
import type { EvioNetworkSpec } from '../../../crds/src/evio-network.ts';
import { secretText } from './authority.ts';
import type { SignallingPlace } from './enrolment.ts';
import { adminOf, embeddedPlace, secretsOf } from './server.ts';

export interface Signalling {
  readonly place: SignallingPlace;
  /** The administrator's account. */
  readonly admin: { readonly username: string; readonly password: string };
}

export interface Missing {
  readonly reason: 'SecretMissing' | 'SecretInvalid' | 'AddressUnknown' | 'Deploying';
  readonly message: string;
}

/** What is looked at. Secrets are those of the operator's namespace. */
export interface SignallingView {
  readonly spec: EvioNetworkSpec;
  readonly namespace: string;
  secret(name: string): Secret | undefined;
  /** The Secret of the embedded server. */
  readonly server: Secret | undefined;
  /** Of the embedded server. */
  readonly host: string | undefined;
}

const isMissing = (found: unknown): found is Missing =>
  typeof found === 'object' && found !== null && 'reason' in found;
export const signallingIs = (found: Signalling | Missing): found is Signalling => !isMissing(found);

export function signallingOf(view: SignallingView): Signalling | Missing {
  const { spec } = view;
  const found = spec.signalling.external === undefined ? embedded(view) : external(view);
  if (isMissing(found)) return found;
  const pods = effectivePodCIDRs(spec);
  const cni: PodAttachment | undefined =
    pods.length === 0 ? undefined : { attachment: spec.pods.attachment, podCIDRs: pods };
  const excludeRoutes = spec.gateways?.serviceCIDRs ?? [];
  return { place: { ...found.place, cni, excludeRoutes }, admin: found.admin };
}

type Found = { readonly place: Omit<SignallingPlace, 'cni' | 'excludeRoutes'>; readonly admin: Signalling['admin'] };

function embedded({ spec, server, host }: SignallingView): Found | Missing {
  if (host === undefined)
    return {
      reason: 'AddressUnknown',
      message:
        'it is not known where nodes reach the embedded server: set spec.signalling.embedded.host to an address of its node that they reach',
    };
  const secrets = server === undefined ? undefined : secretsOf(server);
  if (secrets === undefined)
    return { reason: 'Deploying', message: 'the settings of the embedded server are being made' };
  return { place: embeddedPlace(spec, host, secrets), admin: adminOf(secrets) };
}

const STUN_MAX = 8;

function external(view: SignallingView): Found | Missing {
  const { spec } = view;
  const { external: server } = spec.signalling;
  if (server === undefined) return { reason: 'AddressUnknown', message: 'spec.signalling names no server' };
  const username = keyOf(view, server.adminSecretRef.name, 'username');
  if (isMissing(username)) return username;
  const password = keyOf(view, server.adminSecretRef.name, 'password');
  if (isMissing(password)) return password;
  const ca = server.caSecretRef === undefined ? undefined : keyOf(view, server.caSecretRef.name, 'ca.crt');
  if (isMissing(ca)) return ca;
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----'))
    return invalid(view, server.caSecretRef?.name ?? '', 'ca.crt', 'a certificate in PEM');
  if (username.includes('@')) return invalid(view, server.adminSecretRef.name, 'username', 'a name without a domain');
  return {
    place: {
      service: server.service,
      domain: server.domain,
      conference: conferenceOf(server),
      ca,
      stun: spec.ice.stun.slice(0, STUN_MAX),
      turn: effectiveTurn(spec) === 'None' ? 'none' : 'xep-0215',
    },
    admin: { username, password },
  };
}

/** The value of a key of a Secret; what is around it in white space came with an editor. */
function keyOf(view: SignallingView, name: string, key: string): string | Missing {
  const secret = view.secret(name);
  if (secret === undefined)
    return {
      reason: 'SecretMissing',
      message: `Secret ${view.namespace}/${name} does not exist: make it with the keys that spec.signalling.external needs`,
    };
  const text = secretText(secret, key)?.trim();
  if (text === undefined || text === '')
    return { reason: 'SecretMissing', message: `Secret ${view.namespace}/${name} has no key ${key}: add it` };
  return text;
}

const invalid = ({ namespace }: SignallingView, name: string, key: string, wanted: string): Missing => ({
  reason: 'SecretInvalid',
  message: `Secret ${namespace}/${name}: ${key} is not ${wanted}`,
});
