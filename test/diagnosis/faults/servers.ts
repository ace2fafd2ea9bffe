/** The XMPP server and coturn: away, with other secrets, other certificates, without the room. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVER } from '../../demo/internet.ts';
import { serverPid } from '../../demo/overlay.ts';
import { PREFIX, run } from '../../demo/shell.ts';
import { TestAuthority } from '../../servers/certificates.ts';
import type { Fault, Named } from '../faults.ts';
import type { Lab } from '../lab.ts';
import { fromNetcheck } from './words.ts';

const DOMAIN = 'evio.example';
const prosody = (lab: Lab, ...path: string[]): string => join(lab.server.dir, 'prosody', ...path);

/** A file of the server is another one for a while, with both servers started again before and after. */
async function withChange(
  lab: Lab,
  path: string,
  change: (text: string) => string,
  during: () => Promise<Named>,
  turn: 'answers' | 'does not' = 'answers',
): Promise<Named> {
  const before = readFileSync(path, 'utf8');
  try {
    // In place: owner and mode are the servers'.
    await lab.restartServer(() => writeFileSync(path, change(before)), turn);
    return await during();
  } finally {
    await lab.restartServer(() => writeFileSync(path, before));
  }
}

const checked = async (lab: Lab): Promise<Named> => fromNetcheck(await lab.netcheck(await lab.node('home1')));

/** The server shows a certificate of an authority made here. */
async function withCertificate(lab: Lab, expired: boolean, during: (ca: string) => Promise<Named>): Promise<Named> {
  const place = join(lab.dir, `ca-${expired}`);
  mkdirSync(place, { recursive: true });
  const authority = new TestAuthority(place);
  const issued = authority.issue('server', [DOMAIN], expired);
  const [key, crt] = [prosody(lab, 'server.key'), prosody(lab, 'server.crt')];
  const before = readFileSync(key, 'utf8');
  return withChange(
    lab,
    crt,
    () => {
      writeFileSync(key, readFileSync(issued.key, 'utf8'));
      return readFileSync(issued.crt, 'utf8');
    },
    async () => {
      try {
        return await during(authority.certificate);
      } finally {
        writeFileSync(key, before);
      }
    },
  );
}

