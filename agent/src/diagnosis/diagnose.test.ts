import { expect } from 'chai';
import { diagnose, type Facts } from './diagnose.ts';
import { CATALOGUE, type Finding } from './finding.ts';
import type { IdentityFacts } from './identity.ts';
import type { RelayFacts, ServerFact } from './relays.ts';
import type { SignallingFailure } from './signalling.ts';

const DAY = 86_400;
const NOW = 1_800_000_000;
const SERVICE = 'xmpps://203.0.113.10:5223';
const FILE = '/etc/evio/node.json';

const IDENTITY: IdentityFacts = {
  file: FILE,
  name: 'pi1',
  notBefore: NOW - 300 * DAY,
  notAfter: NOW + 65 * DAY,
  clock: { kind: 'right' },
  known: NOW,
  revoked: false,
  displacedBy: undefined,
  twin: false,
};
const well = (kind: ServerFact['kind'], host: string): ServerFact => ({
  kind,
  host,
  port: 3478,
  outcome: { kind: 'well', rttMs: 1 },
});
const silent = (
  kind: ServerFact['kind'],
  host: string,
  more: { closed?: boolean; hostReached?: boolean } = {},
): ServerFact => ({
  kind,
  host,
  port: 3478,
  outcome: { kind: 'silent', closed: more.closed ?? false, hostReached: more.hostReached },
});
const RELAYS: RelayFacts = {
  servers: [well('stun', '203.0.113.10'), well('stun', '203.0.113.11'), well('turn', '203.0.113.10')],
  service: SERVICE,
  file: FILE,
  asked: true,
  turnWanted: true,
  tcp: true,
  udpElsewhere: false,
};
const WELL: Facts = {
  uptimeMs: 60_000,
  identity: IDENTITY,
  signalling: {
    account: {
      file: FILE,
      service: SERVICE,
      host: '203.0.113.10',
      port: 5223,
      username: 'pi1.lab',
      domain: 'evio.example',
      room: 'lab@conference.evio.example',
    },
    online: true,
    failure: null,
  },
  relays: RELAYS,
  tincan: {
    version: '0.1.0',
    agentVersion: '0.1.0',
    wasUp: true,
    problem: undefined,
    log: '/run/evio/lab/tincan.log',
    silentPid: undefined,
  },
  ovs: undefined,
  network: [],
  places: [],
  holes: [],
  narrow: [],
  oneWay: [],
  ring: { incompleteMs: 0, missing: [] },
};

const identity = (change: Partial<IdentityFacts>): Partial<Facts> => ({ identity: { ...IDENTITY, ...change } });
const relays = (change: Partial<RelayFacts>): Partial<Facts> => ({ relays: { ...RELAYS, ...change } });
const signalling = (failure: SignallingFailure): Partial<Facts> => ({
  signalling: { ...WELL.signalling, online: false, failure },
});
const xmpp = (problem: SignallingFailure['problem'], code = '', message = `${SERVICE} says no`) =>
  signalling({ problem, code, message });
const tincan = (change: Partial<Facts['tincan']>): Partial<Facts> => ({ tincan: { ...WELL.tincan, ...change } });
const OVS = {
  socket: '/run/openvswitch/db.sock',
  databaseConnected: true,
  bridge: 'evio0',
  bridgeConnected: true,
  problems: [],
};

