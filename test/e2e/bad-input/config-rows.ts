/** Node files that cannot be used: nothing is started, every problem is one line, the exit code is 2. */
import { chmodSync, writeFileSync } from 'node:fs';
import type { Case, Place, Row } from './row.ts';
import type { NodeValue, World } from './world.ts';

type Section = Record<string, unknown>;

/** Both commands that read a node file say the same; `agent run` is the one that must not start anything. */
const refused = (place: Place, ...problems: readonly string[]): Case => ({
  args: ['agent', 'run', '--config', place.path('node.json')],
  code: 2,
  says: problems.map((problem) => `${place.path('node.json')}: ${problem.replaceAll('{dir}', place.dir)}`),
});

const text = (what: string, content: string, problem: string): Row => ({
  what,
  prepare(place, world) {
    world.write(place.path('node.json'), content);
    return refused(place, problem);
  },
});

const value = (
  what: string,
  change: (value: NodeValue, place: Place, world: World) => void,
  ...problems: readonly string[]
): Row => ({
  what,
  prepare(place, world) {
    const node = world.nodeValue();
    change(node, place, world);
    world.write(place.path('node.json'), node);
    return refused(place, ...problems);
  },
});

const section = (node: NodeValue, name: string): Section => {
  node[name] ??= {};
  return node[name] as Section;
};

const SECRET = 'hunter2-hunter2-hunter2';
const ENROL = 'enrol the node again (evio node enroll)';
const SIGNALLING = 'service, domain, username, password, ca, room';
const TOP =
  'apiVersion, name, overlay, identity, signalling, ice, network, switch, ovs, pods, topology, runDir, stateDir, metrics, log';
const CERTIFICATE = 'a signed certificate in base64, as `evio node enroll` writes it';

