/** What can be wrong with TURN, which the XMPP server names: the agent goes on and says it once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { XmppAdmin } from '../../../agent/src/io/xmpp-admin.ts';
import { startProsody } from '../../servers/prosody.ts';
import type { Place, Row } from './row.ts';
import { RAN } from './signalling-rows.ts';
import { ROOM, type World } from './world.ts';

const FALLBACK = 'nodes between which there is no direct path reach each other only by other nodes';
const PORT = 34_780;

/** A node on a Prosody of its own, which names TURN as `extra` has it. */
async function onOwnProsody(place: Place, world: World, extra: string) {
  const prosody = await startProsody({ extra });
  const { service, domain, ca } = prosody;
  const admin = await XmppAdmin.connect({ service, domain, ca, ...prosody.admin });
  await admin.createRoom(ROOM);
  const file = await world.node(place, (value) => {
    Object.assign(value.signalling, { service, ca });
    value.ice = { stun: [], turn: 'xep-0215' };
  });
  const { username, password } = world.valueOf(file).signalling;
  await admin.addUser(username, password);
  await admin.addMember(ROOM, username);
  admin.close();
  return { prosody, file };
}

async function coturn(place: Place, secret: string): Promise<{ end(): Promise<void> }> {
  const child = spawn(
    'turnserver',
    [
      ...['-n', '--no-cli', '--use-auth-secret', `--static-auth-secret=${secret}`, '--realm', 'evio.test'],
      ...['--listening-ip', '127.0.0.1', '--listening-port', String(PORT + place.number), '--relay-ip', '127.0.0.1'],
      ...['--no-tls', '--no-dtls', '--pidfile', place.path('turn.pid'), '--log-file', 'stdout'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = once(child, 'exit');
  let log = '';
  child.stdout.on('data', (data: Buffer) => {
    log += data.toString();
  });
  for (let i = 0; i < 200 && !log.includes('UDP listener opened'); i++) await sleep(25);
  return {
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const turn = (place: Place, secret: string) =>
  `turn_external_secret = "${secret}"\nturn_external_host = "127.0.0.1"\nturn_external_port = ${PORT + place.number}\n`;

export const TURN_ROWS: readonly Row[] = [
  {
    what: 'another TURN secret than the XMPP server has',
    async prepare(place, world) {
      for (const secret of ['the secret of prosody', 'the secret of coturn']) world.secrets.add(secret);
      const { prosody, file } = await onOwnProsody(place, world, turn(place, 'the secret of prosody'));
      const server = await coturn(place, 'the secret of coturn');
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [
          `warn TURN server 127.0.0.1:${PORT + place.number} refuses the credentials that ${prosody.service} gives out (401): do both have the same secret (evio server init)?`,
        ],
        goesOn: { quietMs: 1_000 },
        leaves: RAN,
        undo: () => Promise.all([server.end(), prosody.stop()]).then(() => undefined),
      };
    },
  },
  {
    what: 'the same TURN secret at both: nothing to say',
    async prepare(place, world) {
      const { prosody, file } = await onOwnProsody(place, world, turn(place, 'the secret of both'));
      const server = await coturn(place, 'the secret of both');
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [],
        goesOn: { quietMs: 6_000 },
        leaves: RAN,
        undo: () => Promise.all([server.end(), prosody.stop()]).then(() => undefined),
      };
    },
  },
  {
    what: 'a TURN server that is away',
    async prepare(place, world) {
      const { prosody, file } = await onOwnProsody(place, world, turn(place, 'the secret of prosody'));
      const port = PORT + place.number;
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [
          `warn TURN server 127.0.0.1:${port} does not answer: is it running, and UDP port ${port} open? Until then ${FALLBACK}`,
        ],
        goesOn: { quietMs: 1_000 },
        leaves: RAN,
        undo: () => prosody.stop(),
      };
    },
  },
  {
    what: 'an XMPP server that names no TURN and no STUN',
    async prepare(place, world) {
      const { prosody, file } = await onOwnProsody(
        place,
        world,
        'modules_disabled = { "s2s", "offline", "turn_external" }\n',
      );
      return {
        args: ['agent', 'run', '--config', file],
        code: 0,
        says: [
          `warn ${prosody.service} names no TURN server: ${FALLBACK}`,
          `warn no STUN server is known (of ${prosody.service}, or in ice.stun): direct paths through NATs are not found`,
        ],
        goesOn: { quietMs: 1_000 },
        leaves: RAN,
        undo: () => prosody.stop(),
      };
    },
  },
];
