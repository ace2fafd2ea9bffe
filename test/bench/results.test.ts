import { expect } from 'chai';
import { chart } from './chart.ts';
import { type Figure, figures } from './figures.ts';
import { loads, page } from './page.ts';
import { type BenchRun, type Results, type RoundLoad, type Sample, shown, wasLoaded, withRun } from './results.ts';

const QUIET: RoundLoad = { round: 1, loadBefore: 0.1, loadAfter: 1.9, steal: 0, others: 0.01 };

function bench(
  name: string,
  values: Readonly<Record<string, readonly number[]>>,
  more: Partial<BenchRun> = {},
): BenchRun {
  const samples = Object.entries(values).flatMap(([key, rounds]): readonly Sample[] => {
    const [peer = '', measure = ''] = key.split(' / ');
    return rounds.map((value, i) => ({ peer, measure, round: i + 1, value }));
  });
  const peers = [...new Set(samples.map(({ peer }) => peer))].map((peer) => ({
    name: peer,
    version: '1',
    encrypted: peer !== 'veth' && peer !== 'vxlan',
    mtu: 1400,
  }));
  return {
    name,
    at: '2026-01-01T00:00:00Z',
    commit: '0123456789abcdef',
    machine: 'a machine',
    seconds: 4,
    peers,
    loads: [QUIET],
    samples,
    notes: [],
    failures: [],
    ...more,
  };
}

