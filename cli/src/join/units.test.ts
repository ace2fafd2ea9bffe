import { expect } from 'chai';
import { unitFor } from './units.ts';

const unit = (command: string): string =>
  `[Unit]\nDescription=x\n[Service]\nExecStart=${command}\nRestart=on-failure\n`;

describe('the unit of a node file', () => {
  it('is the one that runs an agent with it, quoted or not', () => {
    for (const command of [
      '/usr/bin/evio agent run --config /etc/evio/node.json',
      '"/opt/my evio/evio" "agent" "run" "--config" "/etc/evio/node.json"',
      '/usr/bin/evio agent run --config=/etc/evio/node.json',
    ])
      expect(unitFor('evio.service', unit(command), '/etc/evio/node.json'), command).to.equal('evio.service');
  });

  it('is an instance of a template, by the name of the file', () => {
    const template = unit('/usr/bin/evio agent run --config /etc/evio/%i.json');
    expect(unitFor('evio@.service', template, '/etc/evio/lab.json')).to.equal('evio@lab.service');
    for (const file of ['/etc/evio/.json', '/etc/evio/a/b.json', '/srv/lab.json', '/etc/evio/a b.json'])
      expect(unitFor('evio@.service', template, file), file).to.equal(undefined);
  });

  it('is no unit of another file, or of something else', () => {
    for (const command of [
      '/usr/bin/evio agent run --config /etc/evio/other.json',
      '/usr/bin/evio agent run --config /etc/evio/node.json.old',
      '/usr/bin/prosody -F --config /etc/evio/node.json',
    ])
      expect(unitFor('evio.service', unit(command), '/etc/evio/node.json'), command).to.equal(undefined);
    expect(unitFor('evio.service', '', '/etc/evio/node.json')).to.equal(undefined);
  });
});
