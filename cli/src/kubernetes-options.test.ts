import { expect } from 'chai';
import { UsageError } from './failure.ts';
import { KUBERNETES_OPTIONS, kubernetesOptions, parseKubernetesArguments } from './kubernetes-options.ts';

const POD = { NODE_NAME: 'edge-1.example', KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
const of = (argv: readonly string[], environment: Readonly<Record<string, string>> = POD) =>
  kubernetesOptions(parseKubernetesArguments(['--kubernetes', ...argv]).given, environment, '/opt/evio/evio.mjs');

describe('options of an agent in a cluster', () => {
  it('need nothing but what a pod has', () => {
    expect(of([])).to.deep.equal({
      nodeName: 'edge-1.example',
      apiServers: ['https://10.96.0.1'],
      serviceAccountDir: '/var/run/secrets/kubernetes.io/serviceaccount',
      namespace: 'evio-system',
      stateDir: '/var/lib/evio/kubernetes',
      nodeStateDir: '/var/lib/evio/default',
      runDir: '/run/evio/default',
      cni: {
        confDir: '/etc/cni/net.d',
        binDir: '/opt/cni/bin',
        dataDir: '/var/lib/cni/evio',
        plugin: '/opt/evio/evio-cni',
      },
      healthPort: 10456,
      metricsPort: 0,
      logLevel: 'info',
      logFormat: 'text',
      switch: 'tincan',
    });
  });

  it('are taken from the line, then from the environment', () => {
    const environment = { ...POD, EVIO_API_SERVERS: 'https://a:6443, https://b:6443', EVIO_LOG_LEVEL: 'debug' };
    expect(of([], environment).apiServers).to.deep.equal(['https://a:6443', 'https://b:6443', 'https://10.96.0.1']);
    expect(of([], environment).logLevel).to.equal('debug');
    const line = ['--api-server', 'https://c:6443', '--api-server=https://d:6443', '--log-level', 'warn'];
    expect(of(line, environment).apiServers.slice(0, 2)).to.deep.equal(['https://c:6443', 'https://d:6443']);
    expect(of(line, environment).logLevel).to.equal('warn');
  });

  it('of clean-up are the same', () => {
    expect(parseKubernetesArguments(['--kubernetes', '--cleanup']).cleanup).to.equal(true);
    expect(parseKubernetesArguments(['--kubernetes']).cleanup).to.equal(false);
  });

  for (const [argv, environment, words] of [
    [[], {}, /^--node-name is missing, and so is NODE_NAME/],
    [[], { NODE_NAME: 'a' }, /^--api-server is missing/],
    [['--api-server', 'http://a:6443'], POD, /^--api-server: "http:\/\/a:6443" is not allowed/],
    [['--log-level', 'loud'], POD, /^--log-level: "loud" is not allowed; allowed: error, warn, info, debug/],
    [['--health-port', '70000'], POD, /^--health-port/],
    [['--metrics-port', 'x'], POD, /^--metrics-port/],
    [['--network', 'A B'], POD, /^--network/],
    [['--node-name', '../x'], POD, /^--node-name/],
    [['--unknown'], POD, /--unknown.*see evio agent run --help/],
  ] as const)
    it(`are refused in one line: ${words.source}`, () => {
      expect(() => of(argv, environment)).to.throw(UsageError, words);
    });

  it('are each described', () => {
    for (const { describe: words, env } of Object.values(KUBERNETES_OPTIONS)) {
      expect(words).to.not.equal('');
      expect(env).to.have.length.greaterThan(0);
    }
  });
});
