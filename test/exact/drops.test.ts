import { expect } from 'chai';
import { grown, parseDrops, total } from './drops.ts';

const text = (tap: number, backlog: string): string => `/sys/class/net/eth0/statistics/rx_dropped 0
/sys/class/net/evio0-tap/statistics/tx_dropped ${tap}
Ip: Forwarding DefaultTTL
Ip: 1 64
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 100 0 5 100 4 0 0 0 1
UdpLite: InDatagrams NoPorts
UdpLite: 0 0
Udp6RcvbufErrors                	2
0000ffff ${backlog} 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000
0000ffff 00000001 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001
`;

describe('what full queues dropped', () => {
  it('is read from the links, from UDP and from the backlogs of all processors', () => {
    expect(Object.fromEntries(parseDrops(text(7, '00000010')))).to.deep.equal({
      'eth0 rx_dropped': 0,
      'evio0-tap tx_dropped': 7,
      'Udp RcvbufErrors': 4,
      'Udp MemErrors': 1,
      Udp6RcvbufErrors: 2,
      backlog: 17,
    });
  });

  it('is what has grown between two looks', () => {
    const found = grown(parseDrops(text(7, '00000010')), parseDrops(text(9, '00000011')));
    expect(Object.fromEntries(found)).to.deep.equal({ 'evio0-tap tx_dropped': 2, backlog: 1 });
    expect(total(found)).to.equal(3);
  });
});
