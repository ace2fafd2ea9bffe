import { expect } from 'chai';
import { hostAndPort, type Order, PORT, tasksOf } from './order.ts';

const ORDER: Order = {
  namespace: 'evio-connectivity',
  targets: [
    { node: 'a', pod: ['10.244.0.2', 'fd00::2'], host: ['10.45.0.1', 'fd45::1'] },
    { node: 'b', pod: ['10.244.1.2', 'fd00::1:2'], host: ['10.45.0.2'] },
    { node: 'c', pod: ['10.244.2.2'], host: [] },
  ],
  clusterIPs: ['10.96.3.4', 'fd96::4'],
  nodePort: 30_123,
  outside: '203.0.113.6:6443',
  patienceMs: 8_000,
};

describe('what a pod of the connectivity test asks', () => {
  const asked = (node: string, stand: 'pod' | 'host' = 'pod') =>
    Object.entries(Object.groupBy(tasksOf(ORDER, node, stand), ({ step }) => step)).map(([step, tasks = []]) => [
      step,
      tasks.map(({ to, ask }) => `${to} ${ask.host}`),
    ]);

  it('is every other pod in the families that both have, Services, NodePorts and the outside', () => {
    expect(Object.fromEntries(asked('a'))).to.deep.equal({
      pod4: ['b 10.244.1.2', 'c 10.244.2.2'],
      pod6: ['b fd00::1:2'],
      whole: ['b 10.244.1.2', 'b fd00::1:2', 'c 10.244.2.2'],
      'cluster-ip': ['Service 10.96.3.4 10.96.3.4', 'Service fd96::4 fd96::4'],
      name: [
        'probes.evio-connectivity.svc (IPv4) probes.evio-connectivity.svc',
        'probes.evio-connectivity.svc (IPv6) probes.evio-connectivity.svc',
      ],
      'node-port': ['10.45.0.1:30123 of a 10.45.0.1', '[fd45::1]:30123 of a fd45::1', '10.45.0.2:30123 of b 10.45.0.2'],
      outside: ['203.0.113.6:6443 203.0.113.6'],
    });
  });

  it('is nothing by a family that no pod has, though Services and Nodes have it', () => {
    const single = { ...ORDER, targets: ORDER.targets.map((one) => ({ ...one, pod: one.pod.slice(0, 1) })) };
    const hosts = tasksOf(single, 'a', 'pod').map(({ to, ask }) => ('family' in ask ? `${to}` : ask.host));
    expect(hosts.filter((host) => /:|IPv6/.test(host))).to.deep.equal([]);
    expect(hosts).to.include.members(['10.96.3.4', '10.45.0.1', 'probes.evio-connectivity.svc (IPv4)']);
  });

  it('is, from the network of a node, every pod, its own too', () => {
    expect(asked('a', 'host')).to.deep.equal([
      ['host', ['a 10.244.0.2', 'a fd00::2', 'b 10.244.1.2', 'b fd00::1:2', 'c 10.244.2.2']],
    ]);
  });

  it('has to be answered by the right pod, which sees who asks', () => {
    const [first] = tasksOf(ORDER, 'a', 'pod');
    expect(first?.ask).to.deep.equal({ kind: 'http', host: '10.244.1.2', port: PORT, node: 'b', own: true });
  });

  it('reads HOST:PORT of both families and of names, and nothing else', () => {
    expect(hostAndPort('[2001:db8::1]:443')).to.deep.equal({ host: '2001:db8::1', port: 443 });
    expect(hostAndPort('example.org:443')).to.deep.equal({ host: 'example.org', port: 443 });
    for (const wrong of ['example.org', '2001:db8::1:443x', 'a:0', 'a:65536', ':1', 'https://a:1', ''])
      expect(() => hostAndPort(wrong), wrong).to.throw(RangeError, 'HOST:PORT');
  });
});
