/** Runs in a process and a network namespace of its own (rtc.integration.ts): a defect of the native library ends only this one. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { candidatesOf } from '../../tunnel/sdp.ts';
import { loadRtc, RTP_HEADER_BYTES, RtcConnection, type RtcHandlers } from '../rtc.ts';

const ice = { stun: [], turn: [] };
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

interface End {
  connection: RtcConnection;
  readonly received: string[];
  readonly closed: string[];
  open: boolean;
}

function end(name: string, usable: (address: string) => boolean, to: () => End | undefined): End {
  const state: Omit<End, 'connection'> = { received: [], closed: [], open: false };
  const handlers: RtcHandlers = {
    description: (type, sdp) => {
      if (candidatesOf(sdp).length > 0) throw new Error('a description with candidates');
      if (type === 'offer') to()?.connection.answer(sdp);
      else to()?.connection.accept(sdp);
    },
    candidate: (candidate) => void to()?.connection.addCandidate(candidate),
    gathered: () => {},
    open: () => {
      state.open = true;
    },
    packet: (packet) => state.received.push(packet.subarray(RTP_HEADER_BYTES).toString('latin1')),
    closed: (reason) => state.closed.push(reason),
  };
  return Object.assign(state, { connection: new RtcConnection(name, { ice, usable }, handlers) });
}

const PRINT = Buffer.alloc(32, 0xab).toString('base64').slice(0, 43);
const facts = (ufrag = 'abcd', password = 'a'.repeat(24), print = PRINT) => `${ufrag} ${password} ${print}`;

const BROKEN: Readonly<Record<string, string>> = {
  empty: '',
  'a whole SDP': 'v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:abcd',
  'a short password': facts('abcd', 'short'),
  'no ufrag': facts(''),
  'no fingerprint': facts('abcd', 'a'.repeat(24), ''),
  'another hash': facts('abcd', 'a'.repeat(24), PRINT.slice(0, 27)),
  'a zero byte': facts('ab\0cd'),
  'a line of its own': facts('abcd\r\na=evil'),
  'a fact more': `${facts()} active`,
  huge: `${facts()}${',1 1 192.0.2.1 9 h'.repeat(5_000)}`,
};

const CANDIDATES = [
  '',
  '1 1',
  '1 1 localhost 9 h',
  '1 1 somewhere.local 9 h',
  '1 1 192.0.2.1 9 host',
  '1 99999999999 192.0.2.1 9 h',
  '1 1 192.0.2.1 0 h',
  '1 1 192.0.2.1 99999 h',
  '1 1 999.0.2.1 9 h',
  '1 1 127.0.0.1 9 h',
  `${'1'.repeat(600)} 1 192.0.2.1 9 h`,
  'candidate:1 1 UDP 1 192.0.2.1 9 typ host',
  '1 1 192.0.2.1 9 h\r\na=ice-ufrag:evil',
];

async function carries(): Promise<object> {
  const usable = (address: string) => !address.startsWith('127.') && !address.startsWith('fe80');
  const a: End = end('a', usable, () => b);
  const b: End = end('b', usable, () => a);
  a.connection.offer();
  for (let i = 0; i < 60 && !(a.open && b.open); i++) await sleep(50);
  const packet = Buffer.alloc(RTP_HEADER_BYTES + 1200, 'x');
  let sent = 0;
  for (let i = 0; i < 500; i++) if (a.connection.send(packet)) sent++;
  const back = Buffer.alloc(RTP_HEADER_BYTES + 5, 'y');
  b.connection.send(back);
  await sleep(300);
  const selected = a.connection.selected();
  a.connection.close();
  a.connection.close();
  await sleep(200);
  return {
    sent,
    received: b.received.length,
    whole: b.received.every((record) => record === 'x'.repeat(1200)),
    back: a.received,
    type: selected?.local.type,
    afterClose: a.connection.send(packet),
    closedByUs: a.closed,
  };
}

/** Each broken description gives one error and the process lives. */
async function survives(): Promise<object> {
  const verdicts: Record<string, number> = {};
  for (const [name, sdp] of Object.entries(BROKEN)) {
    const one = end(
      'x',
      () => true,
      () => undefined,
    );
    one.connection.addCandidate('1 1 192.0.2.1 9 h');
    one.connection.answer(sdp);
    one.connection.answer(sdp);
    await sleep(10);
    verdicts[name] = one.closed.length;
    one.connection.close();
  }
  const offerer = end(
    'y',
    () => true,
    () => undefined,
  );
  offerer.connection.offer();
  offerer.connection.accept('v=0');
  await sleep(10);
  verdicts['a broken answer'] = offerer.closed.length;
  const early = end(
    'z',
    (address) => !address.startsWith('127.'),
    () => undefined,
  );
  const taken = CANDIDATES.filter((candidate) => early.connection.addCandidate(candidate));
  early.connection.accept(facts());
  await sleep(10);
  verdicts['an answer without an offer'] = early.closed.length;
  early.connection.close();
  return { verdicts, taken };
}

/** With a few descriptors left: too few for one more connection, and none for its socket. */
async function starved(left: number): Promise<object> {
  const open = readdirSync('/proc/self/fd').length - 1;
  const { status } = spawnSync('prlimit', [`--pid=${process.pid}`, `--nofile=${open + left}:4096`], {
    stdio: 'ignore',
  });
  let refused = '';
  try {
    const one = end(
      'x',
      () => true,
      () => undefined,
    );
    one.connection.offer();
  } catch (error) {
    refused = String(error);
  }
  await sleep(200);
  return { limited: status === 0, refused };
}

await loadRtc();
const RUNS: Readonly<Record<string, () => Promise<object>>> = {
  carries,
  survives,
  'starved-0': () => starved(0),
  'starved-2': () => starved(2),
};
const result = await (RUNS[process.argv[2] ?? ''] ?? survives)();
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
