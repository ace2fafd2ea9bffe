/**
 * Runs in a pod on every node: answers HTTP with who asked, and asks others on order.
 *
 *   GET /            {"node", "client"}: this pod's node, and the address the request came from
 *   GET /ask?url=U   asks U and gives {"status", "body"} or {"error"}
 *   GET /ask?url=U&nodes=N   asks U until pods of that many nodes have answered, or a request was not answered: {"nodes", "error"}
 *   POST /gather     {"type": udp4|udp6, "to", "waitMs"}: one datagram to all there, by multicast or broadcast; gives the nodes of those that
 *                    answered within that time, this one among them.
 */
import { createSocket } from 'node:dgram';
import { createServer, request } from 'node:http';

const NODE = process.env.NODE_NAME;
const GATHER_PORT = 5_454;
const GROUPS = { udp4: '239.255.45.45', udp6: 'ff15::45:45' };

/** One request over a connection of its own. */
function ask(url, timeoutMs) {
  return new Promise((resolve) => {
    const asked = request(url, { agent: false, timeout: timeoutMs, signal: AbortSignal.timeout(timeoutMs) }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (piece) => {
        body += piece;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, body }));
      answer.on('error', (error) => resolve({ error: error.message }));
    });
    asked.on('error', (error) => resolve({ error: error.message }));
    asked.end();
  });
}

/** Which of several pods answers is chance: with four of them it takes more than this once in 10^24 times. */
const ASKED_MAX = 200;

async function askUntil(url, count) {
  const nodes = new Set();
  for (let asked = 0; nodes.size < count && asked < ASKED_MAX; asked++) {
    const { status, body, error } = await ask(url, 3_000);
    if (status !== 200) return { nodes: [...nodes], error: error ?? `HTTP ${status}` };
    nodes.add(JSON.parse(body).node);
  }
  return { nodes: [...nodes] };
}

for (const [type, group] of Object.entries(GROUPS)) {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  socket.on('message', (_, from) => socket.send(NODE, from.port, from.address));
  socket.bind(GATHER_PORT, () => socket.addMembership(group, type === 'udp6' ? '::%eth0' : undefined));
}

async function gather({ type, to, waitMs }) {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' });
  const nodes = new Set();
  socket.on('message', (message) => nodes.add(message.toString()));
  await new Promise((resolve) => socket.bind(0, resolve));
  if (type === 'udp4') socket.setBroadcast(true);
  socket.setMulticastLoopback(true);
  await new Promise((resolve, reject) =>
    socket.send('who', GATHER_PORT, to, (error) => (error ? reject(error) : resolve())),
  );
  await new Promise((resolve) => setTimeout(resolve, waitMs));
  socket.close();
  return [...nodes].sort();
}

function bodyOf(incoming) {
  return new Promise((resolve, reject) => {
    let text = '';
    incoming.on('data', (piece) => {
      text += piece;
    });
    incoming.on('end', () => resolve(JSON.parse(text)));
    incoming.on('error', reject);
  });
}

createServer(async (incoming, answer) => {
  const url = new URL(incoming.url, 'http://probe');
  const say = (status, value) => {
    const text = `${JSON.stringify(value)}\n`;
    answer.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length, connection: 'close' });
    answer.end(text);
  };
  try {
    const asked = url.searchParams.get('url');
    const nodes = url.searchParams.get('nodes');
    if (url.pathname === '/ask' && nodes !== null) say(200, await askUntil(asked, Number(nodes)));
    else if (url.pathname === '/ask') say(200, await ask(asked, 3_000));
    else if (url.pathname === '/gather') say(200, await gather(await bodyOf(incoming)));
    else say(200, { node: NODE, client: incoming.socket.remoteAddress?.replace(/^::ffff:/, '') });
  } catch (error) {
    say(500, { error: String(error) });
  }
}).listen(8080, '::');

process.on('SIGTERM', () => process.exit(0));
console.log(`probe on ${NODE} listens`);
