/**
 * Makes and ends WebRTC connections by a relay as fast as it can, several at a time, and tells twice a second how many: the native
 * library has threads, and a thread that waits for another one for ever shows as silence (test/contract/rtc-relay.test.ts).
 *
 *     node rtc-churn-child.ts TURN-ADDRESS OFFERER-RELAY(yes|no)
 */
import { writeSync } from 'node:fs';
import { type IceServers, loadRtc, RTP_HEADER_BYTES, RtcConnection, type RtcHandlers } from '../rtc.ts';

const LANES = 8;
const [server = '', offererRelay = 'no'] = process.argv.slice(2);
const turn = [{ host: server, port: 3478, username: 'u', password: 'p' }];
const relayed: IceServers = { stun: [], turn };
const bare: IceServers = { stun: [], turn: [] };
const usable = (address: string) => !address.startsWith('127.') && !address.startsWith('fe80');
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

interface End {
  connection: RtcConnection;
  open: boolean;
}

function end(name: string, ice: IceServers, to: () => RtcConnection): End {
  const state = { open: false };
  const handlers: RtcHandlers = {
    description: (type, sdp) => {
      if (type === 'offer') return to().answer(sdp);
      to().accept(sdp);
      own().proceed();
    },
    candidate: (candidate) => void to().addCandidate(candidate),
    gathered: () => {},
    open: () => {
      state.open = true;
    },
    packet: () => {},
    closed: () => {},
  };
  const whole: End = Object.assign(state, { connection: new RtcConnection(name, { ice, usable }, handlers) });
  const own = () => whole.connection;
  return whole;
}

let made = 0;
let opened = 0;

async function lane(): Promise<never> {
  const packet = Buffer.alloc(RTP_HEADER_BYTES + 1200, 'x');
  for (;;) {
    const a: End = end('a', offererRelay === 'yes' ? relayed : bare, () => b.connection);
    const b: End = end('b', relayed, () => a.connection);
    a.connection.offer();
    // Some end while they are being made, most soon after they opened.
    const until = performance.now() + (Math.random() < 0.2 ? Math.random() * 300 : 2_000);
    let talk = 5;
    while (performance.now() < until && talk > 0) {
      await sleep(10);
      if (!a.open || !b.open) continue;
      talk--;
      for (let i = 0; i < 8; i++) {
        a.connection.send(packet);
        b.connection.send(packet);
      }
    }
    if (a.open && b.open) opened++;
    a.connection.close();
    b.connection.close();
    made++;
  }
}

await loadRtc();
setInterval(() => writeSync(1, `${made} ${opened}\n`), 500);
for (let i = 0; i < LANES; i++) void lane();
