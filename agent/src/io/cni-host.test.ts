import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PodSettings } from '../kube/enrolment.ts';
import { CniHost } from './cni-host.ts';

const PODS: PodSettings = {
  attachment: 'Routed',
  subnets: ['10.244.3.0/24'],
  podCIDRs: [],
  gateways: ['10.45.0.3'],
  mtu: 1400,
};

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) expect.fail(`it did not happen: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

describe('the CNI plugin and its configuration on a machine', () => {
  let dir: string;
  let host: CniHost;
  let said: string[];
  const at = (...parts: readonly string[]): string => join(dir, ...parts);
  const conflist = (): string => at('net.d', '10-evio.conflist');
  const plugin = (): string => at('bin', 'evio-cni');
  const ship = (script: string): void => {
    writeFileSync(at('shipped'), `#!/bin/sh\n${script}\n`);
    chmodSync(at('shipped'), 0o755);
  };
  const GOOD = `[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'`;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-cni-host-'));
    said = [];
    ship(GOOD);
    host = new CniHost({
      confDir: at('net.d'),
      binDir: at('bin'),
      dataDir: at('store'),
      plugin: at('shipped'),
      report: (level, message) => said.push(`${level} ${message}`),
      changed: () => undefined,
    });
  });
  afterEach(() => {
    host.stop();
    rmSync(dir, { recursive: true });
  });
  const configured = () => until('it is configured', () => host.state.kind === 'configured');

  it('are put there, the plugin before the configuration, with nothing beside them', async () => {
    host.want(PODS, 'evio0');
    await configured();
    expect(statSync(plugin()).mode & 0o777).to.equal(0o755);
    expect(statSync(conflist()).mode & 0o777).to.equal(0o644);
    expect(readdirSync(at('bin'))).to.deep.equal(['evio-cni']);
    expect(readdirSync(at('net.d'))).to.deep.equal(['10-evio.conflist']);
    expect(statSync(plugin()).mtimeMs).to.be.at.most(statSync(conflist()).mtimeMs);
    expect(said.some((line) => /warn portmap is not in .*: pods have no hostPort/.test(line))).to.equal(true);
  });

  it('are left alone when they are as they should be', async () => {
    host.want(PODS, 'evio0');
    await configured();
    const before = [plugin(), conflist()].map((path) => statSync(path).ino);
    host.want({ ...PODS }, 'evio0');
    await new Promise((done) => setTimeout(done, 300));
    expect([plugin(), conflist()].map((path) => statSync(path).ino)).to.deep.equal(before);
  });

  it('come back when they are removed or changed', async () => {
    host.want(PODS, 'evio0');
    await configured();
    const text = readFileSync(conflist(), 'utf8');
    rmSync(conflist());
    await until('the configuration is back', () => existsSync(conflist()));
    writeFileSync(conflist(), 'x');
    await until('the configuration is right', () => readFileSync(conflist(), 'utf8') === text);
    rmSync(plugin());
    await until('the plugin is back', () => existsSync(plugin()));
    writeFileSync(plugin(), 'x');
    await until('the plugin is right', () => readFileSync(plugin(), 'utf8').startsWith('#!/bin/sh'));
  });

  it('a plugin that comes to be chained is chained', async () => {
    host.want(PODS, 'evio0');
    await configured();
    writeFileSync(at('bin', 'portmap'), '');
    await until('it is chained', () => readFileSync(conflist(), 'utf8').includes('portmap'));
  });

  it('the version of the configuration is one that a chained plugin speaks, also after it was exchanged', async () => {
    const versions = (): unknown => JSON.parse(readFileSync(conflist(), 'utf8')).cniVersions;
    const put = (...list: readonly string[]): void => {
      const script = `#!/bin/sh\necho x >> ${at('asked')}\necho '${JSON.stringify({ supportedVersions: list })}'\n`;
      writeFileSync(at('bin', 'portmap.new'), script, { mode: 0o755 });
      renameSync(at('bin', 'portmap.new'), at('bin', 'portmap'));
    };
    mkdirSync(at('bin'));
    put('0.4.0', '1.0.0');
    host.want(PODS, 'evio0');
    await configured();
    expect(versions()).to.deep.equal(['0.4.0', '1.0.0']);
    put('0.4.0', '1.0.0', '1.1.0');
    await until('it is asked again', () => (versions() as string[]).includes('1.1.0'));
    // Nothing has changed: it is not started again.
    const asked = readFileSync(at('asked'), 'utf8');
    writeFileSync(conflist(), 'x');
    await until('the configuration is back', () => readFileSync(conflist(), 'utf8').includes('portmap'));
    expect(readFileSync(at('asked'), 'utf8')).to.equal(asked);
  });

  it('a chained plugin with no version in common is left out and told', async () => {
    mkdirSync(at('bin'));
    writeFileSync(at('bin', 'portmap'), `#!/bin/sh\necho '{"supportedVersions":["9.0.0"]}'\n`, { mode: 0o755 });
    host.want(PODS, 'evio0');
    await configured();
    expect(readFileSync(conflist(), 'utf8')).to.not.include('portmap');
    expect(said.join('\n')).to.match(/warn portmap in .* speaks CNI 9\.0\.0 only: pods have no hostPort/);
  });

  for (const [name, script, words] of [
    ['that does not run', 'exit 3', /evio-cni\.new does not run: exit code 3/],
    ['that says nothing', 'true', /does not answer VERSION/],
    ['that is for another machine', '\0', /does not run|does not answer VERSION/],
  ] as const)
    it(`a plugin ${name} takes no other's place, and without any no pod starts`, async () => {
      mkdirSync(at('bin'));
      writeFileSync(plugin(), 'the old one');
      ship(script);
      host.want(PODS, 'evio0');
      await until('it is told', () => said.some((line) => line.startsWith('error')));
      expect(said.find((line) => line.startsWith('error'))).to.match(words);
      expect(readFileSync(plugin(), 'utf8')).to.equal('the old one');
      expect(readdirSync(at('bin'))).to.deep.equal(['evio-cni']);
      expect(existsSync(conflist())).to.equal(false);
      expect(host.state.kind).to.equal('missing');
      // It is mended.
      ship(GOOD);
      writeFileSync(at('bin', 'touched'), '');
      await configured();
    });

  it('a plugin that does not run is not tried without end', async () => {
    ship(`echo x >> ${at('runs')}; exit 3`);
    host.want(PODS, 'evio0');
    await until('it is told', () => said.some((line) => line.startsWith('error')));
    await new Promise((done) => setTimeout(done, 1_500));
    expect(readFileSync(at('runs'), 'utf8').length / 2).to.be.at.most(3);
  });

  it('another network that a runtime would take is told', async () => {
    mkdirSync(at('net.d'));
    writeFileSync(at('net.d', '05-other.conflist'), '{}');
    host.want(PODS, 'evio0');
    await configured();
    expect(host.state)
      .to.have.property('message')
      .that.matches(/05-other\.conflist comes before 10-evio\.conflist.*remove it/);
  });

  it('the configuration goes where pods get another network', async () => {
    host.want(PODS, 'evio0');
    await configured();
    host.want(undefined, 'evio0');
    expect(existsSync(conflist())).to.equal(false);
    await new Promise((done) => setTimeout(done, 500));
    expect(existsSync(conflist())).to.equal(false);
  });
});
