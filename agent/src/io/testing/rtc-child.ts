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

const FINGERPRINT = Array.from({ length: 32 }, () => 'AB').join(':');
const facts = (changes: Record<string, string | undefined> = {}) => {
  const all = {
    'ice-ufrag': 'abcd',
    'ice-pwd': 'a'.repeat(24),
    fingerprint: `sha-256 ${FINGERPRINT}`,
    setup: 'actpass',
  };
  const lines = Object.entries({ ...all, ...changes }).filter(([, value]) => value !== undefined);
  return ['v=0', 'm=video 9 UDP/TLS/RTP/SAVPF 96', ...lines.map(([name, value]) => `a=${name}:${value}`)].join('\r\n');
};

const BROKEN: Readonly<Record<string, string>> = {
  empty: '',
  'not SDP': 'hello',
  'without media': 'v=0\r\na=ice-ufrag:abcd',
  'two media': `${facts()}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0`,
  'a short password': facts({ 'ice-pwd': 'short' }),
  'no ufrag': facts({ 'ice-ufrag': undefined }),
  'no fingerprint': facts({ fingerprint: undefined }),
  'another hash': facts({ fingerprint: 'sha-1 AB' }),
  'a zero byte': facts({ 'ice-ufrag': 'ab\0cd' }),
  'a role of its own': facts({ setup: 'holdconn' }),
  'an answer as an offer': facts({ setup: 'active' }),
  huge: `${facts()}\r\n${'a=x\r\n'.repeat(5_000)}`,
};

const CANDIDATES = [
  '',
  'candidate:',
  'candidate:1 1 UDP 1 localhost 9 typ host',
  'candidate:1 1 UDP 1 somewhere.local 9 typ host',
  'candidate:1 1 TCP 1 192.0.2.1 9 typ host tcptype active',
  'candidate:1 1 UDP 99999999999 192.0.2.1 9 typ host',
  'candidate:1 1 UDP 1 192.0.2.1 0 typ host',
  'candidate:1 1 UDP 1 192.0.2.1 99999 typ host',
  'candidate:1 1 UDP 1 999.0.2.1 9 typ host',
  'candidate:1 1 UDP 1 127.0.0.1 9 typ host',
  `candidate:${'1'.repeat(600)} 1 UDP 1 192.0.2.1 9 typ host`,
  'candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=ice-ufrag:evil',
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
    one.connection.addCandidate('candidate:1 1 UDP 1 192.0.2.1 9 typ host');
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
  early.connection.accept(facts({ setup: 'active' }));
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
