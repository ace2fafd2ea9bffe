import { expect } from 'chai';
import { Clock } from './clock.ts';
import { Internet, type NatOptions, PORT_PRESERVING, RANDOM_PORTS } from './internet.ts';
import { seeded } from './random.ts';

/** An inside host that sends to two public ones, and what each saw. */
function behind(nat: Omit<NatOptions, 'address' | 'behind'>) {
  const clock = new Clock();
  const internet = new Internet(clock, seeded(1));
  const inside = internet.host('192.168.1.2', internet.behind({ ...nat, address: '198.51.100.9' }));
  const seen = new Map<string, string>();
  const arrived: string[] = [];
  const servers = ['203.0.113.1', '203.0.113.2'].map((address) => {
    const host = internet.host(address);
    for (const port of [1, 2]) host.sockets.set(port, (source) => seen.set(`${address}:${port}`, source));
    return host;
  });
  inside.sockets.set(5_000, (source) => arrived.push(source));
  const send = (to: string) => {
    internet.send(inside, 5_000, to, 'out');
    clock.run(100);
    return seen.get(to);
  };
  const back = (server: number, port: number, to: string) => {
    arrived.length = 0;
    internet.send(servers[server]!, port, to, 'in');
    clock.run(100);
    return arrived.length === 1;
  };
  return { send, back, clock };
}

describe('a simulated NAT', () => {
  it('that preserves ports shows every server the same mapping with the inner port', () => {
    const { send } = behind(PORT_PRESERVING);
    expect(send('203.0.113.1:1')).to.equal('198.51.100.9:5000');
    expect(send('203.0.113.2:1')).to.equal('198.51.100.9:5000');
  });

  it('with random ports shows every endpoint another one', () => {
    const { send } = behind(RANDOM_PORTS);
    const seen = ['203.0.113.1:1', '203.0.113.1:2', '203.0.113.2:1'].map(send);
    expect(new Set(seen).size).to.equal(3);
  });

  it('lets in only what was called, by the filtering it has', () => {
    for (const [filtering, expected] of [
      ['endpoint-independent', [true, true, true]],
      ['address-dependent', [true, true, false]],
      ['address-and-port-dependent', [true, false, false]],
    ] as const) {
      const { send, back } = behind({ ...PORT_PRESERVING, filtering });
      const mapped = send('203.0.113.1:1')!;
      expect([back(0, 1, mapped), back(0, 2, mapped), back(1, 1, mapped)], filtering).to.deep.equal(expected);
    }
  });

  it('forgets a mapping nobody used for two minutes', () => {
    const { send, back, clock } = behind(PORT_PRESERVING);
    const mapped = send('203.0.113.1:1')!;
    clock.run(119_000);
    expect(back(0, 1, mapped)).to.equal(true);
    clock.run(10_000);
    expect(back(0, 1, mapped)).to.equal(false);
  });
});
