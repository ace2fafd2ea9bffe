/** The agents among themselves: real Prosody, real WebRTC, a stand-in for tincan. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const SCENARIO = fileURLToPath(new URL('./agents/scenario.ts', import.meta.url));

describe('three agents', function () {
  this.timeout(150_000);
  let result: Record<string, unknown>;

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
    const { stdout } = await promisify(execFile)('unshare', ['-n', 'sh', '-c', script], { timeout: 140_000 });
    result = JSON.parse(stdout) as Record<string, unknown>;
    expect(result.error).to.equal(undefined);
  });

  it('find each other and are all connected within twenty seconds, on a busy machine too', () => {
    expect(result.meshMs).to.be.a('number').below(20_000);
    expect(result).to.include({ members: 3, ringComplete: true, signalling: 'online' });
  });

  it('say by which addresses a relayed path goes', () => {
    const { path, local, remote } = result.peer as Record<string, { type?: string } | string>;
    expect(path).to.equal('webrtc');
    expect((local as { type: string }).type).to.equal('host');
    expect((remote as { type: string }).type).to.be.oneOf(['host', 'prflx']);
  });

  it('name the node that is not known', () => {
    expect(result.unknown).to.contain('no member of the overlay is named');
  });

  it('connect again with one that was killed and came back', () => {
    expect(result.afterKillMs).to.be.a('number').below(6_000);
  });

  it('start another tincan when theirs was killed, and connect again', () => {
    expect(result.newTincan).to.equal(true);
    expect(result.afterTincanMs).to.be.a('number').below(6_000);
  });

  it('leave tincan running on SIGTERM and take it over when they come back', () => {
    expect(result).to.include({ termCode: 0, termKeeps: true, adopted: true });
    expect(result.afterTermMs).to.be.a('number').below(6_000);
  });

  it('end tincan when they are told to stop', () => {
    expect(result).to.include({ stopEnds: true, stopCode: 0 });
  });
});
