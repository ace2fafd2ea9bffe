import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Enrolled } from '../kube/enrolment.ts';
import { StartError } from '../obstacle.ts';
import { KubeFiles } from './kube-files.ts';

describe("what a cluster's node keeps on its disk", () => {
  const root = mkdtempSync(join(tmpdir(), 'evio-kube-files-'));
  const dir = join(root, 'made', 'kubernetes');
  after(() => rmSync(root, { recursive: true }));
  const enrolled: Enrolled = {
    serial: '7',
    papers: '{}\n',
    file: '{"a":1}\n',
    revocations: undefined,
    pods: { attachment: 'Routed', subnets: ['10.244.3.0/24'], podCIDRs: [], gateways: ['10.45.0.3'], mtu: 1400 },
    authorityKey: 'key',
  };

  it('are its keys, made once, and for nobody else to read', () => {
    const keys = new KubeFiles(dir).keys();
    expect(new KubeFiles(dir).keys()).to.deep.equal(keys);
    expect(statSync(dir).mode & 0o777).to.equal(0o700);
    expect(statSync(join(dir, 'keys.json')).mode & 0o777).to.equal(0o600);
  });

  it('are what it was enrolled with, and where the API server answered', () => {
    const files = new KubeFiles(dir);
    expect([files.pinned(), files.stored(), files.apiServers()]).to.deep.equal([undefined, undefined, []]);
    files.pin('key');
    files.store(enrolled);
    files.rememberApiServers(['https://a:6443']);
    const again = new KubeFiles(dir);
    expect(again.pinned()).to.equal('key');
    expect(again.stored()).to.deep.equal({ serial: '7', file: enrolled.file, pods: enrolled.pods });
    expect(again.apiServers()).to.deep.equal(['https://a:6443']);
    files.store({ ...enrolled, pods: undefined });
    expect(again.stored()?.pods).to.equal(undefined);
    for (const name of readdirSync(dir)) {
      expect(name).to.not.match(/new$/);
      expect(statSync(join(dir, name)).mode & 0o777, name).to.equal(0o600);
    }
  });

  it('damaged keys are not replaced: it would be another node', () => {
    writeFileSync(join(dir, 'keys.json'), '{"identity":"AAAA"}');
    expect(() => new KubeFiles(dir).keys()).to.throw(StartError, /keys\.json holds no keys: restore it; or remove it/);
  });

  it('a list of addresses that is damaged is none', () => {
    writeFileSync(join(dir, 'api-servers.json'), '[1, "https://a:6443"');
    expect(new KubeFiles(dir).apiServers()).to.deep.equal([]);
  });

  it('a directory that cannot be made ends the start in one line', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => new KubeFiles(join(root, 'file', 'kubernetes'))).to.throw(StartError, /^cannot make .*: /);
  });
});