describe('the cause of what is wrong', () => {
  const of = (change: Partial<Facts>): readonly Finding[] => diagnose({ ...WELL, ...change });

  it('is none where nothing is wrong', () => expect(of({})).to.deep.equal([]));

  const quiet: readonly (readonly [string, Partial<Facts>])[] = [
    ['a clock ten minutes off', identity({ known: NOW + 600 })],
    ['a node that has just begun', { uptimeMs: 1_000, ...tincan({ version: undefined, wasUp: false }) }],
    ['a session that is being opened for the first time', { signalling: { ...WELL.signalling, online: false } }],
    [
      'an old failure of a session that stands',
      { signalling: { ...WELL.signalling, failure: { problem: 'server-away', code: '', message: '' } } },
    ],
    ['TURN that is not wanted', relays({ turnWanted: false, servers: [well('stun', '203.0.113.10')] })],
    ['a LAN alone, where no server was asked', relays({ servers: [], asked: false })],
    ['a ring that is being closed', { ring: { incompleteMs: 4_000, missing: ['pi2'] } }],
    ['a certificate for an hour, in its first minutes', identity({ notBefore: NOW - 600, notAfter: NOW + 3_000 })],
  ];
  for (const [what, change] of quiet) it(`is none for ${what}`, () => expect(of(change)).to.deep.equal([]));

  const named: readonly (readonly [string, Partial<Facts>, RegExp, RegExp])[] = [
    [
      'xmpp-password',
      xmpp('wrong-password'),
      /203\.0\.113\.10:5223/,
      /signalling\.password for pi1\.lab@evio\.example into \/etc\/evio\/node\.json/,
    ],
    ['xmpp-unreachable', xmpp('server-away', 'ECONNREFUSED'), /5223/, /start the XMPP server on 203\.0\.113\.10/],
    ['xmpp-unreachable', xmpp('server-away'), /5223/, /TCP port 5223/],
    ['xmpp-name', xmpp('server-away', 'ENOTFOUND'), /./, /signalling\.service in \/etc\/evio\/node\.json/],
    ['xmpp-dns', xmpp('server-away', 'EAI_AGAIN'), /./, /resolv\.conf/],
    [
      'xmpp-untrusted',
      xmpp('untrusted-certificate', 'SELF_SIGNED_CERT_IN_CHAIN'),
      /./,
      /signalling\.ca of \/etc\/evio\/node\.json/,
    ],
    ['xmpp-untrusted', xmpp('untrusted-certificate', 'ERR_TLS_CERT_ALTNAME_INVALID'), /./, /signalling\.domain/],
    ['xmpp-expired', xmpp('untrusted-certificate', 'CERT_HAS_EXPIRED'), /./, /renew the certificate on the server/],
    ['xmpp-insecure', xmpp('insecure'), /./, /xmpps/],
    ['room-missing', xmpp('room-missing'), /./, /lab@conference\.evio\.example .*evio overlay restore/],
    ['not-a-member', xmpp('not-a-member'), /./, /enrol/],
    ['xmpp-refused', xmpp('protocol'), /./, /log of the XMPP server/],
    ['certificate-expired', identity({ known: NOW + 66 * DAY }), /pi1 in \/etc\/evio\/node\.json/, /--renew/],
    [
      'certificate-expired',
      identity({ clock: { kind: 'ahead', wall: NOW + 99 * DAY, known: undefined }, known: undefined }),
      /this machine's clock/,
      /or set the clock/,
    ],
    ['certificate-soon', identity({ known: NOW + 60 * DAY }), /ends in 5 days/, /evio authority serve/],
    ['certificate-soon', identity({ notBefore: NOW - 3_500, notAfter: NOW + 100 }), /ends in 100 seconds/, /renew/],
    ['clock', identity({ clock: { kind: 'behind', wall: 0, known: NOW }, known: NOW }), /behind/, /NTP/],
    ['clock', identity({ clock: { kind: 'ahead', wall: NOW + 9e8, known: NOW }, known: NOW }), /ahead/, /NTP/],
    ['revoked', identity({ revoked: true }), /node\.json/, /enrol/],
    [
      'address-duplicate',
      identity({ displacedBy: { name: 'twin', nodeId: 'ab', address: '10.45.0.3' } }),
      /twin \(ab\) has 10\.45\.0\.3/,
      /--address4/,
    ],
    ['identity-twin', identity({ twin: true }), /keys of pi1/, /copy of \/etc\/evio\/node\.json/],
    [
      'udp-blocked',
      relays({
        servers: [
          silent('stun', '203.0.113.10'),
          silent('stun', '203.0.113.11'),
          silent('turn', '203.0.113.10', { hostReached: false }),
        ],
      }),
      /203\.0\.113\.10:3478, 203\.0\.113\.11:3478, while TCP/,
      /firewall/,
    ],
    [
      'udp-refused-here',
      relays({
        servers: [{ kind: 'turn', host: '203.0.113.10', port: 3478, outcome: { kind: 'unsent', code: 'EPERM' } }],
      }),
      /own firewall/,
      /output chain/,
    ],
    [
      'turn-secret',
      relays({
        servers: [{ kind: 'turn', host: '203.0.113.10', port: 3478, outcome: { kind: 'refused', code: 401 } }],
      }),
      /203\.0\.113\.10:3478 refuses/,
      /same secret/,
    ],
    ...([486, 508] as const).map(
      (code) =>
        [
          'turn-full',
          relays({ servers: [{ kind: 'turn', host: '203.0.113.10', port: 3478, outcome: { kind: 'full', code } }] }),
          new RegExp(`203\\.0\\.113\\.10:3478 gives no relay \\(error ${code}: `),
          code === 486 ? /--node-quota/ : /--relay-ports/,
        ] as const,
    ),
    [
      'turn-away',
      relays({ servers: [silent('turn', '203.0.113.10', { hostReached: true })] }),
      /UDP reaches its host/,
      /UDP port 3478/,
    ],
    [
      'turn-away',
      relays({ servers: [silent('turn', '203.0.113.10', { closed: true })] }),
      /nothing listens/,
      /start it/,
    ],
    [
      'turn-away',
      relays({ servers: [silent('turn', '203.0.113.10')], udpElsewhere: true }),
      /other UDP passes/,
      /start it/,
    ],
    [
      'turn-name',
      relays({
        servers: [
          { kind: 'turn', host: 'turn.example', port: 3478, outcome: { kind: 'unresolved', code: 'ENOTFOUND' } },
        ],
      }),
      /turn\.example:3478/,
      /correct its name/,
    ],
    ['turn-missing', relays({ servers: [well('stun', '203.0.113.10')] }), /names no TURN/, /evio server init/],
    [
      'stun-away',
      relays({ servers: [...RELAYS.servers, silent('stun', '198.51.100.1')] }),
      /198\.51\.100\.1:3478/,
      /start it/,
    ],
    ['tincan-away', tincan({ version: undefined, problem: 'tincan was ended by SIGKILL' }), /SIGKILL/, /tincan\.log/],
    ['tincan-silent', tincan({ silentPid: 77 }), /pid 77/, /kill -9 77/],
    ['tincan-version', tincan({ version: '0.0.9' }), /0\.0\.9/, /evio agent upgrade/],
    [
      'ovs-away',
      { ovs: { ...OVS, databaseConnected: false }, ...tincan({ version: undefined }) },
      /db\.sock/,
      /openvswitch/,
    ],
    ['ovs-away', { ovs: { ...OVS, bridgeConnected: false } }, /bridge evio0/, /openvswitch/],
    ['ovs-problem', { ovs: { ...OVS, problems: ['port x is somebody else’s'] } }, /port x/, /ovs-vsctl/],
    [
      'address-conflict',
      { network: [{ kind: 'address-conflict', text: '10.45.0.0/16 meets the route 10.45.1.0/24 dev eth0' }] },
      /eth0/,
      /subnet4/,
    ],
    ['firewall-problem', { network: [{ kind: 'firewall', text: 'the program nft is not in PATH' }] }, /nft/, /pods/],
    [
      'state-full',
      { places: [{ dir: '/var/lib/evio/lab', what: 'state', code: 'ENOSPC' }] },
      /\/var\/lib\/evio\/lab is full/,
      /df -h/,
    ],
    ['state-read-only', { places: [{ dir: '/var/lib/evio/lab', what: 'state', code: 'EROFS' }] }, /read-only/, /mount/],
    ['run-dir', { places: [{ dir: '/run/evio/lab', what: 'run', code: 'EROFS' }] }, /\/run\/evio\/lab/, /runDir/],
    ['peer-forwards-nothing', { holes: ['pi2'] }, /pi2 answers and passes nothing on/, /restart tincan on pi2/],
    [
      'path-narrow',
      { narrow: [{ name: 'pi2', remote: '192.0.2.1:2000', bytes: 1_228 }] },
      /192\.0\.2\.1:2000.*1228/,
      /MTU/,
    ],
    [
      'path-one-way',
      { oneWay: [{ name: 'pi2', remote: '192.0.2.1:2000' }] },
      /from this node to pi2 \(192\.0\.2\.1:2000\) is dropped/,
      /firewall of pi2/,
    ],
    ['ring-incomplete', { ring: { incompleteMs: 30_000, missing: ['pi2'] } }, /pi2 for 30 s/, /evio netcheck/],
  ];
  for (const [i, [code, change, text, fix]] of named.entries())
    it(`is named: ${code} (${i}), alone, with where it is and what to do`, () => {
      const found = of(change);
      expect(found.map((one) => one.code)).to.deep.equal([code]);
      expect(found[0]?.text).to.match(text);
      expect(found[0]?.fix).to.match(fix);
    });

  it('comes before its effects, and a symptom is told only where no cause is', () => {
    const found = of({
      ...xmpp('wrong-password'),
      ring: { incompleteMs: 99_000, missing: ['pi2'] },
      places: [{ dir: '/s', what: 'state', code: 'ENOSPC' }],
    });
    expect(found.map(({ code }) => code)).to.deep.equal(['xmpp-password', 'state-full']);
  });

  it('has a word for every code, and a way to come to it', () => {
    // By the command, of a machine where no agent runs (cli/src/away.ts), or by tincan's own words.
    const elsewhere = [
      'agent-away',
      'not-root',
      'kernel-old',
      'no-net-admin',
      'no-tun',
      'port-taken',
      'stun-missing',
      'route-problem',
      'state-unwritable',
      // netcheck alone sees how long the steps take (signalling.test.ts).
      'xmpp-slow',
      // Of a cluster's node (cluster.test.ts).
      'api-server-away',
      'not-enrolled',
      'enrolment-refused',
      'prefix-missing',
      'cni-plugin',
      'cni-chained',
      'conflist-stale',
      'conflist-other',
      'pool-full',
    ];
    const reached = new Set<string>([...named.map(([code]) => code), ...elsewhere]);
    expect(Object.keys(CATALOGUE).filter((code) => !reached.has(code))).to.deep.equal([]);
  });
});
