/**
 * Runs in a pod on every node: answers HTTP with who asked, and asks others on order.
 *
 *   GET /            {"node", "client"}: this pod's node, and the address the request came from
 *   GET /ask?url=U   asks U and gives {"status", "body"} or {"error"}
 *   GET /ask?url=U&nodes=N   asks U until pods of that many nodes have answered, or a request was not answered: {"nodes", "error"}
 *   POST /load       {"targets": {NAME: URL}, "perSecond", "seconds"}: that many new connections a second to each target; gives, for each,
 *                    {"sent", "lost", "lostAt": [ms since the start]}. Lost: no answer within a second.
 */
import { createServer, request } from 'node:http';

const NODE = process.env.NODE_NAME;
const LOST_MS = 1_000;

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

async function load({ targets, perSecond, seconds }) {
  const results = {};
  const pending = [];
  const started = performance.now();
  await Promise.all(
    Object.entries(targets).map(async ([name, url], place) => {
      const result = { sent: 0, lost: 0, lostAt: [] };
      results[name] = result;
      // The targets take turns.
      const offset = (place * 1_000) / perSecond / Object.keys(targets).length;
      while (performance.now() - started < seconds * 1_000) {
        const due = started + offset + (result.sent * 1_000) / perSecond;
        const wait = due - performance.now();
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        const at = performance.now() - started;
        result.sent++;
        pending.push(
          ask(url, LOST_MS).then(({ status }) => {
            if (status === 200) return;
            result.lost++;
            if (result.lostAt.length < 100) result.lostAt.push(Math.round(at));
          }),
        );
      }
    }),
  );
  await Promise.all(pending);
  return results;
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
    else if (url.pathname === '/load') say(200, await load(await bodyOf(incoming)));
    else say(200, { node: NODE, client: incoming.socket.remoteAddress?.replace(/^::ffff:/, '') });
  } catch (error) {
    say(500, { error: String(error) });
  }
}).listen(8080, '::');

process.on('SIGTERM', () => process.exit(0));
console.log(`probe on ${NODE} listens`);