const TCP = bench('tcp', {
  'veth / tcp1': [10_000, 8_000, 12_000],
  'vxlan / tcp1': [9_000, 9_000, 9_000],
  'wireguard-go / tcp1': [1_000, 500, 1_500],
  'nebula / tcp1': [2_000, 400, 1_000],
  'evio / tcp1': [3_000, 2_000, 3_600],
  'evio / tunnel-cpu': [1.2, 1.5, 1.1],
});
const only = (...runs: readonly BenchRun[]): Results => ({
  benches: Object.fromEntries(runs.map((run) => [run.name, run])),
});
const figure = (results: Results, name: string): Figure => {
  const found = figures(results).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no figure ${name}`);
  return found;
};

describe('bench: figures with a goal', () => {
  it('are ratios of the same rounds', () => {
    // Of the medians it would be 3.0, by chance the same; of the rounds it is 3, 4 and 2.4.
    expect(figure(only(TCP), 'tcp1-vs-wireguard-go').value).to.deep.equal({ median: 3, min: 2.4, max: 4, count: 3 });
    expect(figure(only(TCP), 'tcp1-vs-veth').value?.median).to.equal(0.3);
  });

  it('are reached by their median', () => {
    expect(figure(only(TCP), 'tcp1-vs-wireguard-go').reached).to.equal(true);
    expect(figure(only(TCP), 'cpu-seconds-per-gb')).to.deep.include({ reached: true });
    const slow = bench('tcp', { 'evio / tunnel-cpu': [1.2, 1.4, 1.5] });
    expect(figure(only(slow), 'cpu-seconds-per-gb').reached).to.equal(false);
  });

  it('know the best other encrypted peer of each round: not VXLAN, and not Evio with another switch', () => {
    const run = bench('tcp', {
      'vxlan / tcp1': [9_000, 9_000],
      'wireguard-go / tcp1': [1_000, 500],
      'nebula / tcp1': [2_000, 400],
      'evio-ovs / tcp1': [5_000, 5_000],
      'evio / tcp1': [3_000, 2_000],
    });
    expect(figure(only(run), 'tcp1-vs-best-encrypted').value).to.deep.include({ min: 1.5, max: 4 });
  });

  it('are not reached while they are not measured', () => {
    for (const one of figures({ benches: {} })) {
      expect(one.value, one.name).to.equal(undefined);
      expect(one.reached, one.name).to.equal(false);
    }
  });

  it('have names of their own', () => {
    const names = figures({ benches: {} }).map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
  });
});

describe('bench: a chart', () => {
  const measure = { title: 'Flow', unit: 'Mbit/s', better: 'more' } as const;
  const bar = (label: string, median: number, min = median, max = median) => ({
    label,
    ours: false,
    value: { median, min, max, count: 3 },
  });

  it('draws bars in proportion, from what was measured most', () => {
    const text = chart(measure, [bar('a', 100, 50, 200), bar('b', 50)]);
    const widths = [...text.matchAll(/<rect x="150" y="\d+" width="([\d.]+)"/g)].map((found) => Number(found[1]));
    expect(widths).to.deep.equal([220, 110]);
  });

  it('keeps text out of the markup', () => {
    const text = chart({ ...measure, title: 'at < 0.1 % & "more"' }, [bar('<a>', 1)]);
    expect(text).to.include('at &lt; 0.1 % &amp; &quot;more&quot;').and.include('&lt;a&gt;').and.not.include('<a>');
  });

  it('is there for zeros too', () => {
    expect(chart(measure, [bar('a', 0)])).to.not.match(/NaN|Infinity/);
  });
});

describe('bench: the page of results', () => {
  const SECTIONS = [
    { name: 'tcp', title: 'TCP', text: 'How.' },
    { name: 'udp', title: 'UDP', text: 'How.' },
  ];

  it('has a row a peer with median, least, most, and what it is of the references in the same rounds', () => {
    const { markdown } = page(only(TCP), SECTIONS);
    expect(markdown).to.include('| evio | 3 000 | 2 000 | 3 600 | 0.30 | 3.00 |');
    expect(markdown).to.include('| wireguard-go | 1 000 | 500 | 1 500 | 0.10 | 1.00 |');
  });

  it('has a chart for each comparison, under the name that it is referred to by', () => {
    const { markdown, charts } = page(only(TCP), SECTIONS);
    const wanted = [...markdown.matchAll(/!\[\]\(charts\/([^)]+)\)/g)].map((found) => found[1]);
    expect([...charts.keys()])
      .to.deep.equal(wanted)
      .and.deep.equal(['tcp-tcp1.svg']);
  });

  it('says what was not measured: benches, figures, peers', () => {
    const run = { ...TCP, failures: ['kernel-wireguard: not in this kernel'] };
    const { markdown } = page(only(run), SECTIONS);
    expect(markdown).to.include('Not measured here: udp.');
    expect(markdown).to.match(/`relayed-mbps` \| [^|]+ \| not measured/);
    expect(markdown).to.include('**Not measured**: kernel-wireguard: not in this kernel.');
  });

  it('warns of a machine that was loaded, by others or by its hypervisor', () => {
    expect(loads([QUIET, { ...QUIET, round: 2 }])).to.not.include('loaded');
    expect(wasLoaded({ ...QUIET, others: 0.3 })).to.equal(true);
    expect(loads([QUIET, { ...QUIET, round: 2, steal: 0.05 }])).to.include('The machine was loaded in 1 of 2');
  });

  it('leaves a table whole when a cell has its separator', () => {
    const run = { ...TCP, peers: [{ name: 'veth', version: 'a|b', encrypted: false, mtu: 1500 }] };
    expect(page(only(run), SECTIONS).markdown).to.include('| veth | a\\|b | no | 1500 |');
  });
});

describe('bench: results kept from run to run', () => {
  it('exchange the bench that was repeated and keep the others', () => {
    const again = bench('tcp', { 'evio / tcp1': [1] });
    const kept = withRun(only(TCP, bench('udp', {})), again);
    expect(kept.benches.tcp).to.equal(again);
    expect(kept.benches).to.have.property('udp');
  });

  it('drop what another machine measured', () => {
    const elsewhere = bench('udp', {}, { machine: 'another' });
    expect(Object.keys(withRun(only(elsewhere), TCP).benches)).to.deep.equal(['tcp']);
  });
});

describe('bench: a number', () => {
  it('has three digits that count', () => {
    const said = [0.1234, 12.34, 123.4, 12_345, Number.NaN].map(shown);
    expect(said).to.deep.equal(['0.12', '12.3', '123', '12 345', '?']);
  });
});
