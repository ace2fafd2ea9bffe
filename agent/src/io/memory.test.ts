import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Memory, type Remembered } from './memory.ts';

describe('what a node remembers over a restart', () => {
  let dir: string;
  let said: string[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-memory-'));
    said = [];
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const open = () => new Memory(join(dir, 'state'), (message) => said.push(message));
  const something = (certificate: string): Remembered => ({
    certificates: [certificate],
    revocations: null,
    addresses: { ab: ['192.0.2.1:45000'] },
  });

  it('comes back as it was', () => {
    const memory = open();
    memory.changed(() => something('AA=='));
    memory.flush();
    expect(open().read()).to.deep.equal(something('AA=='));
    expect(said).to.deep.equal([]);
  });

  it('waits for the disk to take it, says so once, and once more when it is written', () => {
    const memory = open();
    const file = join(dir, 'state', 'members.json');
    mkdirSync(file);
    memory.changed(() => something('AA=='));
    memory.flush();
    memory.flush();
    memory.changed(() => something('AB=='));
    memory.flush();
    expect(said).to.have.length(1);
    expect(said[0]).to.match(/^cannot write .*members\.json: .*; trying again until it works$/);
    expect(readdirSync(join(dir, 'state'))).to.deep.equal(['members.json']);
    rmdirSync(file);
    memory.flush();
    expect(said.slice(1)).to.deep.equal([`${file} is written again`]);
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.deep.equal(something('AB=='));
  });

  it('starts without what cannot be read', () => {
    mkdirSync(join(dir, 'state', 'members.json'), { recursive: true });
    expect(open().read().certificates).to.deep.equal([]);
    expect(said).to.have.length(1);
  });
});
