/**
 * Proves, with plain sockets and before anything of Evio runs, that the NATs behave as the demo names them.
 *
 * One UDP socket behind each NAT asks both server addresses how it is seen (RFC 4787 §4.1, mapping), then the server sends
 * to the mapped port from a port nobody asked (RFC 4787 §5, filtering).
 */
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { type DemoNode, NODES, SERVER } from './internet.ts';
import { attempt, collect, sleep, until } from './shell.ts';

const PORT = 7777;
const UNASKED_PORT = 7778;
const SELF = fileURLToPath(import.meta.url);

export interface NatSeen {
  readonly port: number;
  readonly mapped: readonly { readonly address: string; readonly port: number }[];
  readonly unsolicited: boolean;
}

/** What is wrong with a NAT, in a sentence, or undefined. */
export function misbehaves(node: DemoNode, seen: NatSeen): string | undefined {
  const [first, second] = seen.mapped;
  if (first === undefined || second === undefined) return `${node.name} got no answer from both server addresses`;
  if (first.address !== node.outside || second.address !== node.outside) {
    return `${node.name} is seen as ${first.address} and ${second.address}, not as ${node.outside}`;
  }
  if (node.attachment === 'public')
    return seen.unsolicited ? undefined : `${node.name} should be reachable unasked and is not`;
  if (seen.unsolicited) return `the NAT of ${node.name} let an unsolicited packet through`;
  const preserved = first.port === seen.port && second.port === seen.port;
  if (node.attachment === 'port-preserving')
    return preserved
      ? undefined
      : `the NAT of ${node.name} changed port ${seen.port} to ${first.port} and ${second.port}`;
  return first.port !== second.port && first.port !== seen.port
    ? undefined
    : `the NAT of ${node.name} should draw a random port per destination: ${seen.port} became ${first.port} and ${second.port}`;
}

/** All nodes at once; throws with every misbehaviour found. */
export async function checkNats(
  nodes: readonly DemoNode[] = NODES,
): Promise<readonly { readonly node: DemoNode; readonly seen: NatSeen }[]> {
  const server = collect('server', process.execPath, SELF, 'server');
  try {
    // On a busy machine a process needs seconds to begin.
    await until('the server of the NAT check listens', 20_000, async () =>
      (await attempt('server', ['ss', '-Hlun', 'sport', '=', `:${PORT}`])).stdout.includes(
        `${SERVER.addresses[1]}:${PORT}`,
      ),
    );
    const found = await Promise.all(
      nodes.map(async (node) => {
        const done = await attempt(node.name, [process.execPath, SELF, 'client'], 30_000);
        if (done.code !== 0) throw new Error(`NAT check on ${node.name}: ${done.stderr.trim()}`);
        return { node, seen: JSON.parse(done.stdout) as NatSeen };
      }),
    );
    const faults = found.map(({ node, seen }) => misbehaves(node, seen)).filter((fault) => fault !== undefined);
    if (faults.length > 0) throw new Error(`the NATs are not as named: ${faults.join('; ')}`);
    return found;
  } finally {
    server.child.kill('SIGTERM');
    await server.output;
  }
}

/** Answers with the source it saw; "knock" makes it send from the other port as well. */
function serve(): void {
  const stray = createSocket('udp4');
  stray.bind(UNASKED_PORT, SERVER.addresses[1]);
  for (const address of SERVER.addresses) {
    const socket = createSocket('udp4');
    socket.on('message', (message, from) => {
      socket.send(JSON.stringify({ address: from.address, port: from.port }), from.port, from.address);
      if (message.toString() === 'knock') stray.send('unsolicited', from.port, from.address);
    });
    socket.bind(PORT, address);
  }
}

async function ask(): Promise<void> {
  const socket = createSocket('udp4');
  const mapped: { address: string; port: number }[] = [];
  let unsolicited = false;
  socket.on('message', (message, from) => {
    if (from.port === UNASKED_PORT) unsolicited = true;
    else if (
      !mapped.some((_, index) => index === SERVER.addresses.indexOf(from.address as (typeof SERVER.addresses)[number]))
    ) {
      mapped[SERVER.addresses.indexOf(from.address as (typeof SERVER.addresses)[number])] = JSON.parse(
        message.toString(),
      );
    }
  });
  await new Promise<void>((resolve) => socket.bind(0, resolve));
  const { port } = socket.address();
  for (let attempts = 0; attempts < 5 && mapped.filter(Boolean).length < 2; attempts++) {
    for (const address of SERVER.addresses) socket.send('knock', PORT, address);
    await sleep(300);
  }
  await sleep(300);
  process.stdout.write(JSON.stringify({ port, mapped, unsolicited }));
  socket.close();
}

if (process.argv[1] === SELF) {
  if (process.argv[2] === 'server') serve();
  else await ask();
}
