import { expect } from 'chai';
import { advertisedHost, apiServersOf } from './desired/place.ts';
import { readSettings, SettingsError } from './settings.ts';

describe('the settings of the operator', () => {
  it('have defaults that suit a cluster', () => {
    const settings = readSettings({}, '1.2.3');
    expect(settings).to.deep.include({
      namespace: 'evio-system',
      apiServers: [],
      advertise: undefined,
      metricsPort: 0,
      map: { port: 0, address: '127.0.0.1', names: [] },
    });
    expect(settings.images.agent).to.equal('localhost/evio/agent:1.2.3');
    expect(settings.tolerations).to.deep.equal([{ operator: 'Exists' }]);
  });

  it('come from the environment as the chart writes it', () => {
    const settings = readSettings(
      {
        EVIO_NAMESPACE: 'net',
        EVIO_AGENT_IMAGE: 'r/agent:2',
        EVIO_API_SERVERS: 'https://203.0.113.6:6443, https://[2001:db8::6]:6443',
        EVIO_API_SERVERS_SEEN: 'https://203.0.113.7:6443',
        EVIO_RESOURCES: '{"agent":{"requests":{"cpu":"50m"}}}',
        EVIO_DAEMON_TOLERATIONS: '[{"key":"a","operator":"Exists"}]',
        EVIO_IMAGE_PULL_SECRETS: 'one,two',
        EVIO_HEALTH_PORT: '1',
        EVIO_AGENT_METRICS_PORT: '10455',
        EVIO_LOG_LEVEL: 'debug',
        EVIO_LOG_FORMAT: 'json',
        EVIO_MAP_PORT: '10482',
        EVIO_MAP_ADDRESS: '::',
        EVIO_MAP_NAMES: 'map.example.org',
      },
      '1',
    );
    expect(settings).to.deep.include({
      namespace: 'net',
      apiServers: ['https://203.0.113.6:6443', 'https://[2001:db8::6]:6443'],
      apiServersSeen: ['https://203.0.113.7:6443'],
      advertise: '203.0.113.6',
      pullSecrets: ['one', 'two'],
      healthPort: 1,
      agentMetricsPort: 10455,
      map: { port: 10482, address: '::', names: ['map.example.org'] },
      logLevel: 'debug',
      logFormat: 'json',
    });
    expect(settings.resources.agent).to.deep.equal({ requests: { cpu: '50m' } });
    expect(settings.images.agent).to.equal('r/agent:2');
  });

  it('name the variable that is wrong', () => {
    for (const [name, value] of Object.entries({
      EVIO_RESOURCES: '[]',
      EVIO_DAEMON_TOLERATIONS: '{',
      EVIO_HEALTH_PORT: '70000',
      EVIO_METRICS_PORT: 'x',
      EVIO_MAP_PORT: '-1',
      EVIO_MAP_ADDRESS: 'everywhere',
      EVIO_LOG_LEVEL: 'loud',
    }))
      expect(() => readSettings({ [name]: value }, '1'), name).to.throw(SettingsError, name);
  });
});

describe('where nodes reach the embedded server', () => {
  const slice = {
    endpoints: [{ addresses: ['203.0.113.6'] }, { addresses: ['203.0.113.7'] }],
    ports: [{ name: 'https', port: 6443 }],
  };

  it('is what the EvioNetwork says, else what the operator was told, else where the API server is', () => {
    const found = apiServersOf(slice);
    expect(found).to.deep.equal(['https://203.0.113.6:6443', 'https://203.0.113.7:6443']);
    expect(advertisedHost('a', 'b', found)).to.equal('a');
    expect(advertisedHost(undefined, 'b', found)).to.equal('b');
    expect(advertisedHost(undefined, undefined, found)).to.equal('203.0.113.6');
    expect(
      advertisedHost(undefined, undefined, apiServersOf({ endpoints: [{ addresses: ['2001:db8::6'] }] })),
    ).to.equal('2001:db8::6');
    expect(advertisedHost(undefined, undefined, apiServersOf(undefined))).to.equal(undefined);
  });
});
