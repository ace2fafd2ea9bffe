import { expect } from 'chai';
import { counts, table } from './witness.ts';

describe('counters that witness a test', () => {
  it('are one table with a rule each', () => {
    expect(table({ at: 'in' }, { options: 'ip hdrlength > 5 COUNT' })).to.equal(`table inet evio_exact {
  counter options { }
  chain count {
    type filter hook prerouting priority -450; policy accept;
    ip hdrlength > 5 counter name options
  }
}
`);
    expect(table({ at: 'device', device: 'evio0-tap' }, { tagged: 'vlan id 7 COUNT' })).to.contain(
      'table netdev evio_exact {',
    );
  });

  it('are read by their names', () => {
    const text =
      '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"counter": {"family": "inet", "name": "options", "table": "evio_exact", "handle": 1, "packets": 12, "bytes": 900}}]}';
    expect(counts(text)).to.deep.equal({ options: 12 });
  });
});
