/** Command lines that are wrong, and commands to what is not there. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Row } from './row.ts';

/** A command line that cannot be understood: `args` and its line. */
const usage = (what: string, args: readonly string[], line: string): Row => ({
  what,
  prepare: () => ({ args, code: 2, says: [`evio: ${line}`] }),
});

const START = 'start it with: evio agent run --config FILE';

const SERVER = ['server', 'init', '--domain', 'evio.example', '--foreground'];

const bookWith = (file: (name: string) => string, change: object): string =>
  JSON.stringify({ ...(JSON.parse(readFileSync(file('overlay.json'), 'utf8')) as object), ...change });

/** A command on an overlay with one node, n1, that fails. */
const onOverlay = (what: string, args: readonly string[], code: number, line: string | RegExp): Row => ({
  what,
  prepare: (place, world) => ({ args: [...args, '--overlay', world.copyOverlay(place)], code, says: [line] }),
});

/** A copy of the shared overlay's directory with something wrong in it. */
const inOverlay = (
  what: string,
  change: (file: (name: string) => string) => void,
  verb: readonly string[],
  line: string,
): Row => ({
  what,
  prepare(place, world) {
    const dir = world.copyOverlay(place);
    change((name) => `${dir}/${name}`);
    return { args: [...verb, dir], code: 1, says: [`evio: ${line.replaceAll('{dir}', dir)}`] };
  },
});

const ENROLL = ['node', 'enroll', 'n2', '--out', 'n2.json', '--overlay'];

