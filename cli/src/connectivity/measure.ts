/** The pod that measures, one other node after the other: what it is sent in a time, and round trips. */
import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { type Measured, quantile } from './measured.ts';
import { familyOf, type Order, PORT } from './order.ts';

const ROUND_TRIPS = 100;
const ROUND_TRIP_MS = 1_000;
/** A node that gives no answer is not worth a hundred seconds. */
const LOST_IN_A_ROW = 5;
const DATAGRAM_BYTES = 64;
/** TCP's start is left out. */
const WARM_UP_S = 0.5;

/** `told`: after each. */
export async function measureAll(
  order: Order,
  node: string,
  seconds: number,
  told: (one: Measured) => void,
  port = PORT,
): Promise<readonly Measured[]> {
  const all: Measured[] = [];
  for (const target of order.targets.filter((one) => one.node !== node)) {
    const [host] = target.pod;
    if (host === undefined) continue;
    const trips = await roundTrips(host, port);
    const flow = trips.ms.length === 0 ? { why: 'no datagram came back' } : await received(host, port, seconds);
    const [rttMedianMs, rttP99Ms] = [quantile(trips.ms, 0.5), quantile(trips.ms, 0.99)];
    const one: Measured = {
      from: target.node,
      to: node,
      ...flow,
      ...(rttMedianMs === undefined || rttP99Ms === undefined ? {} : { rttMedianMs, rttP99Ms }),
      lost: trips.lost,
    };
    all.push(one);
    told(one);
  }
  return all;
}

async function roundTrips(
  host: string,
  port: number,
): Promise<{ readonly ms: readonly number[]; readonly lost: number }> {
  const socket = createSocket(familyOf(host) === 4 ? 'udp4' : 'udp6');
  // A lost one is told by its time; what the system says of one is said of the next.
  socket.on('error', () => undefined);
  const ms: number[] = [];
  let [lost, inARow] = [0, 0];
  try {
    await new Promise<void>((done) => socket.connect(port, host, () => done()));
    for (let number = 0; number < ROUND_TRIPS && inARow < LOST_IN_A_ROW; number++) {
      const data = Buffer.alloc(DATAGRAM_BYTES);
      data.writeUInt32BE(number);
      const began = performance.now();
      const came = await new Promise<boolean>((done) => {
        const end = (result: boolean): void => {
          clearTimeout(timer);
          socket.off('message', take);
          done(result);
        };
        const take = (back: Buffer): void => {
          // One that came too late answers an earlier one.
          if (back.equals(data)) end(true);
        };
        const timer = setTimeout(() => end(false), ROUND_TRIP_MS);
        socket.on('message', take);
        socket.send(data, () => undefined);
      });
      if (came) ms.push(performance.now() - began);
      else lost++;
      inARow = came ? 0 : inARow + 1;
    }
  } finally {
    socket.close();
  }
  return { ms, lost };
}

function received(host: string, port: number, seconds: number): Promise<{ mbitPerSecond: number } | { why: string }> {
  return new Promise((resolve) => {
    const whole = seconds + WARM_UP_S;
    const asked = request({ host, port, path: `/stream?seconds=${whole}`, agent: false });
    const timer = setTimeout(() => asked.destroy(new Error('the flow did not end')), whole * 1000 + 10_000);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      resolve({ why: error.message });
    };
    asked.on('error', fail);
    asked.on('response', (response) => {
      const from = performance.now() + WARM_UP_S * 1000;
      let [bytes, last] = [0, from];
      response.on('data', (part: Buffer) => {
        const now = performance.now();
        if (now < from) return;
        [bytes, last] = [bytes + part.length, now];
      });
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(timer);
        if (last <= from) resolve({ why: 'nothing came' });
        else resolve({ mbitPerSecond: (bytes * 8) / (last - from) / 1000 });
      });
    });
    asked.end();
  });
}
