import { expect } from 'chai';
import { answer } from './answer.ts';
import { type Asking, askStep } from './ask.ts';
import { measureAll } from './measure.ts';
import { type Order, PORT, type Task } from './order.ts';

describe('the pods of the connectivity test, one that answers and one that asks', () => {
  let server: Awaited<ReturnType<typeof answer>>;
  let asking: Asking;
  before(async () => {
    server = await answer('a', 0);
    asking = { own: ['127.0.0.1', '::1'], patienceMs: 900, mtu: 1400, port: server.port };
  });
  after(() => server.close());
  const http = (more: object): Task => ({
    step: 'pod4',
    to: 'a',
    ask: { kind: 'http', host: '127.0.0.1', port: PORT, ...more },
  });

  it('reach each other by both families, and the source is seen as it is', async () => {
    const tasks = [http({ node: 'a', own: true }), http({ host: '::1', node: 'a', own: true })];
    const found = await askStep('pod4', tasks, asking);
    expect(found).to.deep.include({ step: 'pod4', asked: 2, failed: [], retried: 0 });
  });

  it('find a pod that is another one, and a source that was translated', async () => {
    const elsewhere = { ...asking, own: ['10.244.0.9'] };
    const { failed } = await askStep('pod4', [http({ node: 'b' }), http({ node: 'a', own: true })], elsewhere);
    expect(failed.map(({ why }) => why)).to.have.members([
      'the pod of a answered instead',
      'it saw 127.0.0.1 ask, not 10.244.0.9: the source is translated',
    ]);
  });

  it('say what the system said of a port where nobody listens, after more than one try', async () => {
    const shut: Task = { step: 'outside', to: 'x', ask: { kind: 'connect', host: '127.0.0.1', port: 1 } };
    const { failed, ms } = await askStep('outside', [shut], asking);
    expect(failed).to.deep.equal([{ to: 'x', why: 'connection refused (ECONNREFUSED)' }]);
    expect(ms).to.be.greaterThan(100);
  });

  it('send a datagram that fills a packet, and many full packets, there and back', async () => {
    const whole = (host: string): Task => ({ step: 'whole', to: 'a', ask: { kind: 'whole', host } });
    const { failed } = await askStep('whole', [whole('127.0.0.1'), whole('::1')], { ...asking, patienceMs: 3_000 });
    expect(failed).to.deep.equal([]);
  });

  it('measure what a flow has and how long a round trip takes', async () => {
    const order = { targets: [{ node: 'a', pod: ['127.0.0.1'], host: [] }] } as unknown as Order;
    const [one] = await measureAll(order, 'b', 0.2, () => undefined, server.port);
    expect(one).to.deep.include({ from: 'a', to: 'b', lost: 0 });
    expect(one?.mbitPerSecond).to.be.greaterThan(1);
    expect(one?.rttMedianMs).to.be.within(0.001, 100);
  });
});
