/** `evio server init` and `evio server run`. */

import type { Argv } from 'yargs';
import { UsageError } from '../failure.ts';
import { type Io, print } from '../output.ts';
import { DEFAULT_SERVER_DIR, type ServerLayout } from '../server/layout.ts';
import {
  parseDomain,
  parsePeerRanges,
  parsePortRange,
  parseServerAddress,
  type ServerSettings,
  XMPP_NAMES,
  XMPP_TITLES,
} from '../server/settings.ts';
import { type Command, command } from './command.ts';

const DIR = {
  type: 'string',
  default: DEFAULT_SERVER_DIR,
  describe: 'Where the configuration is, or goes',
} as const;

const initOptions = (yargs: Argv) =>
  yargs
    .option('domain', { type: 'string', demandOption: true, describe: 'XMPP domain, also the TURN realm' })
    .option('address', {
      type: 'string',
      array: true,
      nargs: 1,
      demandOption: true,
      describe:
        "The server's address, or PUBLIC/LOCAL behind a one-to-one NAT; give two, and nodes can tell their NAT's type",
    })
    .option('xmpp', {
      choices: XMPP_NAMES,
      describe: 'The XMPP server; once chosen it stays until another is given [default: prosody]',
    })
    .option('dir', DIR)
    .option('foreground', {
      type: 'boolean',
      default: false,
      describe: 'Only write files: evio server run does the rest',
    })
    .option('install', { type: 'boolean', default: false, describe: 'Install missing Debian packages with apt-get' })
    .option('cert', { type: 'string', describe: 'PEM certificate chain for the domain, instead of one made here' })
    .option('key', { type: 'string', describe: "The certificate's private key" })
    .option('tls-port', { type: 'number', default: 5223, describe: 'XMPP with TLS from the first byte' })
    .option('starttls-port', { type: 'number', default: 5222, describe: 'XMPP with STARTTLS' })
    .option('turn-port', { type: 'number', default: 3478, describe: 'STUN and TURN; the next port is used too' })
    .option('relay-ports', { type: 'string', default: '49152-65535', describe: 'UDP ports of TURN allocations' })
    .option('deny-peer', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'More ranges TURN must not send to',
    })
    .option('allow-peer', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [],
      describe: 'Ranges TURN may send to all the same',
    })
    .option('relay-mbit', {
      type: 'number',
      default: 0,
      describe: 'Mbit/s of one TURN allocation each way; 0: no limit',
    })
    .option('node-quota', { type: 'number', default: 128, describe: 'TURN allocations of one node at a time' })
    .option('total-quota', { type: 'number', default: 4000, describe: 'TURN allocations of all nodes at a time' });

const runOptions = (yargs: Argv) =>
  yargs
    .option('dir', DIR)
    .option('from', {
      type: 'string',
      describe:
        'Set the server up first, from a directory with server.json, tls.crt and tls.key, as the operator makes it',
    })
    .option('verbose', { type: 'boolean', default: false, describe: "Show the servers' whole logs" });

function port(option: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 65534) return value;
  throw new UsageError(`--${option}: ${value} is not allowed; allowed: a whole number from 1 to 65534`);
}

function whole(option: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new UsageError(`--${option}: ${value} is not allowed; allowed: a whole number from ${min}`);
}

type InitArgs = ReturnType<typeof initOptions> extends Argv<infer T> ? T : never;

async function init(args: InitArgs, io: Io): Promise<void> {
  const { initServer } = await import('../server/init.ts');
  const { hasSystemd, installUnits, refuseUnseen } = await import('../server/systemd.ts');
  const systemd = !args.foreground && hasSystemd();
  if (systemd) refuseUnseen(args.dir);
  const relay = parsePortRange(args['relay-ports']);
  if ((args.cert === undefined) !== (args.key === undefined))
    throw new UsageError('--cert and --key go together: a certificate and its private key; give both or neither');
  const { layout, settings } = await initServer({
    dir: args.dir,
    xmpp: args.xmpp,
    install: args.install,
    certificate: args.cert,
    key: args.key,
    server: {
      domain: parseDomain(args.domain),
      addresses: args.address.map(parseServerAddress),
      ports: {
        starttls: port('starttls-port', args['starttls-port']),
        tls: port('tls-port', args['tls-port']),
        turn: port('turn-port', args['turn-port']),
        relayMin: relay.min,
        relayMax: relay.max,
      },
      deniedPeers: parsePeerRanges('--deny-peer', args['deny-peer']),
      allowedPeers: parsePeerRanges('--allow-peer', args['allow-peer']),
      relayMbit: whole('relay-mbit', args['relay-mbit'], 0),
      nodeQuota: whole('node-quota', args['node-quota'], 1),
      totalQuota: whole('total-quota', args['total-quota'], 1),
    },
  });
  if (systemd) await installUnits(layout, settings);
  print(io, report(layout, settings, systemd), reportText);
}

function report(layout: ServerLayout, settings: ServerSettings, started: boolean) {
  return {
    dir: layout.dir,
    xmpp: settings.xmpp,
    domain: settings.domain,
    addresses: settings.addresses.map((a) => a.public),
    admin: layout.admin,
    started,
  };
}

function reportText(done: ReturnType<typeof report>): string {
  const next = done.started
    ? `${XMPP_TITLES[done.xmpp]} and coturn run as evio-${done.xmpp}.service and evio-coturn.service`
    : `start both with: evio server run --dir ${done.dir}`;
  const hint =
    done.addresses.length === 1
      ? 'one address: nodes know the class of their NAT once a peer sees them on a direct path; give --address twice if you have two\n'
      : '';
  return `${done.dir}: a server for ${done.domain} at ${done.addresses.join(', ')}\n${hint}${next}\nthen: evio overlay create NAME --server ${done.admin}\n`;
}

export const serverCommands: readonly Command[] = [
  command({
    path: 'server init',
    describe: 'Set up Prosody or ejabberd (XMPP) and coturn (STUN, TURN) on this machine',
    options: initOptions,
    run: init,
  }),
  command({
    path: 'server run',
    describe: 'Run both in the foreground until SIGINT or SIGTERM',
    options: runOptions,
    run: async (args, io) => {
      const { runServer } = await import('../server/run.ts');
      if (args.from !== undefined) {
        const { takeServer } = await import('../server/init.ts');
        await takeServer(args.from, args.dir);
      }
      await runServer(args.dir, args.verbose, (line) => io.out(`${line}\n`));
    },
  }),
];
