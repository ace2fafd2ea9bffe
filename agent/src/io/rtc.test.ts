import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const CHILD = fileURLToPath(new URL('./testing/rtc-child.ts', import.meta.url));

/** In a network namespace of its own, which ends with the process. */
async function child(what: string): Promise<Record<string, unknown>> {
  const script = [
    'ip link set lo up',
    'ip link add v0 type veth peer name v1',
    'ip address add 192.0.2.1/24 dev v0',
    'ip link set v0 up',
    'ip link set v1 up',
    `exec ${process.execPath} ${CHILD} ${what}`,
  ].join(' && ');
  const { stdout } = await promisify(execFile)('unshare', ['-n', 'sh', '-c', script], { timeout: 20_000 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('a WebRTC connection', function () {
  this.timeout(25_000);

  it('carries records both ways, and closes twice without harm', async () => {
    const result = await child('carries');
    expect(result.received).to.be.greaterThan(450);
    expect(result).to.include({ sent: 500, whole: true, type: 'host', afterClose: false });
    expect(result.back).to.deep.equal(['yyyyy']);
    expect(result.closedByUs).to.deep.equal([]);
  });

  it('answers each broken description with one error and takes no broken candidate', async () => {
    const { verdicts, taken } = await child('survives');
    expect(new Set(Object.values(verdicts as object))).to.deep.equal(new Set([1]));
    expect(taken).to.deep.equal([]);
  });

  it('is refused in words when descriptors are short, where the library would end the process', async () => {
    for (const left of ['starved-0', 'starved-2']) {
      const { limited, refused } = await child(left);
      expect(limited).to.equal(true);
      expect(refused).to.match(/^Error: too many files are open: raise the limit/);
    }
  });
});
