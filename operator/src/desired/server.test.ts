import { expect } from 'chai';
import { serverSettings } from '../../../cli/src/server/settings.ts';
import { secretsDue } from '../controllers/network/decide.ts';
import { newServerSecrets, renewCertificate } from '../io/server-secrets.ts';
import { readSettings } from '../settings.ts';
import { secretText } from './authority.ts';
import { secretsOf, serverDeployment, serverSecret } from './server.ts';
import { aNetwork, aSecret } from './testing.ts';

const NOW = Math.floor(Date.now() / 1000);
const DAY = 86_400;
const SETTINGS = readSettings({ EVIO_SERVER_IMAGE: 'registry/server:1' }, '1');
const secrets = newServerSecrets(NOW);
const of = (made = secrets, addresses = ['192.0.2.1'], spec = {}) =>
  aSecret('evio-server', serverSecret(aNetwork(spec).spec, addresses, made, 'evio-system').data ?? {});

describe('the embedded server', () => {
  it('is set up by a Secret that evio server run takes, with what was made once', () => {
    const spec = { nodeCIDRs: ['10.45.0.0/16'], ice: { relayPorts: { min: 50_000, max: 50_100 } } };
    const settings = serverSettings.parse(
      JSON.parse(secretText(of(secrets, ['192.0.2.1'], spec), 'server.json') ?? ''),
    );
    expect(settings.addresses).to.deep.equal([{ public: '192.0.2.1', local: '192.0.2.1' }]);
    expect(settings.ports).to.deep.equal({ starttls: 5222, tls: 5223, turn: 3478, relayMin: 50_000, relayMax: 50_100 });
    // The relay is no way into the cluster.
    expect(settings.deniedPeers).to.deep.equal(['10.45.0.0-10.45.255.255', '10.244.0.0-10.244.255.255']);
    expect(secretsOf(of())).to.deep.equal(secrets);
  });

  it('keeps its secrets when the spec changes, and its pod is started anew then', () => {
    const [before, after] = [of(), of(secrets, ['192.0.2.2'])];
    expect(secretsOf(after)).to.deep.equal(secretsOf(before));
    const annotations = [before, after].map(
      (secret) =>
        serverDeployment(aNetwork().spec, secret, SETTINGS).spec?.template?.metadata?.annotations?.['evio.io/settings'],
    );
    expect(annotations[0]).to.match(/^[0-9a-f]{32}$/);
    expect(annotations[0]).not.to.equal(annotations[1]);
  });

  it('gets a new certificate long before the old one ends, from the same authority', () => {
    expect(secretsDue(of(), NOW)).to.equal(undefined);
    expect(secretsDue(of(), NOW + 700 * DAY)).to.equal(undefined);
    expect(secretsDue(of(), NOW + 736 * DAY)).to.equal('certificate');
    const renewed = renewCertificate(secrets, NOW + 736 * DAY);
    expect({ ...renewed, certificate: '', key: '' }).to.deep.equal({ ...secrets, certificate: '', key: '' });
    expect(secretsDue(of(renewed), NOW + 736 * DAY)).to.equal(undefined);
    expect(secretsDue(of(), NOW + 3_600 * DAY)).to.equal('all');
  });

  it('gets everything anew when its Secret is gone, damaged, or of two halves that do not fit', () => {
    expect(secretsDue(undefined, NOW)).to.equal('all');
    expect(secretsDue(aSecret('evio-server', {}), NOW)).to.equal('all');
    expect(secretsDue(of({ ...secrets, certificate: 'x' }), NOW)).to.equal('all');
    const other = newServerSecrets(NOW);
    expect(secretsDue(of({ ...secrets, certificate: other.certificate, key: other.key }), NOW)).to.equal('certificate');
  });

  it('runs on the control plane unless it is said where, and never with more than it needs', () => {
    const pod = (spec = {}) => serverDeployment(aNetwork(spec).spec, of(), SETTINGS).spec?.template?.spec;
    expect(pod()).to.have.nested.property(
      'affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key',
      'node-role.kubernetes.io/control-plane',
    );
    const placed = pod({ signalling: { embedded: { nodeSelector: { role: 'hub' } } } });
    expect([placed?.nodeSelector, placed?.affinity]).to.deep.equal([{ role: 'hub' }, undefined]);
    const [container] = pod()?.containers ?? [];
    expect([container?.securityContext?.privileged, container?.securityContext?.capabilities?.drop]).to.deep.equal([
      undefined,
      ['ALL'],
    ]);
    expect(pod()?.volumes?.[0]?.secret?.defaultMode).to.equal(0o400);
  });
});
