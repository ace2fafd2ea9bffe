import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { expect } from 'chai';
import { findAccess, fromKubeConfig } from './access.ts';

describe('finding an API server', () => {
  let folder: string;
  const kept = { ...process.env };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'evio-access-'));
    for (const name of ['KUBECONFIG', 'KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) delete process.env[name];
  });
  afterEach(() => {
    process.env = { ...kept };
    rmSync(folder, { recursive: true });
  });
  const failure = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'none',
      (error: Error) => error.message,
    );

  it('says in one line what is wrong with a kubeconfig', async () => {
    expect(await failure(findAccess({ kubeconfig: `${folder}/none` }))).to.equal(
      `cannot read the kubeconfig ${folder}/none: there is no such file`,
    );
    writeFileSync(`${folder}/bad`, 'password: "hunter2');
    expect(await failure(findAccess({ kubeconfig: `${folder}/bad` }))).to.equal(
      `cannot read the kubeconfig ${folder}/bad: it is no kubeconfig`,
    );
    writeFileSync(
      `${folder}/empty`,
      JSON.stringify({ clusters: [], users: [], contexts: [], 'current-context': 'none' }),
    );
    expect(await failure(findAccess({ kubeconfig: `${folder}/empty` }))).to.equal(
      `the kubeconfig ${folder}/empty has no cluster with a server for its context "none"`,
    );
    expect(await failure(findAccess({ kubeconfig: `${folder}/empty`, servers: ['nonsense'] }))).to.include('is no URL');
  });

  it('says in one line that there is neither a kubeconfig nor a service account', async () => {
    expect(await failure(findAccess({ serviceAccount: folder }))).to.match(/^no API server: .*--kubeconfig/);
  });

  it('takes the service account of the pod, with its token as it is now', async () => {
    Object.assign(process.env, { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' });
    writeFileSync(`${folder}/ca.crt`, 'authority');
    writeFileSync(`${folder}/token`, 'first\n');
    const access = await findAccess({ serviceAccount: folder });
    expect(access.servers).to.deep.equal(['https://[fd00::1]:6443']);
    expect(await access.options()).to.deep.equal({
      ca: 'authority',
      headers: { authorization: 'Bearer first' },
    });
    writeFileSync(`${folder}/token`, 'second');
    expect((await access.options()).headers).to.deep.equal({ authorization: 'Bearer second' });
  });

  it("takes a kubeconfig's server and credentials, and not the agent that client-node keeps for ever", async () => {
    const config = new KubeConfig();
    // client-node takes http only together with skipTLSVerify.
    const server = 'http://127.0.0.1:8001';
    config.loadFromClusterAndUser({ name: 'c', server, skipTLSVerify: true }, { name: 'u', token: 'hunter2' });
    const access = fromKubeConfig(config);
    expect(access.servers).to.deep.equal([server]);
    const { headers, agent } = await access.options();
    expect(headers).to.include({ Authorization: 'Bearer hunter2' });
    expect(agent).to.equal(undefined);
  });
});