async function held(kind: 'xmpp' | 'turn', during: () => Promise<Named>): Promise<Named> {
  const pid = await serverPid(kind);
  process.kill(pid, 'SIGSTOP');
  try {
    return await during();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

/** Another client has a relay of coturn. */
async function withRelayTaken(lab: Lab, during: () => Promise<Named>): Promise<Named> {
  const conf = readFileSync(join(lab.server.dir, 'coturn', 'turnserver.conf'), 'utf8');
  const secret = /^static-auth-secret=(.*)$/m.exec(conf)?.[1] ?? '';
  const program = join(import.meta.dirname, '..', 'hold-relay.ts');
  const [address] = SERVER.addresses;
  const holder = spawn('ip', ['netns', 'exec', `${PREFIX}cloud2`, process.execPath, program, address, '3478', secret], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    const said = await new Promise((done) => holder.stdout.once('data', (data: Buffer) => done(data.toString())));
    if (said !== 'held') throw new Error(`another client gets no relay: ${said}`);
    return await during();
  } finally {
    holder.kill('SIGKILL');
  }
}

/** Files of Prosody's store whose names are escaped: `%2e` for a dot. */
const stored = (dir: string, name: string): string => {
  const found = readdirSync(dir).find((file) => decodeURIComponent(file).startsWith(name));
  if (found === undefined) throw new Error(`no ${name} in ${dir}`);
  return join(dir, found);
};

export const SERVER_FAULTS: readonly Fault[] = [
  {
    name: 'wrong TURN secret',
    words: /203\.0\.113\.10:3478/,
    variants: [
      {
        what: 'coturn has another one',
        by: 'netcheck',
        codes: ['turn-secret'],
        run: (lab) =>
          withChange(
            lab,
            join(lab.server.dir, 'coturn', 'turnserver.conf'),
            (text) => text.replace(/^static-auth-secret=.*$/m, 'static-auth-secret=another-secret'),
            () => checked(lab),
          ),
      },
      {
        what: 'the XMPP server has another one',
        by: 'netcheck',
        codes: ['turn-secret'],
        run: (lab) =>
          withChange(
            lab,
            prosody(lab, 'prosody.cfg.lua'),
            (text) => text.replace(/^turn_external_secret = .*$/m, 'turn_external_secret = "another-secret"'),
            () => checked(lab),
          ),
      },
    ],
  },
  {
    name: 'wrong XMPP password',
    words: /203\.0\.113\.10:5223[\s\S]*\.json/,
    variants: [
      {
        what: 'in the node file',
        by: 'netcheck',
        codes: ['xmpp-password'],
        run: async (lab) => {
          const node = await lab.node('home1');
          lab.edit(node, ({ signalling }) => {
            signalling.password = 'not the password';
          });
          return fromNetcheck(await lab.netcheck(node));
        },
      },
      {
        what: 'the server has lost the account',
        by: 'netcheck',
        codes: ['xmpp-password'],
        run: async (lab) => {
          const node = await lab.node('home1');
          const { username } = (JSON.parse(readFileSync(node.config, 'utf8')) as { signalling: { username: string } })
            .signalling;
          rmSync(stored(join(stored(prosody(lab, 'data'), DOMAIN), 'accounts'), username));
          return fromNetcheck(await lab.netcheck(node));
        },
      },
    ],
  },
  {
    name: 'untrusted CA',
    words: /203\.0\.113\.10:5223[\s\S]*signalling\.ca/,
    variants: [
      {
        what: 'the node file names another authority',
        by: 'netcheck',
        codes: ['xmpp-untrusted'],
        run: async (lab) => {
          const place = join(lab.dir, 'ca-other');
          mkdirSync(place, { recursive: true });
          const { certificate } = new TestAuthority(place);
          const node = await lab.node('home1');
          lab.edit(node, ({ signalling }) => {
            signalling.ca = certificate;
          });
          return fromNetcheck(await lab.netcheck(node));
        },
      },
      {
        what: 'the server shows a certificate of another authority',
        by: 'netcheck',
        codes: ['xmpp-untrusted'],
        run: async (lab) => {
          const node = await lab.node('home1');
          return withCertificate(lab, false, async () => fromNetcheck(await lab.netcheck(node)));
        },
      },
    ],
  },
  {
    name: 'expired certificate',
    variants: [
      {
        what: "the server's",
        by: 'netcheck',
        codes: ['xmpp-expired'],
        run: async (lab) => {
          const node = await lab.node('home1');
          return withCertificate(lab, true, async (ca) => {
            lab.edit(node, ({ signalling }) => {
              signalling.ca = ca;
            });
            return fromNetcheck(await lab.netcheck(node));
          });
        },
      },
      {
        what: "the node's own",
        by: 'netcheck',
        codes: ['certificate-expired'],
        early: true,
        run: async (lab) => {
          const node = await lab.node('lte1', ['--valid', '60s']);
          await new Promise((done) => setTimeout(done, 61_500));
          return fromNetcheck(await lab.netcheck(node));
        },
      },
    ],
  },
  {
    name: 'XMPP away',
    words: /203\.0\.113\.10/,
    variants: [
      {
        what: 'nothing listens',
        by: 'netcheck',
        codes: ['xmpp-unreachable'],
        run: async (lab) => {
          const node = await lab.node('home1');
          await lab.stopServer();
          try {
            return fromNetcheck(await lab.netcheck(node));
          } finally {
            await lab.restartServer(() => undefined);
          }
        },
      },
      {
        what: 'the server is silent',
        by: 'netcheck',
        codes: ['xmpp-unreachable'],
        run: async (lab) => {
          const node = await lab.node('home1');
          return held('xmpp', async () => fromNetcheck(await lab.netcheck(node)));
        },
      },
    ],
  },
  {
    name: 'TURN away',
    words: /TURN server 203\.0\.113\.10:3478/,
    variants: [
      {
        what: 'coturn listens at another port',
        by: 'netcheck',
        codes: ['turn-away'],
        run: (lab) =>
          withChange(
            lab,
            join(lab.server.dir, 'coturn', 'turnserver.conf'),
            (text) => text.replace(/^listening-port=.*$/m, 'listening-port=4478'),
            () => checked(lab),
            'does not',
          ),
      },
      {
        what: 'coturn is silent',
        by: 'netcheck',
        codes: ['turn-away'],
        run: (lab) => held('turn', () => checked(lab)),
      },
    ],
  },
  {
    name: 'server throttling',
    words: /203\.0\.113\.10:(5223|3478)/,
    variants: [
      {
        what: 'the XMPP server takes a thousand bytes a second',
        by: 'netcheck',
        codes: ['xmpp-slow'],
        run: (lab) =>
          withChange(
            lab,
            prosody(lab, 'prosody.cfg.lua'),
            (text) => text.replace(/^limits = .*$/m, 'limits = { c2s = { rate = "1kb/s", burst = "1s" } }'),
            () => checked(lab),
          ),
      },
      {
        what: 'the quota of coturn is used up',
        by: 'netcheck',
        codes: ['turn-full'],
        run: (lab) =>
          withChange(
            lab,
            join(lab.server.dir, 'coturn', 'turnserver.conf'),
            (text) => text.replace(/^total-quota=.*$/m, 'total-quota=1'),
            () => withRelayTaken(lab, () => checked(lab)),
          ),
      },
    ],
  },
  {
    name: 'room missing',
    words: /@conference\.evio\.example/,
    variants: [
      {
        what: 'the node file names one that is not there',
        by: 'netcheck',
        codes: ['room-missing'],
        run: async (lab) => {
          const node = await lab.node('home1');
          lab.edit(node, ({ signalling }) => {
            signalling.room = `nowhere@conference.${DOMAIN}`;
          });
          return fromNetcheck(await lab.netcheck(node));
        },
      },
      {
        what: 'the server has lost it',
        by: 'netcheck',
        codes: ['room-missing'],
        run: async (lab) => {
          const node = await lab.node('home1');
          const rooms = stored(prosody(lab, 'data'), `conference.${DOMAIN}`);
          const aside = join(lab.dir, 'rooms');
          await lab.restartServer(() => {
            cpSync(rooms, aside, { recursive: true, preserveTimestamps: true });
            for (const name of readdirSync(rooms)) rmSync(join(rooms, name), { recursive: true });
          });
          try {
            return fromNetcheck(await lab.netcheck(node));
          } finally {
            await lab.restartServer(async () => {
              cpSync(aside, rooms, { recursive: true });
              await run(undefined, 'chown', '-R', '--reference', prosody(lab, 'data'), rooms);
            });
          }
        },
      },
    ],
  },
];
