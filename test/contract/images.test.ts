/** The container images in a containerd of the test's own: they are imported, and what is in them runs. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Containerd } from '../servers/containerd.ts';

const TAG = 'test';
const IMPORT_MS = 240_000;
const READY_MS = 60_000;

describe('the container images', function () {
  this.timeout(READY_MS + 30_000);
  let containerd: Containerd;
  let number = 0;

  const ctr = (...args: readonly string[]): string => containerd.ctr(...args);
  const runArguments = (image: string, options: readonly string[], command: readonly string[]): readonly string[] => {
    number += 1;
    const name = `localhost/evio/${image}:${TAG}`;
    return containerd.arguments('run', '--rm', ...options, name, `${image}-${number}`, ...command);
  };
  /** To its end; the image's own command when none is given. */
  function run(image: string, command: readonly string[], options: readonly string[] = []) {
    const done = spawnSync('ctr', runArguments(image, options, command), {
      encoding: 'utf8',
      timeout: READY_MS,
      killSignal: 'SIGKILL',
    });
    return { code: done.status, said: `${done.stdout}${done.stderr}`.trim() };
  }

  before(async function () {
    this.timeout(IMPORT_MS);
    containerd = await Containerd.start('evio-images');
    const archive = join(containerd.folder, 'evio.tar');
    execFileSync(process.execPath, ['hack/images/build.ts', '--tag', TAG, '--out', archive], { stdio: 'pipe' });
    ctr('images', 'import', archive);
    rmSync(archive);
  });

  after(() => containerd?.stop());

  it('are all there after one import', () => {
    const names = ctr('images', 'list', '--quiet').trim().split('\n').sort();
    expect(names).to.deep.equal(
      ['agent', 'dataplane', 'host', 'operator', 'server'].map((name) => `localhost/evio/${name}:${TAG}`),
    );
  });

  it('the agent is started by the image itself, and has the CNI plugin and what cleans a node', () => {
    expect(run('agent', []).code).to.equal(2);
    expect(run('agent', []).said).to.match(/NODE_NAME/);
    expect(run('agent', ['/opt/evio/evio', '--version']).said).to.match(/^\d+\.\d+\.\d+/);
    const plugin = `echo '{"cniVersion":"1.0.0"}' | CNI_COMMAND=VERSION /opt/evio/evio-cni`;
    expect(run('agent', ['sh', '-c', plugin]).said).to.match(/"supportedVersions"/);
    const native = "require('/opt/evio/node_datachannel.node');console.log('loaded')";
    expect(run('agent', ['node', '-e', native]).said).to.equal('loaded');
    expect(run('agent', ['ip', '-brief', 'link']).said).to.match(/^lo /);
  });

  it('the host image has the agent with its tincan, and asks for its node file', () => {
    const { code, said } = run('host', []);
    expect(code).to.equal(2);
    expect(said).to.match(/\/etc\/evio\/node\.json/);
    expect(run('host', ['/opt/evio/tincan', '--version']).said).to.match(/^tincan \d/);
  });

  it('tincan is started by the image itself and waits in its run directory, with a firewall at hand', async () => {
    expect(run('dataplane', ['tincan', '--version']).said).to.match(/^tincan \d/);
    expect(run('dataplane', ['nft', 'list', 'ruleset'], ['--cap-add', 'CAP_NET_ADMIN'])).to.deep.equal({
      code: 0,
      said: '',
    });
    const mount = `type=bind,src=${containerd.folder}/run,dst=/run/evio,options=rbind:rw`;
    execFileSync('mkdir', [join(containerd.folder, 'run')]);
    const args = runArguments('dataplane', ['--cap-add', 'CAP_NET_ADMIN', '--mount', mount], []);
    const tincan = spawn('ctr', args, { stdio: 'ignore' });
    const ended = once(tincan, 'exit');
    for (const end = performance.now() + READY_MS; ; await sleep(100)) {
      if (spawnSync('test', ['-S', join(containerd.folder, 'run/default/control.sock')]).status === 0) break;
      if (performance.now() > end || tincan.exitCode !== null) throw new Error('tincan made no control socket');
    }
    ctr('task', 'kill', '--signal', 'SIGTERM', `dataplane-${number}`);
    await ended;
  });

  it('the operator is started by the image itself, as nobody, on a file system it cannot write', () => {
    const { code, said } = run('operator', [], ['--read-only']);
    expect(code).to.not.equal(0);
    expect(said).to.match(/no API server/);
    expect(run('operator', ['id', '-u']).said).to.equal('65532');
    expect(run('operator', ['node', '/opt/evio/evio-chart.mjs', 'uninstall', '1']).said).to.match(/this runs in a pod/);
  });

  it('the server has Prosody and coturn, each as its own user, and they answer', async () => {
    const init = 'evio server init --foreground --domain evio.example --address 127.0.0.1';
    const script = `${init} >/dev/null && exec evio server run`;
    const capabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SYS_NICE'];
    const options = capabilities.flatMap((name) => ['--cap-add', `CAP_${name}`]);
    const server = spawn('ctr', runArguments('server', options, ['sh', '-c', script]), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(server, 'exit');
    let said = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (data: Buffer) => {
        said += data.toString();
      });
    const name = `server-${number}`;
    for (const end = performance.now() + READY_MS; ; await sleep(100)) {
      if (/^prosody: ready/m.test(said) && /^coturn: ready/m.test(said)) break;
      if (performance.now() > end || server.exitCode !== null) throw new Error(`the server is not ready: ${said}`);
    }
    const users = (program: string): string =>
      ctr(
        'task',
        'exec',
        '--exec-id',
        program,
        name,
        'sh',
        '-c',
        `for p in /proc/[0-9]*; do grep -qx ${program} $p/comm && stat -c %U $p; done; true`,
      ).trim();
    expect(users('turnserver')).to.equal('turnserver');
    expect(users('lua5.4')).to.equal('prosody');
    ctr('task', 'kill', '--signal', 'SIGTERM', name);
    await ended;
    expect(said).to.match(/SIGTERM: stopping/);
  });
});