export const CONFIG_ROWS: readonly Row[] = [
  {
    what: 'a node file that is not there',
    prepare: (place) => refused(place, 'it cannot be read: there is no such file'),
  },
  {
    what: 'a directory for a node file',
    prepare(place, world) {
      world.directory(place, 'node.json');
      return refused(place, 'it cannot be read: it is a directory');
    },
  },
  {
    what: 'a node file below a file',
    prepare(place, world) {
      world.write(place.path('file'), '');
      const path = place.path('file', 'node.json');
      return {
        args: ['config', 'check', path],
        code: 2,
        says: [`${path}: it cannot be read: a part of the path is no directory`],
      };
    },
  },
  {
    what: 'a device for a node file',
    prepare: () => ({
      args: ['agent', 'run', '--config', '/dev/zero'],
      code: 2,
      says: ['/dev/zero: it cannot be read: it is not a regular file'],
    }),
  },
  text('an empty node file', '', 'not JSON at line 1, column 1: it is empty'),
  text('a node file that is cut off', '{"apiVersion": "evio/1",\n', 'not JSON at line 2, column 1: it ends too early'),
  text(
    'a node file that is no JSON, with a password in it',
    `{"password": "${SECRET}" x}`,
    'not JSON at line 1, column 40: a character that cannot stand there',
  ),
  text(
    'a node file with a byte order mark',
    '\ufeff{}',
    'not JSON at line 1, column 1: a byte order mark, save it without one',
  ),
  text('a list for a node file', '[]', 'the file: [] is not allowed; allowed: a JSON object'),
  {
    what: 'a configuration of the original EdgeVPN.io for a node file',
    prepare(place, world) {
      world.secrets.add(SECRET);
      const old = { Broker: { Overlays: ['A0FB389'] }, Signal: { Overlays: { A0FB389: { Password: SECRET } } } };
      world.write(place.path('node.json'), old);
      return refused(
        place,
        `it is a configuration of the original EdgeVPN.io, not a node file; evio config import ${place.path('node.json')} says what becomes of it`,
      );
    },
  },
  {
    what: 'an old configuration with several overlays',
    prepare(place, world) {
      const path = world.write(place.path('old.json'), { CFx: { Overlays: ['HOST', 'PODS'] } });
      return {
        args: ['config', 'import', path],
        code: 2,
        says: [`${path}: it has 2 overlays, and a node file has one; choose with --overlay: HOST, PODS`],
      };
    },
  },
  {
    what: 'an old configuration in which a port is a password',
    prepare(place, world) {
      world.secrets.add(SECRET);
      const overlays = { A0FB389: { HostAddress: 'xmpp.example', Port: SECRET } };
      const path = world.write(place.path('old.json'), {
        Broker: { Overlays: ['A0FB389'] },
        Signal: { Overlays: overlays },
      });
      return {
        args: ['config', 'import', path],
        code: 2,
        says: [
          `${path}: Signal.Overlays.A0FB389.Port: this text is not allowed; allowed: a whole number from 1 to 65535`,
        ],
      };
    },
  },
  {
    what: 'a node file to import',
    prepare(place, world) {
      const path = world.write(place.path('node.json'), world.nodeValue());
      return {
        args: ['config', 'import', path],
        code: 2,
        says: [`${path}: it is a node file of this Evio already; use it as it is`],
      };
    },
  },
  {
    what: 'a node file that others can read',
    prepare(place, world) {
      world.write(place.path('node.json'), world.nodeValue());
      chmodSync(place.path('node.json'), 0o644);
      return refused(
        place,
        `it holds a secret and others can use it (mode 0644): run chmod 600 ${place.path('node.json')}`,
      );
    },
  },
  value(
    'unknown keys, two of which every object has',
    (node) => {
      Object.defineProperty(node, '__proto__', { value: 1, enumerable: true });
      Object.assign(node, { constructor: 2, nmae: 'x' });
    },
    `__proto__: unknown key (value 1); allowed: ${TOP}`,
    `constructor: unknown key (value 2); allowed: ${TOP}`,
    `nmae: unknown key (value "x"); allowed: ${TOP}`,
  ),
  value(
    'a mistyped key with a password behind it',
    (node, _, world) => {
      world.secrets.add(SECRET);
      section(node, 'signalling').pasword = SECRET;
    },
    `signalling.pasword: unknown key (value not shown, it may be a secret); allowed: ${SIGNALLING}`,
  ),
  value(
    'a number for a text',
    (node) => {
      section(node, 'signalling').service = 5223;
    },
    'signalling.service: 5223 is not allowed; allowed: "xmpps://HOST:PORT" or "xmpp://HOST:PORT"',
  ),
  value(
    'a port that cannot be, and a level that is none',
    (node) => {
      section(node, 'network').udpPort = 65536;
      section(node, 'metrics').port = 'http';
      section(node, 'log').level = 'loud';
    },
    'network.udpPort: 65536 is not allowed; allowed: a whole number from 0 to 65535',
    'metrics.port: "http" is not allowed; allowed: a whole number from 0 to 65535',
    'log.level: "loud" is not allowed; allowed: "error", "warn", "info" or "debug"',
  ),
  value(
    'pods of a node whose certificate has no prefix for them',
    (node) => {
      node.pods = { overlayCIDRs: ['10.244.0.0/16'] };
    },
    'pods: the certificate has no prefix for them; renew the node with --route PREFIX, or leave this section out',
  ),
  value(
    'prefixes with host bits, and a name no interface begins with',
    (node) => {
      node.pods = { overlayCIDRs: ['10.244.0.1/16', 'fd00::/200', 7], hostInterfacePrefix: 'e"' };
    },
    'pods.overlayCIDRs[0]: "10.244.0.1/16" is not allowed; allowed: a list of at most 16 prefixes without host bits, like "10.244.0.0/16"',
    'pods.overlayCIDRs[1]: "fd00::/200" is not allowed; allowed: a list of at most 16 prefixes without host bits, like "10.244.0.0/16"',
    'pods.overlayCIDRs[2]: 7 is not allowed; allowed: a list of at most 16 prefixes without host bits, like "10.244.0.0/16"',
    'pods.hostInterfacePrefix: "e\\"" is not allowed; allowed: 1 to 14 letters, digits, "-" and "_"',
  ),
  value(
    'routes to leave out that are no prefixes',
    (node) => {
      section(node, 'network').excludeRoutes = ['10.96.0.1/12', 'services'];
    },
    'network.excludeRoutes[0]: "10.96.0.1/12" is not allowed; allowed: a list of at most 16 prefixes without host bits, like "10.96.0.0/12"',
    'network.excludeRoutes[1]: "services" is not allowed; allowed: a list of at most 16 prefixes without host bits, like "10.96.0.0/12"',
  ),
  value(
    'a run directory whose sockets would have too long a name',
    (node) => {
      node.runDir = `/${'x'.repeat(95)}`;
    },
    `runDir: "/${'x'.repeat(58)}... is not allowed; allowed: an absolute path of at most 90 characters`,
  ),
  value(
    'a secret file that is not there',
    (node) => {
      section(node, 'signalling').password = { file: 'nowhere' };
    },
    'signalling.password: cannot read {dir}/nowhere: there is no such file',
  ),
  value(
    'a secret file that others can read',
    (node, place) => {
      writeFileSync(place.path('key'), `${node.identity.key}\n`);
      chmodSync(place.path('key'), 0o640);
      section(node, 'identity').key = { file: 'key' };
    },
    'identity.key: {dir}/key holds a secret and others can use it (mode 0640): run chmod 600 {dir}/key',
  ),
  value(
    'a secret file that belongs to somebody else',
    (node, place, world) => {
      world.write(place.path('password'), SECRET);
      world.giveAway(place.path('password'));
      section(node, 'signalling').password = { file: 'password' };
    },
    'signalling.password: {dir}/password holds a secret and belongs to user 65534, who can read it: run chown 0 {dir}/password',
  ),
  value(
    'a secret file that is empty',
    (node, place, world) => {
      world.write(place.path('password'), '\n');
      section(node, 'signalling').password = { file: 'password' };
    },
    'signalling.password: {dir}/password is empty',
  ),
  value(
    'a key in a file that holds something else',
    (node, place, world) => {
      world.write(place.path('key'), SECRET);
      section(node, 'identity').key = { file: 'key' };
    },
    'identity.key: its file holds no such key; allowed: 32 bytes in base64',
  ),
  value(
    'keys that are not those of the certificate',
    (node, _, world) => {
      const other = world.nodeValue();
      Object.assign(node.identity, { key: other.identity.key, sessionKey: other.identity.sessionKey });
    },
    'identity.key: the secret (not shown) is not the one the certificate was made for; allowed: the key of the same enrolment',
    'identity.sessionKey: the secret (not shown) is not the one the certificate was made for; allowed: the key of the same enrolment',
  ),
  value(
    'the certificate of another overlay',
    (node, _, world) => {
      node.identity.certificate = world.nodeValue().identity.certificate;
    },
    `identity.certificate: a certificate of another overlay; ${ENROL}`,
  ),
  {
    what: 'an expired certificate',
    prepare(place, world) {
      const dates = { notBefore: 1_600_000_000, notAfter: 1_700_000_000 };
      world.write(place.path('node.json'), world.nodeValue(dates));
      const line =
        /.*: identity\.certificate: it expired at 2023-11-14T22:13:20Z and it is 20..-..-..T..:..:..Z now; renew it \(evio node enroll pi1 --renew\)/;
      // The agent itself goes on: the machine's clock may be what is wrong.
      return { args: ['config', 'check', place.path('node.json')], code: 2, says: [line] };
    },
  },
  value(
    'damaged base64',
    (node) => {
      node.identity.certificate = '====';
    },
    `identity.certificate: "====" is not allowed; allowed: ${CERTIFICATE}`,
  ),
  value(
    'a certificate of which the end is missing',
    (node) => {
      node.identity.certificate = node.identity.certificate.slice(0, 40);
    },
    `identity.certificate: an object cut short; ${ENROL}`,
  ),
  value(
    'a certificate in which one letter is another',
    (node) => {
      const bytes = Buffer.from(node.identity.certificate, 'base64');
      bytes.writeUInt8((bytes.at(-1) ?? 0) ^ 1, bytes.length - 1);
      node.identity.certificate = bytes.toString('base64');
    },
    `identity.certificate: a certificate without the authority's signature; ${ENROL}`,
  ),
  value(
    'the name of another node',
    (node) => {
      node.name = 'pi2';
    },
    'name: "pi2" is not allowed; allowed: "pi1", the name in the certificate',
  ),
  value(
    'a certificate authority that is none',
    (node) => {
      section(node, 'signalling').ca = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    },
    'signalling.ca: the text is no PEM certificate; allowed: PEM text, or {"file": "PATH"}',
  ),
];
