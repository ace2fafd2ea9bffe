/** The agent of a cluster's node with everything real around it: API server, Prosody, tincan, and another node. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const SCENARIO = fileURLToPath(new URL('./kubernetes/scenario.ts', import.meta.url));

describe("the agent of a cluster's node", function () {
  this.timeout(300_000);
  // biome-ignore lint/suspicious/noExplicitAny: what the scenario found
  let result: any;

  before(async () => {
    // A network namespace of its own, with one address that is not loopback.
    const script = [
      'ip link set lo up',
      'ip link add v0 type veth peer name v1',
      'ip address add 192.0.2.1/24 dev v0',
      'ip link set v0 up',
      'ip link set v1 up',
      `exec ${process.execPath} ${SCENARIO}`,
    ].join(' && ');
    const { stdout } = await promisify(execFile)('unshare', ['-n', 'sh', '-c', script], { timeout: 290_000 });
    result = JSON.parse(stdout);
    expect(result.error).to.equal(undefined);
  });

  it('tells its keys, and waits for the operator', () => {
    expect(result.awaiting).to.equal('False AwaitingEnrolment');
    expect(result.modes).to.deep.equal(['600']);
    expect(result).to.include({ readyBefore: 503, conflistBefore: false });
  });

  it('says that tincan is missing, and keeps pods away until the data path is proven', () => {
    expect(result.withoutTincan).to.equal('False DataPlaneAbsent');
    expect(result.taintsBefore).to.include('node.evio.io/agent-not-ready');
  });

  it('is ready soon after tincan is there: the CNI configuration is written, and the taint is off, no other', () => {
    expect(result.readyMs).to.be.below(30_000);
    expect(result.taints).to.deep.equal(['example.org/other']);
    expect(result).to.include({ ready: true, live: 200, plugin: '755', lease: true });
    expect(result.conflist.plugins).to.have.length(2);
    expect(result.conflist.plugins[0]).to.include({
      type: 'evio-cni',
      attachment: 'routed',
      bridge: 'evio0',
      mtu: 1400,
    });
    expect(result.conflist.plugins[0].subnets).to.deep.equal(['10.244.3.0/24']);
  });

  it('tells its tunnels, versions and addresses', () => {
    expect(result.tunnels).to.deep.equal(['other Up Direct']);
    expect(result.serial).to.equal('7');
    expect(result.versions.tincan).to.be.a('string');
    expect(result.ipam).to.deep.equal({ used: 0, free: 253 });
  });

  it('takes a renewed certificate without a new process, and tincan goes on', () => {
    expect(result.renewed).to.deep.equal({ samePid: true, sameTincan: true });
  });

  it('tells a route of this machine that is in the way', () => {
    expect(result.conflict).to.equal('True RouteOverlaps');
  });

  it('keeps its conditions meanwhile, and over a restart', () => {
    expect(result).to.include({ steady: true, steadyOverRestart: true });
  });

  it('puts the CNI configuration and the plugin back', () => {
    expect(result.mended).to.equal(true);
  });

  it('is exchanged and starts again while the API server is away, and says so once', () => {
    expect(result).to.include({ readyWithoutApi: 200, termCode: 0, tincanStays: true, bridgeStays: true });
    expect(result.readyAgainWithoutApi).to.equal(true);
    // Cut off as it is, it does not prove again what this tincan has proven.
    expect(result.readyAloneMs).to.be.below(20_000);
    // One for each of its two addresses.
    expect(result.linesAboutApi).to.be.within(1, 2);
    expect(result).to.include({ leaseAgain: true, stillReady: true, secretsInLog: false });
  });

  it('leaves nothing when it is told to clean up, also when it is told twice', () => {
    expect(result.leftByTincan).to.equal(true);
    expect(result.cleanup).to.deep.equal([0, 0]);
    expect(result.left).to.deep.equal(['portmap']);
  });
});
