import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { nodeFileValue, writeNodeFile } from '../../agent/src/config/testing/fixture.ts';
import { agentUnit } from './agent-unit.ts';

describe('the systemd unit of a node', () => {
  const file = writeNodeFile(nodeFileValue());
  after(() => rmSync(dirname(file), { recursive: true }));

  it('starts the launcher beside the bundle, and names where Node.js is when systemd would not find it', () => {
    const shipped = agentUnit(file, { argv: ['', '/opt/my evio/evio.mjs'], execPath: '/opt/node/bin/node' });
    expect(shipped).to.contain(`\nExecStart="/opt/my evio/evio" "agent" "run" "--config" "${file}"\n`);
    expect(shipped).to.contain('\nEnvironment="PATH=/opt/node/bin:/usr/local/sbin:');
    expect(agentUnit(file, { argv: ['', '/opt/evio/evio.mjs'], execPath: '/usr/bin/node' })).not.to.contain('PATH');
  });

  it('leaves tincan running when it stops, and does not try a wrong node file again', () => {
    const unit = agentUnit(file, { argv: ['', '/opt/evio/evio.mjs'], execPath: '/usr/bin/node' });
    for (const line of ['Type=notify', 'KillMode=process', 'Restart=on-failure', 'RestartPreventExitStatus=2'])
      expect(unit.split('\n')).to.include(line);
  });

  it('comes before a kubelet, and does not need one', () => {
    const unit = agentUnit(file, { argv: ['', '/opt/evio/evio.mjs'], execPath: '/usr/bin/node' });
    expect(unit).to.contain('\nBefore=kubelet.service kube-proxy.service k3s.service k3s-agent.service\n');
    expect(unit).not.to.match(/^(Wants|Requires)=.*(kubelet|k3s)/m);
  });

  it('is not printed for a node file that is wrong', () => {
    expect(() =>
      agentUnit('/nowhere/node.json', { argv: ['', '/opt/evio/evio.mjs'], execPath: '/usr/bin/node' }),
    ).to.throw('/nowhere/node.json');
  });
});
