import { expect } from 'chai';
import type { Secret } from '../../../agent/src/kube-api/kinds.ts';
import type { EvioNetworkSpecInput } from '../../../crds/src/evio-network.ts';
import { secretData } from './authority.ts';
import { type ServerSecrets, serverSecret } from './server.ts';
import { type Missing, type Signalling, signallingIs, signallingOf } from './signalling.ts';
import { aNetwork, aSecret } from './testing.ts';

const SECRETS: ServerSecrets = {
  adminPassword: 'admin password',
  turnSecret: 't'.repeat(32),
  ca: 'CA',
  caKey: 'CA KEY',
  certificate: 'CRT',
  key: 'KEY',
};
const EXTERNAL: EvioNetworkSpecInput = {
  signalling: {
    external: {
      service: 'xmpps://xmpp.example.org:5223',
      domain: 'example.org',
      adminSecretRef: { name: 'xmpp-admin' },
      caSecretRef: { name: 'xmpp-ca' },
    },
  },
};
const ADMIN = aSecret('xmpp-admin', secretData({ username: 'root', password: 'secret\n' }));
const CA = aSecret('xmpp-ca', secretData({ 'ca.crt': '-----BEGIN CERTIFICATE-----\n' }));

interface Parts {
  readonly spec?: EvioNetworkSpecInput;
  readonly secrets?: readonly Secret[];
  readonly server?: Secret;
  readonly host?: string;
}

const found = ({ spec = {}, secrets = [], server, host }: Parts): Signalling | Missing =>
  signallingOf({
    spec: aNetwork(spec).spec,
    namespace: 'evio-system',
    secret: (name) => secrets.find((s) => s.metadata.name === name),
    server,
    host,
  });
const message = (parts: Parts): string => {
  const is = found(parts);
  return signallingIs(is) ? 'found' : `${is.reason}: ${is.message}`;
};

const serverOf = (spec: EvioNetworkSpecInput = {}): Secret =>
  aSecret('evio-server', serverSecret(aNetwork(spec).spec, ['192.0.2.1'], SECRETS, 'evio-system').data ?? {});

describe('the signalling server', () => {
  it('is the embedded one, at the host that is known, with its own authority', () => {
    const is = found({ server: serverOf(), host: '192.0.2.1' });
    expect(is).to.deep.equal({
      place: {
        service: 'xmpps://192.0.2.1:5223',
        domain: 'evio.internal',
        conference: 'conference.evio.internal',
        ca: 'CA',
        stun: ['192.0.2.1:3478', '192.0.2.1:3479'],
        turn: 'xep-0215',
        cni: { attachment: 'Routed', podCIDRs: ['10.244.0.0/16'] },
        excludeRoutes: [],
      },
      admin: { username: 'evio-admin', password: 'admin password' },
    });
    const spec: EvioNetworkSpecInput = {
      mode: 'HostNetwork',
      signalling: { embedded: { port: 443 } },
      ice: { turn: 'None', stun: ['192.0.2.9:3478'] },
    };
    const six = found({ spec, server: serverOf(spec), host: '2001:db8::1' });
    expect(signallingIs(six) && six.place).to.deep.include({
      service: 'xmpps://[2001:db8::1]:443',
      stun: ['[2001:db8::1]:3478', '[2001:db8::1]:3479', '192.0.2.9:3478'],
      turn: 'none',
      cni: undefined,
      excludeRoutes: [],
    });
  });

  it('says what it waits for', () => {
    expect(message({ server: serverOf() })).to.contain('AddressUnknown: it is not known where nodes reach');
    expect(message({ host: '192.0.2.1' })).to.contain('Deploying');
    const damaged = aSecret('evio-server', { 'server.json': '', 'ca.crt': '' });
    expect(message({ host: '192.0.2.1', server: damaged })).to.contain('Deploying');
  });

  it('is the external one, as the administrator its Secret names', () => {
    expect(found({ spec: EXTERNAL, secrets: [ADMIN, CA] })).to.deep.equal({
      place: {
        service: 'xmpps://xmpp.example.org:5223',
        domain: 'example.org',
        conference: 'conference.example.org',
        ca: '-----BEGIN CERTIFICATE-----',
        stun: [],
        turn: 'xep-0215',
        cni: { attachment: 'Routed', podCIDRs: ['10.244.0.0/16'] },
        excludeRoutes: [],
      },
      admin: { username: 'root', password: 'secret' },
    });
  });

  it('names the Secret, and the key, that is missing or cannot be used; never what is in it', () => {
    const cases: readonly (readonly [string, readonly Secret[]])[] = [
      ['SecretMissing: Secret evio-system/xmpp-admin does not exist', [CA]],
      ['SecretMissing: Secret evio-system/xmpp-ca does not exist', [ADMIN]],
      [
        'SecretMissing: Secret evio-system/xmpp-admin has no key password',
        [aSecret('xmpp-admin', secretData({ username: 'root' })), CA],
      ],
      [
        'SecretMissing: Secret evio-system/xmpp-admin has no key username',
        [aSecret('xmpp-admin', secretData({ username: ' ', password: 'x' })), CA],
      ],
      [
        'SecretInvalid: Secret evio-system/xmpp-ca: ca.crt is not a certificate',
        [ADMIN, aSecret('xmpp-ca', secretData({ 'ca.crt': 'hunter2' }))],
      ],
      [
        'SecretInvalid: Secret evio-system/xmpp-admin: username is not a name',
        [aSecret('xmpp-admin', secretData({ username: 'root@example.org', password: 'hunter2' })), CA],
      ],
    ];
    for (const [wanted, secrets] of cases) {
      expect(message({ spec: EXTERNAL, secrets }), wanted).to.contain(wanted);
      expect(message({ spec: EXTERNAL, secrets })).not.to.contain('hunter2');
    }
  });
});
