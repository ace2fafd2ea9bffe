/** Takes a relay of a TURN server and keeps it until it is ended: `node hold-relay.ts HOST PORT SECRET`. Says "held" then. */
import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { TurnQuestion } from '../../agent/src/signal/turn.ts';

const AGAIN_MS = 500;

const [host = '', port = '', secret = ''] = process.argv.slice(2);
// As the XMPP server makes them of the shared secret (draft-uberti-behave-turn-rest).
const username = `${Math.floor(Date.now() / 1000) + 3_600}:holder`;
const password = createHmac('sha1', secret).update(username).digest('base64');
const question = new TurnQuestion({ username, password }, randomBytes);
const socket = createSocket('udp4');
let last = question.start();
const send = (): void => socket.send(last, Number(port), host);
const timer = setInterval(send, AGAIN_MS);
socket.on('message', (datagram) => {
  const { send: next, answer } = question.receive(datagram);
  if (answer !== undefined) {
    clearInterval(timer);
    process.stdout.write(answer.kind === 'taken' ? 'held' : JSON.stringify(answer));
  } else if (next !== undefined) {
    last = next;
    send();
  }
});
send();
