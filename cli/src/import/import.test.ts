import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { isOriginal } from '../../../agent/src/config/original.ts';
import { nodeFile } from '../../../agent/src/config/schema.ts';
import { ImportError, type Imported, importOriginal } from './convert.ts';
import { OLD_KEYS, SWITCH_OF } from './keys.ts';
import { nextSteps, noteLine } from './words.ts';

/** Both examples have Open vSwitch. */
const SWITCH = Object.hasOwn(SWITCH_OF, 'OVS') ? { switch: SWITCH_OF.OVS } : {};

type Tree = { [key: string]: Tree };

const example = (version: string): Tree =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'testing', `${version}.json`), 'utf8')) as Tree;

/** Every path of a file, with `*` for its overlay. */
function paths(value: unknown, overlay: string, at = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [at];
  return Object.entries(value).flatMap(([key, below]) => {
    const name = key === overlay || at === 'Broker.Controllers' ? '*' : key;
    const path = at === '' ? name : `${at}.${name}`;
    return [path, ...paths(below, overlay, path)];
  });
}

const problems = (root: unknown, overlay?: string): readonly string[] => {
  try {
    importOriginal(root, overlay);
    return [];
  } catch (error) {
    if (error instanceof ImportError) return error.problems;
    throw error;
  }
};

/** A good file of one overlay with something changed. */
const changed = (change: (root: Tree) => void, version = '24.1'): Tree => {
  const root = example(version);
  change(root);
  return root;
};
const put = (root: Tree, path: string, value: unknown): void => {
  const parts = path.replaceAll('*', 'A0FB389').split('.');
  const last = parts.pop() as string;
  let at = root;
  for (const part of parts) {
    at[part] ??= {};
    at = at[part] as Tree;
  }
  at[last] = value as Tree;
};
const putting = (path: string, value: unknown): Tree => changed((root) => put(root, path, value));
const noteOf = (imported: Imported, key: string): string | undefined => {
  const note = imported.notes.find((one) => one.key === key.replaceAll('*', imported.overlay));
  return note === undefined ? undefined : noteLine(note);
};
/** What is wrong with a file that is only a part of a node file. */
const beyondMissing = (file: unknown): readonly string[] =>
  (nodeFile.safeParse(file).error?.issues ?? [])
    .filter((issue) => !(issue.code === 'invalid_type' && issue.message.includes('received undefined')))
    // A union of a text and a file says "invalid input" of what is missing.
    .filter((issue) => issue.path.join('.') !== 'signalling.password')
    .map((issue) => issue.path.join('.'));

