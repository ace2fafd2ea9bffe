/** Proves, before anything of Evio runs, that the counters tell data from STUN: with one datagram of each kind. */
import { atCoturn, counted, grown, total } from './counters.ts';
import { byName, SERVER } from './internet.ts';
import { run } from './shell.ts';

const CLIENT_PORT = 3478;
const RELAY_PORT = 50_000;
const COOKIE = '2112a442';
const TRANSACTION = '1112131415161718191a1b1c';

/** Datagrams in hexadecimal, and where to. */
const DATAGRAMS = [
  { name: 'binding request', port: CLIENT_PORT, hex: `00010000${COOKIE}${TRANSACTION}`, data: false },
  { name: 'refresh request', port: CLIENT_PORT, hex: `00040000${COOKIE}${TRANSACTION}`, data: false },
  { name: 'Send indication', port: CLIENT_PORT, hex: `00160000${COOKIE}${TRANSACTION}`, data: true },
  { name: 'Data indication', port: CLIENT_PORT, hex: `00170000${COOKIE}${TRANSACTION}`, data: true },
  { name: 'ChannelData', port: CLIENT_PORT, hex: `4000000c${TRANSACTION}`, data: true },
  { name: "peer's binding request", port: RELAY_PORT, hex: `00010000${COOKIE}${TRANSACTION}`, data: false },
  { name: "peer's record", port: RELAY_PORT, hex: `80600001${TRANSACTION}`, data: true },
] as const;

/** Datagrams that were counted otherwise than they are; their names. */
export async function miscounted(): Promise<readonly string[]> {
  const from = byName('cloud1');
  const wrong: string[] = [];
  for (const { name, port, hex, data } of DATAGRAMS) {
    const [router, coturn] = [await counted('router'), await counted('coturn')];
    // One write of bash to /dev/udp is one datagram; a line feed (0a) in it would make it two.
    const bytes = hex.replace(/../g, '\\x$&');
    await run(from.name, 'bash', '-c', `printf '${bytes}' >/dev/udp/${SERVER.addresses[0]}/${port}`);
    const atRouter = total(grown(router, await counted('router'))).packets;
    const seen = grown(coturn, await counted('coturn'));
    const leg = port === CLIENT_PORT ? 'client' : 'peer';
    const right = atCoturn(seen, { way: 'in', leg, kind: data ? 'data' : 'stun', address: from.outside }).packets;
    if (right !== 1 || atCoturn(seen, { way: 'in' }).packets !== 1 || atRouter !== (data ? 1 : 0)) wrong.push(name);
  }
  return wrong;
}
