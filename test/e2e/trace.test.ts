/** `evio trace` and `evio flows` on three real nodes in a row, one with Open vSwitch: what arrives, by whom, and where it is lost. */
import { expect } from 'chai';
import type { Flows, TraceResult } from '../../agent/src/api.ts';
import { Line } from './trace/line.ts';

/** What the stations count of three frames from b to a, there and back. */
const B_TO_A = [
  ['b', { read: 3, sent: 3 }, { arrived: 3, delivered: 3 }],
  ['m', { forwarded: 3 }, { forwarded: 3 }],
  ['a', { arrived: 3, delivered: 3 }, { read: 3, sent: 3 }],
];

describe('frames that are traced', function () {
  this.timeout(90_000);
  let line: Line;

  before(async () => {
    line = await Line.make();
  });
  after(() => line?.remove());

  const trace = async (to: string): Promise<{ readonly code: number | null; readonly result: TraceResult }> => {
    const { code, stdout, stderr } = await line.command('a', 'trace', 'a', to, '-o', 'json');
    expect(stderr).to.equal('');
    return { code, result: JSON.parse(stdout) as TraceResult };
  };
  const counts = (result: TraceResult) =>
    result.stations.map(({ name, there, back }) => [name, there?.counts ?? null, back?.counts ?? null]);

  it('arrive directly, and every step has counted them', async () => {
    const { code, result } = await trace('m');
    expect(code).to.equal(0);
    expect(result).to.include({ arrived: true, returned: 3, lost: null });
    expect(counts(result)).to.deep.equal([
      ['a', { read: 3, sent: 3 }, { arrived: 3, delivered: 3 }],
      ['m', { arrived: 3, delivered: 3 }, { read: 3, sent: 3 }],
    ]);
    expect(result.stations[0]?.there?.leftBy).to.include({ name: 'm', path: 'direct' });
    const [lookup] = result.lookups;
    expect(lookup?.flows.map(({ tableName }) => tableName)).to.deep.equal([
      'classify',
      'source',
      'local',
      'edge',
      'core',
    ]);
    for (const { packets } of lookup?.flows ?? []) expect(packets).to.be.at.least(3);
  });

  it('arrive over a member between, which counts them without seeing into them', async () => {
    const { code, result } = await trace('10.45.0.3');
    expect(code).to.equal(0);
    expect(counts(result)).to.deep.equal([
      ['a', { read: 3, sent: 3 }, { arrived: 3, delivered: 3 }],
      ['m', { forwarded: 3 }, { forwarded: 3 }],
      ['b', { arrived: 3, delivered: 3 }, { read: 3, sent: 3 }],
    ]);
    const { stdout } = await line.command('a', 'trace', 'a', 'b');
    expect(stdout)
      .to.match(/^a +session and tunnel to m, direct +3 +3$/m)
      .and.to.match(/^m +passes records on to b, direct +3 +3$/m)
      .and.to.match(/^b +the switch and evio0 +3 +3$/m)
      .and.to.match(/^ARRIVED at b: all were answered$/m);
  });

  it('are seen in the flows and pairs of the node that sent them', async () => {
    const { code, stdout } = await line.command('a', 'flows', '-o', 'json');
    expect(code).to.equal(0);
    const { switches, pairs } = JSON.parse(stdout) as Flows;
    expect(switches.map(({ name, error }) => [name, error])).to.deep.equal([['tincan', null]]);
    const edge = switches[0]?.flows.find(
      ({ tableName, match }) => tableName === 'edge' && match.includes('02:45:0a:2d:00:03'),
    );
    expect(edge?.packets).to.be.at.least(6);
    const b = pairs.find(({ name }) => name === 'b');
    expect(b?.path).to.equal('via');
    expect(b?.bytes)
      .to.be.at.least(12 * 128)
      .and.to.equal(b?.viaBytes);
    const { stdout: text } = await line.command('a', 'flows');
    expect(text)
      .to.match(/^TABLE +PRIORITY +MATCH/m)
      .and.to.match(/^b +via /m);
  });

  it('arrive from a node with Open vSwitch at its edge, by the flows of both its switches', async () => {
    const { code, stdout, stderr } = await line.command('b', 'trace', 'b', 'a', '-o', 'json');
    expect(stderr).to.equal('');
    const result = JSON.parse(stdout) as TraceResult;
    expect(counts(result)).to.deep.equal(B_TO_A);
    expect(code).to.equal(0);
    expect(result.lookups.map((one) => one.switch)).to.deep.equal(['ovs', 'tincan']);
    const [edge] = result.lookups;
    expect(edge?.flows.map(({ tableName }) => tableName)).to.deep.equal(['classify', 'source', 'local', 'edge']);
    const flows = JSON.parse((await line.command('b', 'flows', '-o', 'json')).stdout) as Flows;
    expect(flows.switches.map(({ name, error }) => [name, error])).to.deep.equal([
      ['ovs', null],
      ['tincan', null],
    ]);
  });

  it('begin on another node than the one that is asked: its agent sends them, and tells what became of them', async () => {
    const { code, stdout, stderr } = await line.command('a', 'trace', 'b', 'a', '-o', 'json');
    expect(stderr).to.equal('');
    const result = JSON.parse(stdout) as TraceResult;
    expect(counts(result)).to.deep.equal(B_TO_A);
    expect(result).to.deep.include({ arrived: true, returned: 3, lost: null, lookups: [] });
    expect(code).to.equal(0);
    const text = await line.command('a', 'trace', 'm', 'b', '--frames', '2');
    expect(text.stdout)
      .to.match(/^2 echo requests of \d+ bytes from m \(10\.45\.0\.2\) to b \(10\.45\.0\.3\)$/m)
      .and.to.match(/^m +session and tunnel to b, direct +2 +2$/m)
      .and.to.match(/^ARRIVED at b: all were answered$/m);
  });

  it('to nobody are a wrong command line that names who is known', async () => {
    const { code, stderr } = await line.command('a', 'trace', 'a', 'nobody');
    expect(code).to.equal(2);
    expect(stderr).to.match(/^evio: no member has the name, id or address "nobody".*known members: b, m\n$/);
  });

  it('that a firewall of the destination drops are lost there, and it is said which kernel did not take them', async () => {
    await line.nft(
      'b',
      'add table inet t',
      'add chain inet t c { type filter hook input priority 0; }',
      'add rule inet t c iifname evio0 icmp type echo-request drop',
    );
    try {
      const { code, result } = await trace('b');
      expect(code).to.equal(1);
      expect(result.lost).to.include({ at: 'b', before: null });
      expect(result.lost?.text).to.match(/its kernel did not take them: a firewall of b/);
      const { stdout } = await line.command('a', 'trace', 'a', 'b');
      expect(stdout)
        .to.match(/^LOST at b: /m)
        .and.to.match(/^ {2}to do: on b: nft/m);
    } finally {
      await line.nft('b', 'delete table inet t');
    }
  });

  it('that the member between does not pass on are lost there', async () => {
    await line.nft(
      'm',
      'add table inet t',
      'add chain inet t c { type filter hook output priority 0; }',
      'add rule inet t c oifname to-b udp dport 1-65535 drop',
    );
    try {
      const { code, result } = await trace('b');
      expect(code).to.equal(1);
      expect(result.lost?.at).to.equal('m');
      expect(result.stations.find(({ name }) => name === 'b')?.answered).to.equal(false);
    } finally {
      await line.nft('m', 'delete table inet t');
      await line.reached('m', 'b', 'direct');
      await line.reached('a', 'b', 'via');
    }
  });

  it('arrive also where the agent of the destination does not answer, which is told', async () => {
    await line.endAgent('b');
    const { code, result } = await trace('b');
    expect(code).to.equal(0);
    expect(result.stations.map(({ name, answered }) => [name, answered])).to.deep.equal([
      ['a', true],
      ['m', true],
      ['b', false],
    ]);
    const { stdout } = await line.command('a', 'trace', 'a', 'b');
    expect(stdout).to.match(/^b +does not answer \(its agent is away, or older than traces\)/m);
    const begun = await line.command('a', 'trace', 'b', 'a');
    expect(begun.code).to.equal(1);
    expect(begun.stderr).to.match(/b does not answer: its agent is away or not reached, or of a version that/);
  });

  it('that vanish behind such a node are lost before it, as far as anybody can tell', async () => {
    await line.nft(
      'b',
      'add table inet t',
      'add chain inet t c { type filter hook input priority 0; }',
      'add rule inet t c iifname evio0 drop',
    );
    const { code, result } = await trace('b');
    expect(code).to.equal(1);
    expect(result.lost).to.include({ at: 'm', before: 'b' });
    expect(result.lost?.text).to.match(/nothing came back, and b does not answer/);
  });
});