describe('the configuration of the original EdgeVPN.io', () => {
  it('of version 24.1 becomes the part of a node file that it knows', () => {
    const done = importOriginal(example('24.1'), undefined);
    expect({ ...done, notes: [] }).to.deep.equal({
      version: '24.1',
      overlay: 'A0FB389',
      name: 'pi-3',
      address4: '10.10.100.3',
      subnet4: '10.10.100.0/24',
      file: {
        apiVersion: 'evio/1',
        ...SWITCH,
        name: 'pi-3',
        signalling: { service: 'xmpps://xmpp.evio.example:5223', domain: 'evio.example' },
        ice: { stun: ['stun.l.google.com:19302', 'stun1.l.google.com:19302'] },
        network: {
          bridge: 'appA0FB389',
          tap: 'appA0FB389-tap',
          excludeInterfaces: ['docker0', 'flannel.1', 'cni0'],
        },
        topology: { successors: 2, longDistance: 3, onDemand: 1 },
        log: { level: 'info' },
      },
      notes: [],
    });
  });

  it('of version 21.x does too', () => {
    const done = importOriginal(example('21.x'), undefined);
    expect({ ...done, notes: [] }).to.deep.equal({
      version: '21.x',
      overlay: '101000F',
      name: 'node-21',
      address4: '10.10.10.21',
      subnet4: '10.10.10.0/24',
      file: {
        apiVersion: 'evio/1',
        ...SWITCH,
        name: 'node-21',
        signalling: { service: 'xmpp://203.0.113.10:5222', domain: 'openfire.local' },
        ice: { stun: ['stun.l.google.com:19302', 'stun1.l.google.com:19302'] },
        network: { bridge: 'brl101000F', tap: 'brl101000F-tap', excludeInterfaces: ['flannel.1'] },
        topology: { successors: 2, longDistance: 2, onDemand: 3 },
        log: { level: 'warn' },
      },
      notes: [],
    });
  });

  for (const version of ['24.1', '21.x']) {
    it(`of version ${version} has no key that is unknown, and gives values that the schema takes`, () => {
      const done = importOriginal(example(version), undefined);
      expect(done.notes.filter((note) => note.was.includes('not a key'))).to.deep.equal([]);
      expect(beyondMissing(done.file)).to.deep.equal([]);
    });

    it(`of version ${version} gives no secret away, and one line for each note`, () => {
      const done = importOriginal(example(version), undefined);
      const said = [...done.notes.map(noteLine), nextSteps('old.json', done), JSON.stringify(done)];
      expect(said.join('\n')).not.to.match(/old-(xmpp|turn)-secret/);
      for (const line of said) expect(line).not.to.contain('\n');
      expect(new Set(done.notes.map((note) => note.key)).size).to.equal(done.notes.length);
    });
  }

  const examples = { '24.1': example('24.1'), '21.x': example('21.x') };
  const met = {
    '24.1': new Set(paths(examples['24.1'], 'A0FB389')),
    '21.x': new Set(paths(examples['21.x'], '101000F')),
  };
  for (const key of OLD_KEYS) {
    const versions = (['24.1', '21.x'] as const).filter((version) => met[version].has(key.path));
    // What every module takes is in the examples for some of them only.
    const common = key.path.split('.').length === 2 && versions.length === 0;
    it(`knows ${key.path}${key.now === undefined ? ', which is carried over' : ''}`, () => {
      if (!common)
        expect(versions)
          .to.include.members(key.only === undefined ? [] : [key.only])
          .and.not.to.have.length(0);
      const roots = common ? [putting(key.path, 'something')] : versions.map((version) => examples[version]);
      for (const root of roots) {
        const done = importOriginal(root, undefined);
        const path = key.path.replace('Controllers.*', 'Controllers.OverlayVisualizer').replace('*', done.overlay);
        const told = done.notes.filter((note) => note.key === path).map(noteLine);
        if (key.now === undefined) expect(told.join()).not.to.contain('not a key');
        else expect(told).to.deep.equal(key.harmless?.(valueAt(root, path)) ? [] : [`${path}: ${key.was}; ${key.now}`]);
      }
    });
  }

  it('has a table without a key twice', () => {
    expect(new Set(OLD_KEYS.map((key) => key.path)).size).to.equal(OLD_KEYS.length);
  });
});

