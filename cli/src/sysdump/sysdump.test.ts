import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { Redactor } from './redact.ts';
import { tar } from './tar.ts';

describe('a dump of a node', () => {
  it('is an archive that tar reads, with what was put in', () => {
    const entries = [
      { name: 'd/a.txt', content: Buffer.from('hello\n') },
      { name: 'd/b/empty', content: Buffer.alloc(0) },
      { name: 'd/block', content: Buffer.alloc(512, 'x') },
    ];
    const archive = tar(entries, 1_800_000_000);
    const list = execFileSync('tar', ['-tvf', '-', '--utc', '--full-time'], { input: archive, encoding: 'utf8' }).split(
      '\n',
    );
    expect(list.map((line) => line.split(/\s+/).at(-1))).to.deep.equal(['d/a.txt', 'd/b/empty', 'd/block', '']);
    expect(list[0]).to.match(/^-rw------- .* 6 2027-01-15 08:00:00 /);
    const read = (name: string) => execFileSync('tar', ['-xOf', '-', name], { input: archive });
    for (const { name, content } of entries) expect(read(name)).to.deep.equal(content);
  });

  const SECRETS = [
    { name: 'signalling.password', value: 'pass"word one' },
    { name: 'identity.key', value: 'c2VjcmV0LWtleS1ieXRlcy0zMi1ieXRlcy1sb25nISE=' },
  ];

  it('has no secret of the node file in it, however it is written, and lists where each was', () => {
    const redactor = new Redactor(SECRETS);
    const text = `the log says pass"word one and {"x":"pass\\"word one"}; key ${SECRETS[1]?.value}\n`;
    const clean = redactor.text('logs/x', text);
    for (const { value } of SECRETS)
      expect(clean).not.to.contain(value).and.not.to.contain(JSON.stringify(value).slice(1, -1));
    expect(clean.match(/\(redacted\)/g)).to.have.length(3);
    expect(redactor.redactions).to.deep.equal([
      { file: 'logs/x', what: 'identity.key', times: 1 },
      { file: 'logs/x', what: 'signalling.password', times: 2 },
    ]);
  });

  for (const [what, text, secret] of [
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----', 'MC4CAQAw'],
    ['a join token', 'evio join evio1.abcdefghijklmnopqrstuvwxyz012345', 'abcdefghijklmnopqrstuvwxyz'],
    ['a bearer token', 'authorization: Bearer abcdefghijklmnopqrst', 'abcdefghijklmnopqrst'],
    ['a password of somebody else', 'static-auth-secret=hunter2hunter2', 'hunter2hunter2'],
    ['a password in JSON', '{"password": "hunter2"}', 'hunter2'],
    ["a password that is this project's name", 'password: evio and nothing else', 'evio'],
  ] as const)
    it(`has ${what} taken out`, () => {
      const redactor = new Redactor([]);
      expect(redactor.text('f', text)).not.to.contain(secret);
      expect(redactor.redactions).to.have.length(1);
    });

  it('keeps what only speaks of secrets', () => {
    const redactor = new Redactor(SECRETS);
    const text =
      'xmpps://h:1 refuses the password of n1@evio.example: renew the node\ntoken created\ngive both the same secret, as evio server init writes it for both\n';
    expect(redactor.text('f', text)).to.equal(text);
    expect(redactor.redactions).to.deep.equal([]);
  });
});
