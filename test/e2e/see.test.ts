/** What a running node shows of itself: status in time, metrics, the ring as a picture, a dump without secrets. Two real nodes on a LAN. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import type { Graph } from '../../agent/src/api.ts';
import { METRICS } from '../../agent/src/metrics/catalogue.ts';
import type { NodesReport } from '../../cli/src/nodes.ts';
import type { StatusReport } from '../../cli/src/status.ts';
import { inside, Lan, type TermNode, until } from './terminal/lan.ts';

const PORT = 19_105;
const PASSWORD = 'a password that nobody else has';

describe('a node that is looked at', function () {
  this.timeout(60_000);
  let lan: Lan;
  let a: TermNode;

  before(async () => {
    lan = await Lan.make();
    a = lan.a;
    const value = JSON.parse(readFileSync(a.file, 'utf8')) as { signalling: { password: string } };
    value.signalling.password = PASSWORD;
    writeFileSync(a.file, JSON.stringify({ ...value, metrics: { port: PORT } }), { mode: 0o600 });
    lan.start(lan.a);
    lan.start(lan.b);
    await lan.joined();
  });
  after(() => lan?.remove());

  const ask = (...args: string[]) => lan.command(a, ...args, '--config', a.file);
  const page = async (path: string): Promise<string> => {
    const script = `fetch('http://127.0.0.1:${PORT}${path}').then(async (r) => process.stdout.write(r.status + ' ' + await r.text()))`;
    const done = await inside(a.ns, process.execPath, '-e', script);
    return done.stdout + done.stderr;
  };

  it('tells in its status that the server is away, names it and what to do, and ends with 1', async () => {
    const told = await until('the server is missed', 15_000, async () => {
      const { code, stdout } = await ask('status', '-o', 'json');
      const report = JSON.parse(stdout) as StatusReport;
      return report.findings.some((one) => one.code.startsWith('xmpp-')) ? { code, report } : undefined;
    });
    expect(told.code).to.equal(1);
    const [first] = told.report.findings;
    expect(first?.text).to.contain('xmpps://');
    expect(first?.fix).to.match(/\S/);
    const { stdout } = await ask('status');
    expect(stdout)
      .to.match(/^health\s+1 fault/m)
      .and.to.match(/^FAULT xmpp-\S+: /m)
      .and.to.match(/^ {2}to do: /m);
  });

  it('says after the time of --wait that it is not well', async () => {
    const { code } = await ask('status', '--wait', '--timeout', '1');
    expect(code).to.equal(1);
  });

  it('is read by Prometheus on its own machine: every metric that there is, and the tunnel to the other', async () => {
    const text = await page('/metrics');
    expect(text).to.match(/^200 /);
    for (const { name } of METRICS) expect(text).to.contain(`# TYPE ${name} `);
    expect(text).to.contain('evio_tunnel_up{peer="b",path="direct"} 1');
    expect(text).to.match(/^evio_finding\{code="xmpp-\S+",severity="error"\} 1$/m);
    expect(await page('/livez')).to.equal('200 ok\n');
    expect(await page('/readyz')).to.match(/^503 .*xmpps:/);
    expect(await page('/')).to.match(/^404 /);
  });

  it('draws the ring with its tunnel', async () => {
    const graph = JSON.parse((await ask('graph', '-o', 'json')).stdout) as Graph;
    expect(graph.nodes.map(({ name }) => name)).to.have.members(['a', 'b']);
    expect(graph.edges.map(({ path }) => path)).to.deep.equal(['direct']);
    const { stdout } = await ask('graph', '--format', 'svg');
    expect(stdout)
      .to.match(/^<svg /)
      .and.to.contain('class="direct"')
      .and.to.contain('</svg>');
  });

  it('lists all members, itself with its NAT, the other by its path, as a table and as YAML', async () => {
    const done = await ask('nodes', '-o', 'yaml');
    expect(done.code, done.stderr).to.equal(0);
    const report = parse(done.stdout) as NodesReport;
    expect(report).to.include({ source: 'node' });
    expect(report.nodes.map(({ name, path }) => [name, path])).to.deep.equal([
      ['a', 'self'],
      ['b', 'direct'],
    ]);
    expect(report.nodes.every(({ id }) => /^[0-9a-f]{32}$/.test(id ?? ''))).to.equal(true);
    expect((await ask('nodes')).stdout).to.match(/^NODE +ID +ADDRESS .*\na .* self .*\nb .* direct /);
  });

  it('is dumped in one archive that nobody else can read, without a secret of it, and every one is listed', async () => {
    const dir = mkdtempSync(join(lan.dir, 'dump-'));
    const out = join(dir, 'dump.tar.gz');
    const done = await ask('sysdump', '--out', out, '-o', 'json');
    expect(done.code, done.stderr).to.equal(0);
    expect(statSync(out).mode & 0o777).to.equal(0o600);
    const { redactions, files } = JSON.parse(done.stdout) as {
      redactions: readonly { file: string; what: string }[];
      files: readonly string[];
    };
    expect(redactions.map(({ what }) => what)).to.include.members([
      'identity.key',
      'identity.sessionKey',
      'signalling.password',
    ]);
    for (const name of [
      'agent/status.json',
      'agent/peers.json',
      'config/node.json',
      'logs/tincan.log',
      'system/routes4.txt',
      'REDACTED.txt',
    ])
      expect(
        files.some((file) => file.endsWith(`/${name}`)),
        name,
      ).to.equal(true);
    const all = execFileSync('tar', ['-xzOf', out], { encoding: 'utf8', maxBuffer: 64 << 20 });
    const { identity } = JSON.parse(readFileSync(a.file, 'utf8')) as { identity: { key: string; sessionKey: string } };
    for (const secret of [PASSWORD, identity.key, identity.sessionKey]) expect(all).not.to.contain(secret);
    expect(all).to.contain('signalling.password');
    const again = await ask('sysdump', '--out', out);
    expect(again.code).to.equal(2);
    expect(again.stderr).to.match(/^evio: cannot write .*: something else has this name\n$/);
    rmSync(dir, { recursive: true });
  });
});