const valueAt = (root: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((at, part) => (at as Tree | undefined)?.[part], root);

describe('an old configuration with something odd in it', () => {
  const D = 'BridgeController.Overlays.*.NetDevice';

  for (const [path, value, line] of [
    [
      'Signal.Overlays.*.Port',
      70_000,
      'Signal.Overlays.A0FB389.Port: 70000 is not allowed; allowed: a whole number from 1 to 65535',
    ],
    [
      'Signal.Overlays.*.Port',
      'old-xmpp-secret',
      'Signal.Overlays.A0FB389.Port: this text is not allowed; allowed: a whole number from 1 to 65535',
    ],
    [
      'Signal.Overlays.*.HostAddress',
      'a b',
      'Signal.Overlays.A0FB389.HostAddress: this text is not allowed; allowed: a host name or an address',
    ],
    [
      'Signal.Overlays.*.HostAddress',
      5,
      'Signal.Overlays.A0FB389.HostAddress: 5 is not allowed; allowed: a host name or an address',
    ],
    ['Signal.Overlays.*.Username', ['x'], 'Signal.Overlays.A0FB389.Username: a list is not allowed; allowed: a text'],
    ['LinkManager.Stun', 'stun.example:3478', 'LinkManager.Stun: this text is not allowed; allowed: a list of texts'],
    [
      `${D}.AppBridge.IP4`,
      '10.10.10.*',
      `${D.replace('*', 'A0FB389')}.AppBridge.IP4: this text is not allowed; allowed: an IPv4 address`,
    ],
    [
      'Topology.Overlays.*.MinSuccessors',
      -1,
      'Topology.Overlays.A0FB389.MinSuccessors: -1 is not allowed; allowed: a whole number from 0 to 1000000',
    ],
    ['Signal', ['old-xmpp-secret'], 'Signal: a list is not allowed; allowed: an object'],
    ['Topology.Overlays', null, 'Topology.Overlays: null is not allowed; allowed: an object'],
    ['Broker.Overlays', [], 'Broker.Overlays: a list like this is not allowed; allowed: a list of overlay ids'],
  ] as const)
    it(`is refused: "${line}"`, () => expect(problems(putting(path, value))).to.deep.equal([line]));

  for (const [what, root, line] of [
    ['a list', [], 'it is a list; a configuration of the original EdgeVPN.io is a JSON object'],
    ['a text', 'old-xmpp-secret', 'it is a text; a configuration of the original EdgeVPN.io is a JSON object'],
    ['null', null, 'it is null; a configuration of the original EdgeVPN.io is a JSON object'],
    ['a node file', { apiVersion: 'evio/1', Broker: {} }, 'it is a node file of this Evio already; use it as it is'],
    [
      'something else',
      { password: 'old-xmpp-secret' },
      'it is no configuration of the original EdgeVPN.io: none of its modules (Broker, CFx, Logger, Signal, Topology ...) is an object in it',
    ],
    ['no overlay', { Signal: {} }, 'Broker.Overlays: missing; allowed: a list of overlay ids'],
  ] as const)
    it(`is refused when it is ${what}`, () => expect(problems(root)).to.deep.equal([line]));

  it('has the next commands on one line, as a shell takes them', () => {
    const done = importOriginal({ Broker: { Overlays: ['two\nlines'] } }, undefined);
    expect(nextSteps("it's.json", done)).to.equal(
      `certificate, keys and account are made by enrolment: once evio overlay create NAME, then for this node (a name of your choice) evio node enroll NODE --overlay NAME --from 'it'\\''s.json' --from-overlay "two\\nlines"`,
    );
  });

  it('gives one of several overlays, and lists them where none is chosen', () => {
    const two = changed((root) => {
      put(root, 'Broker.Overlays', ['A0FB389', 'PODS']);
      put(root, 'Signal.Overlays.PODS', { HostAddress: 'pods.example', Password: 'old-xmpp-secret' });
    });
    expect(problems(two)).to.deep.equal([
      'it has 2 overlays, and a node file has one; choose with --overlay: A0FB389, PODS',
    ]);
    expect(problems(two, 'LAB')).to.deep.equal(['it has no overlay LAB; --overlay can be: A0FB389, PODS']);
    const pods = importOriginal(two, 'PODS');
    expect(pods.file.signalling).to.deep.equal({ service: 'xmpp://pods.example:5222' });
    expect(pods.notes.filter((note) => note.key.includes('A0FB389'))).to.deep.equal([]);
    expect(pods.address4).to.equal(undefined);
  });

  it('has its unknown keys named without their values, on one line whatever they are', () => {
    const root = changed((r) => {
      put(r, 'Signal.Overlays.*.Pasword', 'old-xmpp-secret');
      (r.Signal as Tree)['two\nlines \u2028'] = {};
      Object.defineProperty(r, '__proto__', { value: 1, enumerable: true });
      (r.Topology?.Overlays as Tree).OTHER = {};
    });
    const done = importOriginal(root, undefined);
    const lines = done.notes.map(noteLine);
    for (const line of lines) expect(line).to.match(/^[\x20-\x7e\u2019]*$/);
    expect(lines).to.include.members([
      'Signal.Overlays.A0FB389.Pasword: not a key of the original; leave it out, or look for the right spelling',
      'Signal."two\\nlines ?": not a key of the original; leave it out, or look for the right spelling',
      '__proto__: not a key of the original; leave it out, or look for the right spelling',
      'Topology.Overlays.OTHER: an overlay that the list of overlays does not name; leave it out',
    ]);
    expect(lines.join()).not.to.contain('old-xmpp-secret');
  });

  it('keeps what can be kept of numbers and names that are allowed no more, and says so', () => {
    const root = changed((r) => {
      put(r, 'Topology.Overlays.*.MinSuccessors', '12');
      put(r, 'LinkManager.Stun', ['stun.example', ...Array.from({ length: 9 }, (_, i) => `s${i}.example:3478`)]);
      put(r, 'LinkManager.Overlays.*.IgnoredNetInterfaces', ['a name with spaces', 'eth1']);
      put(r, 'Broker.LogLevel', 'LOUD');
      put(r, 'Broker.BrokerLogLevel', 'critical');
    });
    const done = importOriginal(root, undefined);
    expect(done.file.topology?.successors).to.equal(8);
    expect(done.file.ice?.stun).to.have.length(8);
    expect(done.file.network?.excludeInterfaces).to.deep.equal(['docker0', 'eth1']);
    expect(done.file.log).to.deep.equal({ level: 'error' });
    expect(done.notes.map(noteLine)).to.include.members([
      'Topology.Overlays.A0FB389.MinSuccessors: 12 of them; topology.successors is 8: 1 to 8 are allowed',
      'LinkManager.Stun: 1 entries that are not HOST:PORT; they are left out',
      'LinkManager.Stun: 9 STUN servers; the first 8 are kept, two are enough',
      'LinkManager.Overlays.A0FB389.IgnoredNetInterfaces: 1 names that no interface can have; they are left out',
      'Broker.LogLevel: a log level; set log.level to "error", "warn", "info" or "debug"',
    ]);
  });

  it('names the bridge after what has the address, and keeps evio0 where the old name cannot be', () => {
    const without = importOriginal(
      changed((r) => delete (valueAt(r, `${D.replace('*', 'A0FB389')}`) as Tree).AppBridge),
      undefined,
    );
    expect(without.file.network?.bridge).to.equal('eviA0FB389');
    expect(without.address4).to.equal('10.10.99.3');
    const odd = importOriginal(putting(`${D}.AppBridge.NamePrefix`, 'a/b'), undefined);
    expect(odd.file.network?.bridge).to.equal(undefined);
    const long = importOriginal(
      changed((r) => put(r, 'Broker.Overlays', ['A0FB389'])),
      'A0FB389',
    );
    expect((long.file.network?.tap ?? '').length).to.be.at.most(15);
    const same = importOriginal(
      {
        Broker: { Overlays: ['bcdefghi-tap'] },
        BridgeController: { Overlays: { 'bcdefghi-tap': { NetDevice: { NamePrefix: 'xya' } } } },
      },
      undefined,
    );
    expect(same.file.network).to.deep.equal({ bridge: 'xyabcdefghi-tap', tap: 'xyabcdefghi.tap' });
  });

  for (const provider of ['OVS', 'LXBR', 'LINUX', 'VNIC'])
    it(`has a switch made by ${provider}: the node file's switch where the schema has one, else a line`, () => {
      const done = importOriginal(putting(`${D}.BridgeProvider`, provider), undefined);
      const told = noteOf(done, `${D}.BridgeProvider`);
      if (Object.hasOwn(SWITCH_OF, provider)) expect(done.file.switch).to.equal(SWITCH_OF[provider]);
      else expect(told).to.contain('tincan is the switch');
      expect(beyondMissing(done.file)).to.deep.equal([]);
    });

  it('never throws anything but a list of problems, and never gives what the schema refuses', function () {
    this.timeout(60_000);
    const key = fc.constantFrom(...new Set(OLD_KEYS.flatMap((k) => k.path.split('.'))), 'A', '__proto__');
    const leaf = fc.oneof(
      fc.constantFrom('A', '', 'x@y', '10.1.2.3', '1', 'OVS', 'INFO', 'a.b:1', ['A'], ['A', 'B'], ['a:1']),
      fc.jsonValue(),
    );
    const { tree } = fc.letrec<{ tree: unknown; node: unknown }>((tie) => ({
      tree: fc.oneof({ depthSize: 'medium' }, leaf, tie('node')),
      node: fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
    }));
    const seen = (root: unknown, overlay: string | undefined): void => {
      isOriginal(root);
      let done: Imported;
      try {
        done = importOriginal(root, overlay);
      } catch (error) {
        if (!(error instanceof ImportError)) throw error;
        for (const problem of error.problems) expect(problem).not.to.contain('\n');
        return;
      }
      expect(beyondMissing(done.file)).to.deep.equal([]);
      for (const line of [...done.notes.map(noteLine), nextSteps('-', done)]) expect(line).not.to.contain('\n');
    };
    fc.assert(
      fc.property(fc.jsonValue(), (root) => seen(root, undefined)),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(tree, (root) => seen(root, 'A')),
      { numRuns: 300 },
    );
    // A good file with one value exchanged reaches further than any tree made up.
    const keys = fc.constantFrom(
      ...OLD_KEYS.map((k) => k.path),
      ...OLD_KEYS.map((k) => k.path.split('.').slice(0, -1).join('.')),
    );
    fc.assert(
      fc.property(
        keys.filter((path) => path !== ''),
        fc.oneof(leaf, tree),
        (path, value) => seen(putting(path, value), 'A0FB389'),
      ),
      { numRuns: 400 },
    );
  });
});
