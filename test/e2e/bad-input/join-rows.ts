/** What can be wrong with a token, with what is asked for by it, and with who should answer. Nothing of a join is left then. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeToken,
  encodeToken,
  type JoinToken,
  tokenAccountName,
  tokenId,
  tokenPassword,
} from '../../../agent/src/wire/join-token.ts';
import { generatePrivateKey, rawPublicKey } from '../../../agent/src/wire/keys.ts';
import { TestAuthority } from '../../servers/certificates.ts';
import { DOMAIN } from '../../servers/xmpp-server.ts';
import { EVIO } from './carry-out.ts';
import type { Case, Place, Row } from './row.ts';
import type { World } from './world.ts';

const HOUR_SECONDS = 3_600;
const now = (): number => Math.floor(Date.now() / 1000);

/** A token that nobody made, for the shared server; its secret is watched for. */
function forged(world: World, change: Partial<JoinToken> = {}): string {
  const token: JoinToken = {
    service: world.prosody.service,
    domain: DOMAIN,
    authorityKey: rawPublicKey(generatePrivateKey('ed25519')),
    secret: Buffer.from(crypto.getRandomValues(new Uint8Array(16))),
    expires: now() + HOUR_SECONDS,
    trusted: { kind: 'certificates', certificates: [derOf(world.prosody.ca)] },
    ...change,
  };
  return watched(world, encodeToken(token));
}

/** Neither the token nor what follows from it may be told. */
function watched(world: World, text: string): string {
  world.secrets.add(text.slice('evio1.'.length));
  world.secrets.add(tokenPassword(decodeToken(text).secret));
  return text;
}

const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');

const named = (name: string, place: Place, token: string, ...more: readonly string[]): readonly string[] => [
  'join',
  token,
  ...['--config', place.path('node.json'), '--name', name, '--no-start'],
  ...more,
];

const joining = (place: Place, token: string, ...more: readonly string[]) => named('m1', place, token, ...more);

interface Served {
  readonly dir: string;
  token(...more: readonly string[]): Promise<string>;
  end(): Promise<void>;
}

