/**
 * Runs in a pod on every node: answers HTTP with who asked, and asks others on order.
 *
 *   GET /            {"node", "client"}: this pod's node, and the address the request came from
 *   GET /ask?url=U   asks U and gives {"status", "body"} or {"error"}
 */
import { createServer, request } from 'node:http';

const NODE = process.env.NODE_NAME;

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

createServer(async (incoming, answer) => {
  const url = new URL(incoming.url, 'http://probe');
  const say = (status, value) => {
    const text = `${JSON.stringify(value)}\n`;
    answer.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length, connection: 'close' });
    answer.end(text);
  };
  try {
    if (url.pathname === '/ask') say(200, await ask(url.searchParams.get('url'), 3_000));
    else say(200, { node: NODE, client: incoming.socket.remoteAddress?.replace(/^::ffff:/, '') });
  } catch (error) {
    say(500, { error: String(error) });
  }
}).listen(8080, '::');

process.on('SIGTERM', () => process.exit(0));
console.log(`probe on ${NODE} listens`);
