import { expect } from 'chai';
import { Metrics } from './metrics.ts';
import { Probes } from './probes.ts';

describe('probes and metrics', () => {
  let ready: string | undefined;
  let probes: Probes;
  const metrics = new Metrics({
    watches: () => [{ kind: 'nodes', objects: 3, lists: 1, ageSeconds: 12.5 }],
    queues: () => [{ controller: 'node', depth: 2, running: 1 }],
    leads: () => true,
    conditions: () => [{ network: 'default', type: 'AddressPoolReady', status: 'False' }],
  });
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${probes.port}${path}`, { method });
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
  };

  before(async () => {
    probes = await Probes.listen('127.0.0.1', 0, {
      alive: () => undefined,
      ready: () => ready,
      metrics: async () => ({ text: await metrics.registry.metrics(), contentType: metrics.registry.contentType }),
    });
  });
  after(() => probes.close());

  it('say whether the process lives, and what it waits for before it is ready', async () => {
    expect(await ask('/healthz')).to.include({ status: 200, text: 'ok\n' });
    ready = 'not listed yet: nodes';
    expect(await ask('/readyz')).to.include({ status: 503, text: 'not listed yet: nodes\n' });
    ready = undefined;
    expect((await ask('/readyz')).status).to.equal(200);
  });

  it('give what is asked when it is asked, in the text format', async () => {
    metrics.reconciled('node', 'error', 0.2);
    metrics.requested('patch', 'nodes', 409);
    const { status, text, type } = await ask('/metrics');
    expect([status, type]).to.deep.equal([200, metrics.registry.contentType]);
    for (const line of [
      'evio_operator_leader 1',
      'evio_operator_network_condition{network="default",type="AddressPoolReady",status="False"} 1',
      'evio_operator_queue_depth{controller="node"} 2',
      'evio_operator_watch_objects{kind="nodes"} 3',
      'evio_operator_watch_age_seconds{kind="nodes"} 12.5',
      'evio_operator_reconciles_total{controller="node",result="error"} 1',
      'evio_operator_reconcile_duration_seconds_bucket{le="0.25",controller="node"} 1',
      'evio_operator_api_requests_total{verb="patch",resource="nodes",status="409"} 1',
    ])
      expect(text.split('\n')).to.include(line);
    expect(text).to.match(/^process_resident_memory_bytes \d+/m);
  });

  it('know only those three, and only for reading', async () => {
    expect((await ask('/')).status).to.equal(404);
    expect((await ask('/healthz', 'POST')).status).to.equal(405);
  });

  it('say in one line that the port is taken', async () => {
    const failure = await Probes.listen('127.0.0.1', probes.port, {
      alive: () => undefined,
      ready: () => undefined,
      metrics: () => Promise.reject(new Error()),
    }).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).to.equal(
      `cannot listen on 127.0.0.1 port ${probes.port} for probes and metrics: something else has this port`,
    );
  });
});