/** An overlay of this row's own, with its authority serving, or not. */
async function overlayOf(place: Place, world: World, serving = true): Promise<Served> {
  const [dir, name] = [place.path('own'), `own${place.number}`];
  await world.evio('overlay', 'create', name, '--server', world.adminFile, '--dir', dir, '--subnet6', 'none');
  const child = serving ? await serve(dir) : undefined;
  return {
    dir,
    token: async (...more) => watched(world, (await world.evio('token', 'create', '--overlay', dir, ...more)).trim()),
    async end() {
      if (child === undefined) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function serve(dir: string): Promise<ChildProcess> {
  const child = spawn(EVIO, ['authority', 'serve', '--overlay', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  child.stdout.on('data', (data: Buffer) => {
    log += data.toString();
  });
  for (let i = 0; i < 400 && !log.includes('answers for overlay'); i++) await sleep(25);
  if (!log.includes('answers for overlay')) throw new Error(`the authority does not serve: ${log}`);
  return child;
}

/** A machine that asks an authority that serves. */
const asking = (
  what: string,
  code: number,
  line: string | RegExp,
  make: (own: Served, place: Place, world: World) => Promise<readonly string[]>,
): Row => ({
  what,
  async prepare(place, world): Promise<Case> {
    const own = await overlayOf(place, world);
    return {
      args: await make(own, place, world),
      code,
      says: [typeof line === 'string' ? `evio: ${line}` : line],
      undo: () => own.end(),
    };
  },
});

/** A token of the shared server that is changed; `line` may hold `{service}`. */
const withToken = (
  what: string,
  code: number,
  line: string | RegExp,
  token: (world: World, place: Place) => string,
): Row => ({
  what,
  prepare: (place, world) => ({
    args: joining(place, token(world, place)),
    code,
    says: [typeof line === 'string' ? `evio: ${line.replaceAll('{service}', world.prosody.service)}` : line],
  }),
});

const usage = (what: string, args: readonly string[], line: string): Row => ({
  what,
  prepare: () => ({ args, code: 2, says: [`evio: ${line}`] }),
});

const ALTERED = 'the token cannot be used: it is altered or cut short: copy the whole line';
const FOREIGN =
  'the certificate of {service} is not by the authority that the token names: somebody is in between, or the server was set up anew; nothing was sent, get another token';

export const JOIN_ROWS: readonly Row[] = [
  usage('no token', ['join'], 'missing: TOKEN; see evio join --help'),
  usage(
    'a password for a token',
    ['join', 'hunter2'],
    'the token cannot be used: it is no join token: those begin with "evio1.", as "evio token create" prints them',
  ),
  usage(
    'a token of another version',
    ['join', 'evio7.AAAA'],
    'the token cannot be used: it is of another version of Evio',
  ),
  usage('rubbish behind the beginning of a token', ['join', 'evio1.??'], ALTERED),
  withToken('a token that is cut short', 2, ALTERED, (world) => forged(world).slice(0, -20)),
  withToken('a token with one other character', 2, ALTERED, (world) => {
    const text = forged(world);
    return `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`;
  }),
  withToken('a token of a server that is away', 1, 'cannot reach xmpps://127.0.0.1:9: nothing listens there', (world) =>
    forged(world, { service: 'xmpps://127.0.0.1:9' }),
  ),
  withToken('a token of a server that shows another authority', 1, FOREIGN, (world, place) =>
    forged(world, {
      trusted: { kind: 'certificates', certificates: [derOf(new TestAuthority(place.dir, 'other').certificate)] },
    }),
  ),
  withToken('a token with the hash of an authority that the server does not show', 1, FOREIGN, (world) =>
    forged(world, { trusted: { kind: 'fingerprint', sha256: Buffer.alloc(32, 1) } }),
  ),
  withToken(
    'a token that has expired',
    1,
    /evio: xmpps:\S+ does not take the token any more: it expired at 20\S+Z; get another one \(evio token create\)/,
    (world) => forged(world, { expires: now() - 60 }),
  ),
  withToken(
    'a token that was used or revoked',
    1,
    '{service} does not take the token any more: it was used or revoked; get another one (evio token create)',
    (world) => forged(world),
  ),
  asking(
    'a token of which the account is left, and that was used by another machine',
    1,
    'the token was used already; make another with: evio token create',
    async (own, place, world) => {
      const token = await own.token();
      await world.evio('join', token, '--config', place.path('first.json'), '--name', 'first', '--no-start');
      const { secret } = decodeToken(token);
      // Once more, as soon as it has ended.
      while (!(await world.admin.addUser(tokenAccountName(tokenId(secret)), tokenPassword(secret)))) await sleep(50);
      return joining(place, token);
    },
  ),
  asking(
    'a token of another overlay',
    1,
    'the token is not known here: it was revoked, or is of another overlay; make another with: evio token create',
    async (own, place, world) => {
      const { authorityKey } = decodeToken(await own.token());
      const foreign = forged(world, { authorityKey });
      const { secret } = decodeToken(foreign);
      await world.admin.addUser(tokenAccountName(tokenId(secret)), tokenPassword(secret));
      return joining(place, foreign);
    },
  ),
  asking(
    'a name that a node has, for a machine that joins',
    1,
    'the overlay has a node n1 already; give another --name, or revoke that one: evio overlay revoke n1',
    async (own, place, world) => {
      await world.evio('node', 'enroll', 'n1', '--overlay', own.dir, '--out', place.path('n1.json'));
      return named('n1', place, await own.token());
    },
  ),
  asking(
    'an address that a node has, for a machine that joins',
    2,
    '--address: 10.45.0.1 belongs to another node; give another address',
    async (own, place, world) => {
      await world.evio('node', 'enroll', 'n1', '--overlay', own.dir, '--out', place.path('n1.json'));
      return joining(place, await own.token(), '--address', '10.45.0.1');
    },
  ),
  asking(
    'an address outside the overlay, for a machine that joins',
    2,
    '--address: "192.0.2.7" is not allowed; allowed: a host address of 10.45.0.0/16',
    async (own, place) => joining(place, await own.token(), '--address', '192.0.2.7'),
  ),
  asking(
    'an authority that is to serve twice',
    1,
    /evio: evio authority serve runs already for \S+\/own \(pid \d+\); end that one first/,
    async (own) => ['authority', 'serve', '--overlay', own.dir],
  ),
  asking(
    'a token to revoke that is not there',
    1,
    /evio: overlay own\d+ has no token 0123; it has: [0-9a-f]{16}/,
    async (own) => {
      await own.token();
      return ['token', 'revoke', '0123', '--overlay', own.dir];
    },
  ),
  {
    what: 'an authority that does not serve',
    async prepare(place, world) {
      const own = await overlayOf(place, world, false);
      return {
        args: joining(place, await own.token()),
        code: 1,
        says: [
          'evio: the authority of the overlay does not answer (10 s, service-unavailable); is "evio authority serve" (in a cluster: the operator) running?',
        ],
      };
    },
  },
  {
    what: 'a machine that is a node already',
    async prepare(place, world) {
      world.write(place.path('node.json'), readFileSync(`${world.dir}/n1.json`, 'utf8'));
      return {
        args: joining(place, forged(world)),
        code: 1,
        says: [
          `evio: ${place.path('node.json')} is there already: this machine is node n1 of overlay shared; take it off with evio leave, or give another --config`,
        ],
      };
    },
  },
  {
    what: 'a node file where none can be written',
    prepare: (place, world) => ({
      args: joining(place, forged(world)),
      within: ['unshare', '-m', 'sh', '-c', `mount --bind -o ro ${place.dir} ${place.dir} && exec "$@"`, 'sh'],
      code: 1,
      says: [`evio: cannot write ${place.path('node.json.join')}: the file system is read-only`],
    }),
  },
  {
    what: 'a name for a machine that cannot be',
    prepare: (place, world) => ({
      args: named('M1', place, forged(world)),
      code: 2,
      says: ['evio: --name: "M1" is not allowed; allowed: lower-case letters, digits and "-", 1 to 63 of them'],
    }),
  },
  {
    what: 'two addresses of one family',
    prepare: (place, world) => ({
      args: joining(place, forged(world), '--address', '10.45.0.8', '--address', '10.45.0.9'),
      code: 2,
      says: ['evio: --address: two addresses of one family are given; give one of each at most'],
    }),
  },
  usage(
    'a kubelet without --node-ip',
    ['join', 'x', '--kubelet', 'k3s'],
    '--kubelet and --dual-stack go with --node-ip',
  ),
  usage(
    'a token that is to hold for a year',
    ['token', 'create', '--overlay', 'x', '--ttl', '365d'],
    '--ttl: "365d" is not allowed; allowed: a whole number and s, m, h or d, from 10s to 30d',
  ),
  usage(
    'a token for nobody',
    ['token', 'create', '--overlay', 'x', '--uses', '0'],
    '--uses: 0 is not allowed; allowed: a whole number from 1 to 1000',
  ),
  {
    what: 'a token of an overlay that is not there',
    prepare: (place) => ({
      args: ['token', 'create', '--overlay', place.path('lab')],
      code: 1,
      says: [`evio: there is no overlay in ${place.path('lab')}; make one with: evio overlay create NAME`],
    }),
  },
  {
    what: 'an authority of an overlay that is not there',
    prepare: (place) => ({
      args: ['authority', 'serve', '--overlay', place.path('lab')],
      code: 1,
      says: [`evio: there is no overlay in ${place.path('lab')}; make one with: evio overlay create NAME`],
    }),
  },
  {
    what: 'a book of tokens that is damaged',
    prepare(place, world) {
      const dir = world.copyOverlay(place);
      world.write(`${dir}/tokens.json`, '{"tokens"');
      return {
        args: ['token', 'list', '--overlay', dir],
        code: 1,
        says: [`evio: cannot read ${dir}/tokens.json: it is no JSON; remove it: tokens that were made are void then`],
      };
    },
  },
  {
    what: 'a machine that leaves and is no node',
    prepare: (place) => ({
      args: ['leave', '--config', place.path('node.json')],
      code: 2,
      says: [`${place.path('node.json')}: it cannot be read: there is no such file`],
    }),
  },
];
