import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { loadNodeConfig } from './load.ts';
import { ConfigError } from './problems.ts';
import { nodeFileValue, writeNodeFile } from './testing/fixture.ts';

type Section = Record<string, unknown>;
type Value = Record<string, unknown>;

const made: string[] = [];
const write = (value: unknown, mode?: number): string => {
  const path = writeNodeFile(value, mode);
  made.push(dirname(path));
  return path;
};

/** The problems of a file, without its name. */
function problems(path: string): readonly string[] {
  try {
    loadNodeConfig(path);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** A valid file with one key set (or, given undefined, removed): "signalling.room". */
function withKey(path: string, value: unknown, from: Value = nodeFileValue()): Value {
  const copy = structuredClone(from);
  const keys = path.split('.');
  const last = keys.pop() as string;
  let at: Section = copy;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Section;
  }
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

describe('the node file', () => {
  after(() => {
    for (const dir of made) rmSync(dir, { recursive: true, force: true });
  });

  it('is taken with every default filled in', () => {
    const config = loadNodeConfig(write(nodeFileValue()));
    expect(config.name).to.equal('pi1');
    expect(config.signalling.service).to.deep.include({ tls: 'direct', host: '192.0.2.1', port: 5223 });
    expect(config.network).to.deep.equal({
      bridge: 'evio0',
      tap: 'evio0-tap',
      udpPort: 0,
      lan: true,
      excludeInterfaces: [],
      excludeRoutes: [],
    });
    expect(config.topology).to.deep.equal({
      successors: 2,
      longDistance: 'auto',
      onDemand: 8,
      fullMesh: 'auto',
      static: [],
    });
    expect([config.runDir, config.stateDir]).to.deep.equal(['/run/evio/lab', '/var/lib/evio/lab']);
    expect(config.overlay.parameters.name).to.equal('lab');
    expect(config.identity.certificate.name).to.equal('pi1');
  });

  it('is known apart from a configuration of the original EdgeVPN.io, and says what to do with one', () => {
    for (const old of [{ Broker: {} }, { CFx: { Overlays: ['A'] } }, { Signal: { Overlays: {} }, x: 1 }]) {
      const path = write(old);
      expect(problems(path)).to.deep.equal([
        `it is a configuration of the original EdgeVPN.io, not a node file; evio config import ${path} says what becomes of it`,
      ]);
    }
    for (const other of [{ Broker: 1 }, { broker: {} }, { ...nodeFileValue(), Broker: {} }])
      expect(problems(write(other))[0]).not.to.contain('original');
  });

  it('overrides the signed topology key by key', () => {
    const config = loadNodeConfig(write(withKey('topology', { fullMesh: 'off', static: ['pi2'] })));
    expect(config.topology).to.deep.equal({
      successors: 2,
      longDistance: 'auto',
      onDemand: 8,
      fullMesh: 'off',
      static: ['pi2'],
    });
  });

  const REFUSED: readonly (readonly [key: string, value: unknown, problem: string])[] = [
    ['apiVersion', 'evio/2', 'apiVersion: "evio/2" is not allowed; allowed: "evio/1"'],
    ['name', undefined, 'name: missing; allowed: a DNS label'],
    ['name', 'Pi1', 'name: "Pi1" is not allowed; allowed: a DNS label'],
    ['name', 7, 'name: 7 is not allowed'],
    ['nmae', 'x', 'nmae: unknown key (value "x"); allowed: apiVersion, name, overlay, identity'],
    [
      'signalling.pasword',
      'x',
      'signalling.pasword: unknown key (value not shown, it may be a secret); allowed: service',
    ],
    ['signalling', 'xmpp', 'signalling: "xmpp" is not allowed; allowed: an object'],
    [
      'signalling.service',
      'https://h:1',
      'signalling.service: "https://h:1" is not allowed; allowed: "xmpps://HOST:PORT"',
    ],
    ['signalling.service', 'xmpps://h', 'signalling.service: "xmpps://h" is not allowed'],
    ['signalling.service', 'xmpps://300.1.1.1:1', 'signalling.service: "xmpps://300.1.1.1:1" is not allowed'],
    ['signalling.room', 'lab', 'signalling.room: "lab" is not allowed; allowed: "NAME@CONFERENCE-DOMAIN"'],
    ['signalling.ca', 'lalala', 'signalling.ca: "lalala" is not allowed; allowed: PEM text, or {"file": "PATH"}'],
    [
      'signalling.ca',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'signalling.ca: the text is no PEM certificate',
    ],
    ['ice.stun', ['192.0.2.1'], 'ice.stun[0]: "192.0.2.1" is not allowed; allowed: a list of at most 8 "HOST:PORT"'],
    ['ice.turn', true, 'ice.turn: true is not allowed; allowed: "xep-0215" or "none"'],
    ['network.udpPort', 65536, 'network.udpPort: 65536 is not allowed; allowed: a whole number from 0 to 65535'],
    ['network.udpPort', 1.5, 'network.udpPort: 1.5 is not allowed'],
    ['network.bridge', 'a-name-of-16-chr', 'network.bridge: "a-name-of-16-chr" is not allowed'],
    [
      'network.tap',
      'evio0',
      'network.tap: "evio0" is not allowed; allowed: an interface name of 1 to 15 characters, not the',
    ],
    ['topology.successors', 0, 'topology.successors: 0 is not allowed; allowed: a whole number from 1 to 8'],
    [
      'topology.longDistance',
      'some',
      'topology.longDistance: "some" is not allowed; allowed: a whole number from 0 to 64, "auto",',
    ],
    ['runDir', 'run', 'runDir: "run" is not allowed; allowed: an absolute path'],
    ['log.level', 'loud', 'log.level: "loud" is not allowed; allowed: "error", "warn", "info" or "debug"'],
    ['overlay.parameters', 'AAAA', 'overlay.parameters: '],
    [
      'overlay.parameters',
      '====',
      'overlay.parameters: "====" is not allowed; allowed: signed overlay parameters in base64',
    ],
  ];
  for (const [key, value, problem] of REFUSED) {
    it(`names ${key}, its value ${JSON.stringify(value)} and what is allowed`, () => {
      const found = problems(write(withKey(key, value)));
      expect(found, found.join('\n')).to.have.length(1);
      expect(found[0]?.slice(0, problem.length)).to.equal(problem);
    });
  }

  it('never prints a secret, right or wrong', () => {
    const secret = 'hunter2hunter2';
    for (const key of ['identity.key', 'identity.sessionKey']) {
      const found = problems(write(withKey(key, secret)));
      expect(found).to.have.length(1);
      expect(found[0]).to.match(
        new RegExp(`^${key}: the value \\(not shown, it is a secret\\) is not allowed; allowed: 32`),
      );
      expect(found.join()).not.to.contain(secret);
    }
    const config = loadNodeConfig(write(withKey('signalling.password', secret)));
    expect(inspect(config, { depth: 9 }) + JSON.stringify(config.signalling)).not.to.contain(secret);
    expect(config.signalling.password.reveal()).to.equal(secret);
  });

  it('tells every problem, not the first', () => {
    const value = withKey('log.level', 'x', withKey('ice.turn', 'x', withKey('foo', 1)));
    expect(problems(write(value))).to.have.length(3);
  });

  it('is not quoted when it is no JSON', () => {
    const found = problems(write('{"signalling": {\n  "password": "hunter2" "room": 1}}'));
    expect(found).to.deep.equal(['not JSON at line 2, column 25: a character that cannot stand there']);
    expect(problems(write('{"name": '))).to.deep.equal(['not JSON at line 1, column 10: it ends too early']);
  });

  it('is refused when others can read the secrets in it', () => {
    for (const mode of [0o640, 0o604, 0o644, 0o660]) {
      const path = write(nodeFileValue());
      chmodSync(path, mode);
      expect(problems(path).join()).to.contain(`others can use it (mode 0${mode.toString(8)}): run chmod 600 ${path}`);
    }
  });

  it('may be readable by all when its secrets lie in files of their own, which may not', () => {
    const value = nodeFileValue();
    const path = write({});
    const dir = dirname(path);
    for (const [name, text] of [
      ['key', value.identity.key],
      ['session', value.identity.sessionKey],
      ['password', 'p'],
    ] as const) {
      writeFileSync(join(dir, name), `${text}\n`, { mode: 0o600 });
    }
    const split = {
      ...value,
      identity: { ...value.identity, key: { file: 'key' }, sessionKey: { file: join(dir, 'session') } },
      signalling: { ...value.signalling, password: { file: './password' } },
    };
    writeFileSync(path, JSON.stringify(split));
    chmodSync(path, 0o644);
    expect(loadNodeConfig(path).signalling.password.reveal()).to.equal('p');

    chmodSync(join(dir, 'password'), 0o644);
    expect(problems(path).join()).to.contain('signalling.password: ').and.to.contain('run chmod 600');
    rmSync(join(dir, 'password'));
    expect(problems(path).join()).to.contain('there is no such file');
    writeFileSync(join(dir, 'password'), '', { mode: 0o600 });
    expect(problems(path).join()).to.contain('is empty');
  });

  it('is refused with a key the certificate was not made for, and with a name that is not in it', () => {
    const other = nodeFileValue();
    for (const key of ['key', 'sessionKey'] as const) {
      const found = problems(write(withKey(`identity.${key}`, other.identity[key])));
      expect(found).to.have.length(1);
      expect(found[0]).to.match(new RegExp(`^identity.${key}: the secret \\(not shown\\) is not the one`));
    }
    expect(problems(write(withKey('name', 'pi2')))).to.deep.equal([
      'name: "pi2" is not allowed; allowed: "pi1", the name in the certificate',
    ]);
  });

  it('is refused with the certificate of another overlay', () => {
    const found = problems(write(withKey('identity.certificate', nodeFileValue().identity.certificate)));
    expect(found.join()).to.contain('identity.certificate: a certificate of another overlay');
  });

  it('is refused when the certificate has expired, and says when', () => {
    const found = problems(write(nodeFileValue({ notBefore: 1_600_000_000, notAfter: 1_700_000_000 })));
    expect(found.join()).to.match(/identity.certificate: it expired at 2023-11-14T22:13:20Z .* --renew/);
  });

  it('is taken while the clock stands before the certificate: the clock is not believed', () => {
    const future = Math.floor(Date.now() / 1000) + 86_400;
    expect(problems(write(nodeFileValue({ notBefore: future, notAfter: future + 1000 })))).to.deep.equal([]);
  });

  it('is refused with an address outside the overlay', () => {
    const found = problems(write(nodeFileValue({ address: '10.46.0.1/16' })));
    expect(found).to.deep.equal([
      'identity.certificate: its address 10.46.0.1/16 is outside the overlay; allowed: an address of 10.45.0.0/16',
    ]);
  });

  it('says when it is not there, or no file', () => {
    expect(problems('/nowhere/node.json')).to.deep.equal(['it cannot be read: there is no such file']);
    expect(problems('/tmp')).to.deep.equal(['it cannot be read: it is a directory']);
  });

  it('gives a list of problems for any JSON whatever, and never fails otherwise', () => {
    const path = write({});
    fc.assert(
      fc.property(fc.json(), (text) => {
        writeFileSync(path, text);
        expect(problems(path)).not.to.deep.equal([]);
      }),
      { numRuns: 100 },
    );
  });

  it('gives a list of problems for a valid file with any key replaced', () => {
    const value = nodeFileValue() as Value;
    const keys = Object.entries(value).flatMap(([key, inner]) =>
      typeof inner === 'object' ? Object.keys(inner as Section).map((k) => `${key}.${k}`) : [key],
    );
    const path = write({});
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, replacement) => {
        writeFileSync(path, JSON.stringify(withKey(key, replacement, value)));
        problems(path);
      }),
      { numRuns: 100 },
    );
  });
});