export const COMMAND_ROWS: readonly Row[] = [
  usage('no command', [], 'a command is missing; see evio --help'),
  usage('an unknown command', ['statsu'], 'unknown here: statsu; see evio --help'),
  usage('an unknown option', ['status', '--verbose'], 'unknown here: verbose; see evio status --help'),
  usage('half a command', ['server'], 'evio server needs to know what to do; see evio --help'),
  usage('a missing argument', ['config', 'check'], 'missing: FILE; see evio config check --help'),
  usage('a node without a name', ['node', 'enroll', '--overlay', 'x'], 'missing: NAME; see evio node enroll --help'),
  usage(
    'an old overlay without an old file',
    ['node', 'enroll', 'n9', '--overlay', 'x', '--from-overlay', 'A0FB389'],
    '--from-overlay goes with --from',
  ),
  usage('a missing option', ['agent', 'run'], 'missing: --config; see evio agent run --help'),
  usage('an option without its value', ['agent', 'run', '--config'], '--config needs a value'),
  usage('a letter for a number', ['ping', 'n1', '--count', 'x'], '--count needs a number'),
  usage(
    'a number that cannot be',
    ['ping', 'n1', '-c', '0'],
    '--count: 0 is not allowed; allowed: a whole number from 1',
  ),
  usage(
    'an option given twice',
    ['status', '--run-dir', 'a', '--run-dir', 'b'],
    '--run-dir is given 2 times; give it once',
  ),
  usage(
    'two options that say the same',
    ['status', '--run-dir', 'a', '--config', 'b'],
    '--run-dir and --config say the same; give one; see evio status --help',
  ),
  usage(
    'a way of printing that is none',
    ['status', '-o', 'xml'],
    '--output: "xml" is not allowed; allowed: "text", "json", "yaml"; see evio status --help',
  ),

  ...(['status', 'peers', 'ping n1'] as const).map(
    (verb): Row => ({
      what: `${verb} where no agent runs`,
      prepare: (place) => ({
        args: [...verb.split(' '), '--run-dir', place.dir],
        code: 1,
        says: [`evio: no agent runs with ${place.dir} (there is no agent.sock in it); ${START}`],
      }),
    }),
  ),
  {
    what: 'status by a socket that an agent left',
    async prepare(place) {
      const server = createServer();
      await new Promise<void>((done) => server.listen(place.path('agent.sock'), done));
      // Node takes a socket away that it closes; a killed agent does not.
      renameSync(place.path('agent.sock'), place.path('kept'));
      await new Promise((done) => server.close(done));
      renameSync(place.path('kept'), place.path('agent.sock'));
      return {
        args: ['status', '--run-dir', place.dir],
        code: 1,
        says: [`evio: the agent of ${place.dir} is not running (nobody answers at agent.sock); ${START}`],
      };
    },
  },
  {
    what: 'a file where the socket of the agent should be',
    prepare(place, world) {
      world.write(place.path('agent.sock'), '');
      return {
        args: ['status', '--run-dir', place.dir],
        code: 1,
        says: [`evio: the agent of ${place.dir} is not running (nobody answers at agent.sock); ${START}`],
      };
    },
  },
  {
    what: 'a revocation list that is not there',
    prepare: (place) => ({
      args: ['agent', 'revocations', 'nowhere', '--run-dir', place.dir],
      code: 2,
      says: ['evio: cannot read nowhere: there is no such file'],
    }),
  },

  usage('a server without an address', SERVER, 'missing: --address; see evio server init --help'),
  usage(
    'a server with a name for an address',
    [...SERVER, '--address', 'evio.example'],
    '--address: "evio.example" is not allowed; allowed: an IP address, or PUBLIC/LOCAL when the server is behind a one-to-one NAT',
  ),
  usage(
    'a certificate without its key',
    [...SERVER, '--address', '127.0.0.1', '--cert', 'x'],
    '--cert and --key go together: a certificate and its private key; give both or neither',
  ),
  usage(
    'a certificate that is not there',
    [...SERVER, '--address', '127.0.0.1', '--cert', 'x', '--key', 'y', '--dir', 'server'],
    '--cert: cannot read x: there is no such file',
  ),
  {
    what: 'a file where the directory of a server should be',
    prepare(place, world) {
      world.write(place.path('file'), '');
      return {
        args: [...SERVER, '--address', '127.0.0.1', '--dir', 'file'],
        code: 1,
        says: [`evio: cannot make the directory ${place.path('file')}: something else has this name`],
      };
    },
  },
  {
    what: 'a directory for a server where none can be made',
    prepare: () => ({
      args: [...SERVER, '--address', '127.0.0.1', '--dir', '/proc/evio'],
      code: 1,
      says: ['evio: cannot make the directory /proc/evio: there is no such file'],
    }),
  },
  {
    what: 'a directory for a server that its users cannot enter',
    prepare(place, world) {
      const dir = world.directory(place, 'private', 0o700);
      return {
        args: [...SERVER, '--address', '127.0.0.1', '--dir', `${dir}/server`],
        code: 1,
        says: [
          `evio: user prosody cannot get to ${dir}/server: ${dir} has mode 0700; run chmod o+x ${dir}, or give another --dir`,
        ],
      };
    },
  },
  {
    what: 'a server on a machine without the packages',
    prepare: (place) => ({
      args: [...SERVER, '--address', '127.0.0.1', '--dir', place.path('server')],
      // Nothing but what the launcher itself needs is to be found.
      within: [
        'unshare',
        '-m',
        'sh',
        '-c',
        'for f in /usr/bin/prosody /usr/bin/turnserver; do mount --bind /dev/null $f; done; exec "$@"',
        'sh',
      ],
      code: 1,
      says: [
        'evio: not installed: prosody, coturn; run: apt-get install --no-install-recommends prosody coturn openssl (or give --install)',
      ],
    }),
  },
  {
    what: 'a server with ejabberd on a machine without it',
    prepare: (place) => ({
      args: [...SERVER, '--address', '127.0.0.1', '--xmpp', 'ejabberd', '--dir', place.path('server')],
      within: ['unshare', '-m', 'sh', '-c', 'mount --bind /dev/null /usr/sbin/ejabberdctl; exec "$@"', 'sh'],
      code: 1,
      says: [
        'evio: not installed: ejabberd; run: apt-get install --no-install-recommends ejabberd coturn openssl (or give --install)',
      ],
    }),
  },
  {
    what: 'a server to run where none was set up',
    prepare: (place) => ({
      args: ['server', 'run', '--dir', place.dir],
      code: 1,
      says: [`evio: there is no server in ${place.dir}; run evio server init --dir ${place.dir} first`],
    }),
  },

  usage(
    'a name for an overlay that cannot be',
    ['overlay', 'create', 'Lab'],
    'NAME: "Lab" is not allowed; allowed: lower-case letters, digits and "-", 1 to 63 of them',
  ),
  usage(
    'an MTU below what IPv6 needs',
    ['overlay', 'create', 'lab', '--mtu', '1279'],
    '--mtu: "1279" is not allowed; allowed: "auto", or a whole number from 1280 to 9000',
  ),
  {
    what: 'an administrator file that is not there',
    prepare: (place) => ({
      args: ['overlay', 'create', 'lab', '--server', place.path('admin.json'), '--dir', place.path('lab')],
      code: 1,
      says: [
        `evio: there is no administrator file ${place.path('admin.json')}; copy admin.json from the server, or run evio server init there`,
      ],
    }),
  },
  {
    what: 'a node file for an administrator file',
    prepare(place, world) {
      world.write(place.path('admin.json'), world.nodeValue());
      return {
        args: ['overlay', 'create', 'lab', '--server', 'admin.json', '--dir', place.path('a', 'b', 'lab')],
        code: 1,
        says: [
          'evio: cannot use admin.json: apiVersion is missing or not of the right form; evio server init writes it anew',
        ],
      };
    },
  },
  {
    what: 'a wrong password of the administrator',
    prepare(place, world) {
      world.write(place.path('admin.json'), world.adminValue({ password: 'hunter2-hunter2-hunter2' }));
      return {
        args: ['overlay', 'create', 'lab', '--server', 'admin.json', '--dir', place.path('a', 'b', 'lab')],
        code: 1,
        says: [
          `evio: ${world.prosody.service} refuses the password of admin@evio.test (not-authorized): renew admin.json (evio server init)`,
        ],
      };
    },
  },
  {
    what: 'a server that is away, for the administrator',
    prepare(place, world) {
      world.write(place.path('admin.json'), world.adminValue({ service: 'xmpps://127.0.0.1:9' }));
      return {
        args: ['overlay', 'create', 'lab', '--server', 'admin.json', '--dir', place.path('lab')],
        code: 1,
        says: ['evio: cannot reach xmpps://127.0.0.1:9: nothing listens there'],
      };
    },
  },
  {
    what: 'an overlay made twice in one directory',
    prepare: (_, world) => ({
      args: ['overlay', 'create', 'shared', '--server', world.adminFile, '--dir', world.overlay],
      code: 1,
      says: [
        `evio: ${world.overlay} holds overlay shared already; change it with evio overlay update, or give another --dir`,
      ],
    }),
  },
  {
    what: 'an overlay made twice in two directories',
    prepare: (place, world) => ({
      args: ['overlay', 'create', 'shared', '--server', world.adminFile, '--dir', place.path('again')],
      code: 1,
      says: [
        'evio: the server has a room shared@conference.evio.test already, of another overlay of this name; choose another name',
      ],
    }),
  },
  {
    what: 'an overlay in a directory that cannot be written to',
    prepare: (place, world) => ({
      args: ['overlay', 'create', 'lab', '--server', world.adminFile, '--dir', place.path('lab')],
      within: ['unshare', '-m', 'sh', '-c', `mount --bind -o ro ${place.dir} ${place.dir} && exec "$@"`, 'sh'],
      code: 1,
      says: [`evio: cannot make the directory ${place.path('lab')}: the file system is read-only`],
    }),
  },
  {
    what: 'an overlay that is not there',
    prepare: (place) => ({
      args: ['overlay', 'update', place.path('lab'), '--mtu', '1300'],
      code: 1,
      says: [`evio: there is no overlay in ${place.path('lab')}; make one with: evio overlay create NAME`],
    }),
  },
  onOverlay(
    'a node enrolled twice',
    ['node', 'enroll', 'n1', '--out', 'n1.json'],
    1,
    /evio: node n1 is enrolled already \(id [0-9a-f]{32}\); use --renew for a new certificate, or evio overlay revoke n1/,
  ),
  onOverlay(
    'a name for a node that cannot be',
    ['node', 'enroll', '__proto__'],
    2,
    'evio: NAME: "__proto__" is not allowed; allowed: lower-case letters, digits and "-", 1 to 63 of them',
  ),
  onOverlay(
    'a node to renew that is not enrolled, by a name every object has',
    ['node', 'enroll', 'constructor', '--renew'],
    1,
    'evio: node constructor is not enrolled; leave out --renew',
  ),
  onOverlay(
    'a node to revoke that every object has',
    ['overlay', 'revoke', 'constructor'],
    1,
    /evio: overlay shared has no node constructor; it has: n1/,
  ),
  onOverlay(
    'an address that another node has',
    ['node', 'enroll', 'n3', '--address4', '10.45.0.1'],
    2,
    'evio: --address4: 10.45.0.1 belongs to another node; give another address',
  ),
  onOverlay(
    'a route over the overlay itself',
    ['node', 'enroll', 'n3', '--route', '10.0.0.0/8'],
    2,
    'evio: --route: 10.0.0.0/8 overlaps 10.45.0.0/16 of the overlay; give another prefix',
  ),
  inOverlay(
    'an address book that is no JSON',
    (file) => writeFileSync(file('overlay.json'), '{"apiVersion"'),
    ENROLL,
    'cannot read {dir}/overlay.json: it is no JSON; restore it from a backup',
  ),
  inOverlay(
    'an address book with a node that is none',
    (file) => writeFileSync(file('overlay.json'), bookWith(file, { nodes: { n1: { id: 'x' } } })),
    ENROLL,
    'cannot use {dir}/overlay.json: nodes.n1.username is missing or not of the right form; restore it from a backup',
  ),
  inOverlay(
    'an address book with damaged parameters',
    (file) => writeFileSync(file('overlay.json'), bookWith(file, { parameters: 'RVZQMQEA' })),
    ENROLL,
    'cannot use {dir}/overlay.json: parameters: an object cut short; restore it from a backup',
  ),
  inOverlay(
    'the key of another overlay',
    (file) => writeFileSync(file('authority.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`),
    ENROLL,
    '{dir}/authority.key is the key of another overlay; restore it from a backup',
  ),
  inOverlay(
    'a key that is damaged',
    (file) => writeFileSync(file('authority.key'), 'AAAA\n'),
    ['overlay', 'update', '--mtu', '1300'],
    '{dir}/authority.key holds no authority key; restore it from a backup',
  ),
  inOverlay(
    'a revocation list that is damaged',
    (file) => writeFileSync(file('revocations'), 'RVZSMQEA\n'),
    ['overlay', 'revoke', 'n1', '--overlay'],
    'cannot use {dir}/revocations: an object cut short; restore it from a backup',
  ),
  inOverlay(
    'an overlay that another command changes',
    (file) => writeFileSync(file('.lock'), String(process.pid)),
    ENROLL,
    `another command changes {dir} now (pid ${process.pid}); try again when it has ended`,
  ),
];
