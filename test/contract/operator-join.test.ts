/** Machines that join a cluster's overlay by tokens, which the operator answers: a real API server, a real Prosody, the real commands. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadNodeConfig } from '../../agent/src/config/load.ts';
import { answerIn, questionOf } from '../../agent/src/io/join-stanza.ts';
import { openSession } from '../../agent/src/io/xmpp-session.ts';
import { authorityJid } from '../../agent/src/join/address.ts';
import { tokenSecretName } from '../../agent/src/join/cluster-token.ts';
import { formatPrefix } from '../../agent/src/wire/address.ts';
import { parseCertificate } from '../../agent/src/wire/certificate.ts';
import { NO_SECRET, sealRequest } from '../../agent/src/wire/join-message.ts';
import { decodeToken, tokenId } from '../../agent/src/wire/join-token.ts';
import { privateKey } from '../../agent/src/wire/keys.ts';
import { fromBase64 } from '../../agent/src/wire/reader.ts';
import { isRevoked, verifyRevocations } from '../../agent/src/wire/revocations.ts';
import { createClusterToken, listClusterTokens, revokeClusterToken } from '../../cli/src/authority/cluster-tokens.ts';
import { join as joinOverlay } from '../../cli/src/join/join.ts';
import { leave } from '../../cli/src/join/leave.ts';
import type { EvioPeerStatus } from '../../crds/src/evio-peer.ts';
import { Lab, NAMESPACE, until } from './operator/lab.ts';

const RBAC = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/rolebindings`;
const PEERS = '/apis/evio.io/v1alpha1/eviopeers';
const PEER = { apiVersion: 'evio.io/v1alpha1', kind: 'EvioPeer', spec: {} };
const HOST_PACKAGE = { 'evio.io/host-package': 'true' };

describe('joining a cluster by token', function () {
  this.timeout(180_000);
  let lab: Lab;
  let dir: string;
  let current = 0;
  const operator = (): string => `operator-${current}`;
  const start = async (): Promise<void> => {
    lab.operator(`operator-${++current}`);
    await lab.leads(operator());
  };
  const place = (user = 'maker') => ({
    kubeconfig: lab.api.kubeconfig(user),
    context: undefined,
    namespace: NAMESPACE,
    network: 'default',
  });
  const create = (more: { readonly uses?: number; readonly lifeSeconds?: number } = {}) =>
    createClusterToken(place(), { uses: 1, lifeSeconds: 600, peer: undefined, ...more });
  const file = (name: string): string => join(dir, `${name}.json`);
  const joins = (name: string | undefined, token: string, config = file(name ?? '')) =>
    joinOverlay({
      ...{ token, name, addresses: [], runDir: undefined, stateDir: undefined, config, start: false },
      nodeIp: undefined,
    });
  const refusal = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      (error: Error) => error.message,
    );

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'evio-operator-join-'));
    lab = await Lab.start({ maker: { name: 'maker' }, nobody: { name: 'nobody' } });
    const subjects = [{ kind: 'User', name: 'maker', apiGroup: 'rbac.authorization.k8s.io' }];
    const roleRef = { kind: 'Role', name: 'evio-token-maker', apiGroup: 'rbac.authorization.k8s.io' };
    lab.must(await lab.api.request('POST', RBAC, { metadata: { name: 'maker' }, subjects, roleRef }));
    await lab.adminSecrets();
    await lab.apply({ mode: 'HostNetwork' });
    await start();
  });
  after(async () => {
    await lab?.stop();
    if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
  });
  afterEach(function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(`${lab.log(operator()).slice(-6_000)}\n`);
  });

  it('a token is made by who may do nothing but that, and no Secret holds what one joins by', async () => {
    const { id, token } = await create();
    const { secret } = decodeToken(token);
    expect(id).to.equal(tokenId(secret));
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets`;
    const { items } = lab.must(await lab.api.request('GET', path)) as { items: { data?: Record<string, string> }[] };
    const values = items.flatMap(({ data = {} }) => Object.values(data));
    const stored = values.map((value) => Buffer.from(value, 'base64').toString('latin1')).join('\n');
    expect(stored).to.include('evio-tokens/1');
    for (const form of ['hex', 'base64', 'base64url'] as const)
      expect(stored).not.to.include(Buffer.from(secret).toString(form));
    expect((await lab.api.request('GET', `${path}/evio-authority`, undefined, { as: 'maker' })).status).to.equal(403);
    const own = await lab.api.request('POST', path, { metadata: { name: 'evio-server' } }, { as: 'maker' });
    expect(`${own.status} ${own.body.message}`).to.match(/^403 .*'token-secret\.evio\.io'/);
    expect((await listClusterTokens(place())).find((one) => one.id === id)).to.deep.include({ left: 1, joined: [] });
    expect(await refusal(createClusterToken(place('nobody'), { uses: 1, lifeSeconds: 60, peer: undefined }))).to.match(
      /^cannot create secrets evio-system\/evio-token-.*; the Role evio-token-maker there has what it takes$/,
    );
  });

  it('a machine joins with its own keys, has its EvioNode before its Node, and its Node takes it over', async () => {
    const { id, token } = await create();
    const joined = await joins('edge1', token);
    expect(joined.addresses).to.deep.equal(['10.45.0.1/16']);
    const { identity, signalling } = loadNodeConfig(file('edge1'));
    const member = await lab.member('edge1');
    expect(member?.metadata.ownerReferences).to.equal(undefined);
    expect(member?.spec).to.deep.include({ memberName: 'edge1', addresses: ['10.45.0.1/16'], podCIDRs: [] });
    expect(member?.spec.enrolment?.serial).to.equal(identity.certificate.serial.toString());
    const { service, domain, username } = signalling;
    expect([domain, username.startsWith('edge1.')]).to.deep.equal([lab.xmpp.domain, true]);
    (await session(signalling)).close();
    expect(service.url).to.equal(lab.xmpp.service);
    // The same line again by somebody else.
    expect(await refusal(joins('thief', token))).to.match(/used/);
    // What is spent leaves nothing behind that an older book could take for good.
    await until('its Secret is gone', async () => (await lab.there('secrets', tokenSecretName(id))) === undefined);
    expect((await listClusterTokens(place())).find((one) => one.id === id)).to.deep.include({
      left: 0,
      joined: ['edge1'],
    });
    await lab.node('edge1', { labels: HOST_PACKAGE });
    await until(
      'its Node owns it',
      async () => (await lab.member('edge1'))?.metadata.ownerReferences?.[0]?.kind === 'Node',
    );
    expect((await lab.member('edge1'))?.spec.machine?.identityKey).to.equal(member?.spec.machine?.identityKey);
    await until('it counts', async () => (await lab.network())?.status?.nodes?.summary === '1/1');
  });

  const session = ({ service, domain, username, password, ca }: ReturnType<typeof loadNodeConfig>['signalling']) =>
    openSession(
      {
        ...{ service: service.url, domain, username, password: password.reveal(), ca, renewal: '' },
        resource: 'evio',
        signal: AbortSignal.timeout(10_000),
      },
      { stanza: () => undefined, received: () => undefined, closed: () => undefined },
    );

  it('nobody gets the name of a Node that is there, nor its keys', async () => {
    await lab.node('taken');
    await until('its EvioNode', () => lab.member('taken'));
    const { token } = await create();
    expect(await refusal(joins('taken', token))).to.match(
      /^the overlay has a node taken already; .*kubectl delete evionode/,
    );
    expect(await refusal(joins('edge1', token, file('other')))).to.match(/^the overlay has a node edge1 already/);
    expect((await lab.member('taken'))?.spec.machine).to.equal(undefined);
    // It cost no use.
    expect((await joins('edge2', token)).name).to.equal('edge2');
  });

  it('a token holds over the end of an operator, and one that is used stays used', async () => {
    const [used, open] = [await create(), await create()];
    await joins('edge3', used.token);
    await lab.kill(operator(), 'SIGTERM');
    await start();
    expect(await refusal(joins('edge4', used.token))).to.match(/used/);
    expect((await joins('edge4', open.token)).name).to.equal('edge4');
  });

  it('a token that is revoked, or whose time is over, is void and leaves neither Secret nor account', async () => {
    const revoked = await create();
    await revokeClusterToken(place('admin'), revoked.id);
    await until('it is void', async () => /revoked|not known/.test(await refusal(joins('late', revoked.token))));
    const short = await create({ lifeSeconds: 2 });
    await until(
      'its Secret is gone',
      async () => (await lab.there('secrets', tokenSecretName(short.id))) === undefined,
    );
    await until('its account is gone', async () =>
      /does not take the token any more: it expired/.test(await refusal(joins('late', short.token))),
    );
    const tooLong = { uses: 1, lifeSeconds: 31 * 86_400, peer: undefined };
    const before = await lab.secretNames();
    const refused = await refusal(createClusterToken(place('admin'), tooLong));
    expect((await lab.secretNames()).filter((name) => !before.includes(name))).to.deep.equal([]);
    expect(refused).to.match(/^the operator refuses the token: .*more than 30 days$/);
    expect(await refusal(createClusterToken(place(), tooLong))).to.match(/30 days; its Secret stays: kubectl -n /);
    const ids = (await listClusterTokens(place())).map(({ id }) => id);
    for (const { id } of [revoked, short]) expect(ids).not.to.include(id);
  });

  it('a node asks what is new, and gets the list of who was revoked; the same question again changes nothing', async () => {
    await lab.remove('evionodes', 'edge2');
    const { identity, overlay, signalling } = loadNodeConfig(file('edge3'));
    const gone = loadNodeConfig(file('edge2')).identity.certificate.nodeId;
    const { authorityKey, overlayId } = overlay.parameters;
    const own = identity.certificate.bytes.toString('base64');
    const body = { type: 'renew', certificate: own, parameters: 0, revocations: 0 } as const;
    const asked = sealRequest(body, authorityKey, privateKey('ed25519', identity.seed.reveal()), NO_SECRET);
    const key = privateKey('x25519', identity.sessionKey.reveal());
    const before = (await lab.member('edge3'))?.spec.enrolment?.serial;
    const speaking = await session(signalling);
    try {
      const answers = await until('the list', async () => {
        const ask = async () =>
          answerIn(
            await speaking.iq('set', authorityJid(overlayId, lab.xmpp.domain), questionOf(asked)),
            asked,
            authorityKey,
            key,
          );
        const found = [await ask(), await ask()];
        return found.every((one) => one.type === 'renewed' && one.revocations !== undefined) && found;
      });
      for (const answer of answers) {
        if (answer.type !== 'renewed') throw new Error(answer.type);
        const list = verifyRevocations(fromBase64(answer.revocations ?? ''), authorityKey);
        expect([isRevoked(list, gone, 1n), answer.certificate]).to.deep.equal([true, undefined]);
        expect(answer.parameters).not.to.equal(undefined);
        // Where the XMPP server is, as a machine that joins now is told.
        const { service, username, password } = signalling;
        expect(answer.account).to.deep.include({ service: service.url, username, password: password.reveal() });
      }
    } finally {
      speaking.close();
    }
    expect((await lab.member('edge3'))?.spec.enrolment?.serial).to.equal(before);
  });

  it('a machine that leaves is revoked, and may come again by another token', async () => {
    const before = loadNodeConfig(file('edge4')).identity.certificate;
    const left = await leave(file('edge4'));
    expect(left).to.deep.include({ name: 'edge4', why: null });
    expect(left.revoked).to.be.above(0);
    expect(await lab.member('edge4')).to.equal(undefined);
    const { token } = await create();
    await joins('edge4', token);
    const { identity, overlay } = loadNodeConfig(file('edge4'));
    expect(identity.certificate.nodeId).not.to.equal(before.nodeId);
    expect(isRevoked(overlay.revocations, before.nodeId, before.serial)).to.equal(true);
  });

  it('of the nodes that match one carries Services for EvioPeers, and another one when its kubelet is silent', async () => {
    const services = '10.96.0.0/12';
    const own = lab.newKeys();
    await lab.node('gate', { labels: { gate: 'true' } });
    await until('its EvioNode', () => lab.member('gate'));
    await lab.tell('gate', own);
    const ready = (name: string, status: string) =>
      lab.api.request(
        'PATCH',
        `/api/v1/nodes/${name}/status`,
        { status: { conditions: [{ type: 'Ready', status, reason: 'Test', message: '' }] } },
        { type: 'application/strategic-merge-patch+json' },
      );
    const routes = async (name: string) => {
      const certificate = (await lab.member(name))?.spec.enrolment?.certificate;
      return certificate && parseCertificate(fromBase64(certificate)).routes.map(formatPrefix);
    };
    const carried = (name: string) =>
      until(`${name} carries them`, async () => {
        const is = (await routes(name))?.includes(services) === true;
        return is && (await lab.network())?.status?.gateway === name;
      });
    await lab.apply({ mode: 'HostNetwork', gateways: { serviceCIDRs: [services], nodeSelector: { gate: 'true' } } });
    await carried('gate');
    await lab.node('gate2', { labels: { gate: 'true' } });
    await until('its EvioNode', () => lab.member('gate2'));
    await lab.tell('gate2', lab.newKeys());
    await until('it is enrolled', async () => (await routes('gate2')) !== undefined);
    expect(await routes('gate2')).to.deep.equal([]);
    lab.must(await ready('gate', 'Unknown'));
    await carried('gate2');
    // It has the higher serial when the former one has been taken them off.
    await until('the former one has none', async () => (await routes('gate'))?.length === 0);
    lab.must(await ready('gate', 'True'));
    // A machine that is to be a node leaves them to kube-proxy.
    await joins('edge5', (await create()).token);
    expect(loadNodeConfig(file('edge5')).network.excludeRoutes).to.deep.equal([services]);
    expect(await routes('gate')).to.deep.equal([]);
  });

  it('an EvioPeer has its address at once, its machine joins under its name by a token of its own, and deleting it revokes', async () => {
    lab.must(await lab.api.request('POST', PEERS, { ...PEER, metadata: { name: 'camera' } }));
    const status = async () =>
      (lab.must(await lab.api.request('GET', `${PEERS}/camera`)) as { status?: EvioPeerStatus }).status;
    const waiting = await until('its address', async () => (await status())?.addresses !== undefined && status());
    expect(waiting?.conditions?.map(({ type, reason }) => [type, reason])).to.deep.equal([
      ['Accepted', 'Accepted'],
      ['Joined', 'NotJoined'],
    ]);
    // Not by a token for nodes.
    const other = await create();
    expect(await refusal(joins('camera', other.token))).to.match(/^the overlay has a node camera already/);
    const { token } = await createClusterToken(place(), { uses: 1, lifeSeconds: 600, peer: 'camera' });
    const joined = await joins(undefined, token, file('camera'));
    expect(loadNodeConfig(file('camera')).network.excludeRoutes).to.deep.equal([]);
    expect([joined.name, joined.addresses]).to.deep.equal(['camera', waiting?.addresses]);
    const now = await until('its machine', async () => (await status())?.nodeID !== undefined && status());
    expect(now).to.deep.include({ nodeID: joined.id, certificateNotAfter: joined.validUntil.replace('.000Z', 'Z') });
    expect((await lab.network())?.status?.nodes?.desired).to.equal(4);
    // Nobody takes its place by another token of it.
    const again = await createClusterToken(place(), { uses: 1, lifeSeconds: 600, peer: 'camera' });
    expect(await refusal(joins(undefined, again.token, file('second')))).to.match(
      /^the overlay has a node camera already/,
    );
    lab.must(await lab.api.request('DELETE', `${PEERS}/camera`));
    await until('its EvioNode is gone', async () => (await lab.member('camera')) === undefined);
    const refused = await until('its account is gone', async () =>
      session(loadNodeConfig(file('camera')).signalling).then(
        (open) => open.close(),
        (error: Error) => error.message,
      ),
    );
    expect(refused).to.match(/refuses the password/);
  });
});
