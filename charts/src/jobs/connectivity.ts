/**
 * `helm test`: every pod of the test fetches from every other by address, sends a body that takes many packets of full size, and is told
 * from which address it was seen. A pod is done when it has had its answers and all the others have asked it.
 */
import { createServer, request, type Server } from 'node:http';
import type { Api } from './api.ts';
import type { Say, Time } from './network.ts';

/** Above 1024, so that it needs no right. */
export const TEST_PORT = 8080;
/** Much more than fits into one packet of any path. */
const BODY_BYTES = 1_000_000;
const ANSWER_MS = 5_000;
const AGAIN_MS = 500;
/** An answer is on its way when it was written. */
const LINGER_MS = 2_000;

export interface Peer {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

interface PodList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: { readonly podIPs?: readonly { readonly ip: string }[] };
  }[];
}

/** The pods that have an address by now. */
export const peersOf = (list: unknown): readonly Peer[] =>
  ((list as PodList | undefined)?.items ?? []).flatMap(({ metadata, spec, status }) => {
    const addresses = (status.podIPs ?? []).map(({ ip }) => ip);
    return spec.nodeName === undefined || addresses.length === 0
      ? []
      : [{ name: metadata.name, node: spec.nodeName, addresses }];
  });

/** IPv4 as a socket for both families has it. */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');

/** Answers with what it saw: who asked by name, from which address, how many bytes. */
export function answering(asked: (name: string) => void): Server {
  return createServer((incoming, outgoing) => {
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    incoming.on('end', () => {
      const from = plainAddress(incoming.socket.remoteAddress ?? '');
      outgoing.end(JSON.stringify({ from, bytes }), () => asked(String(incoming.headers['x-evio-pod'] ?? '')));
    });
  });
}

/** Undefined when all is well, else what is wrong. */
export function ask(address: string, port: number, name: string, own: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const late = AbortSignal.timeout(ANSWER_MS);
    const fail = (error: Error): void =>
      resolve(late.aborted ? `no answer within ${ANSWER_MS / 1000} s` : error.message);
    const sent = request(
      {
        host: address,
        port,
        method: 'POST',
        agent: false,
        signal: late,
        headers: { 'x-evio-pod': name, 'Content-Length': BODY_BYTES },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('error', fail);
        response.on('end', () => {
          try {
            const { from, bytes } = JSON.parse(text) as { from: string; bytes: number };
            if (bytes !== BODY_BYTES) resolve(`${bytes} of ${BODY_BYTES} bytes arrived`);
            else if (!own.includes(from))
              resolve(`it saw ${from} ask, not ${own.join(' or ')}: the source is translated`);
            else resolve(undefined);
          } catch {
            resolve('the answer makes no sense');
          }
        });
      },
    );
    sent.on('error', fail);
    sent.end(Buffer.alloc(BODY_BYTES));
  });
}

export interface Test {
  readonly namespace: string;
  readonly pod: string;
  /** How many pods there are to be. */
  readonly pods: number;
  readonly timeoutMs: number;
}

export async function testConnectivity(api: Api, test: Test, time: Time, say: Say): Promise<void> {
  const askedBy = new Set<string>();
  const server = answering((name) => askedBy.add(name));
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(TEST_PORT, '::', resolve);
  });
  const until = time.now() + test.timeoutMs;
  const again = async (problem: string): Promise<void> => {
    if (time.now() >= until) throw new Error(problem);
    await time.wait(AGAIN_MS);
  };
  try {
    const { own, others } = await findPeers(api, test, again);
    for (const { name, node, addresses } of others) {
      for (const address of addresses) {
        for (;;) {
          const problem = await ask(address, TEST_PORT, test.pod, own.addresses);
          if (problem === undefined) break;
          await again(`no traffic from ${own.node} to ${address} (${name} on ${node}): ${problem}`);
        }
        say(`${own.node} -> ${node} ${address}: ok`);
      }
    }
    for (const { name, node } of others) while (!askedBy.has(name)) await again(`nothing came from ${name} on ${node}`);
    await time.wait(LINGER_MS);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function findPeers(
  api: Api,
  { namespace, pod, pods }: Test,
  again: (problem: string) => Promise<void>,
): Promise<{ readonly own: Peer; readonly others: readonly Peer[] }> {
  const job = pod.replace(/-\d+-[a-z0-9]+$/, '');
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=batch.kubernetes.io%2Fjob-name%3D${job}`;
  for (;;) {
    const answer = await api({ method: 'GET', path });
    const peers = peersOf(answer.body);
    const own = peers.find(({ name }) => name === pod);
    if (own !== undefined && peers.length >= pods) return { own, others: peers.filter((peer) => peer !== own) };
    const seen =
      answer.message || `${peers.length} of ${pods} pods have an address: are there two nodes they may run on?`;
    await again(`cannot find the other pods: ${seen}`);
  }
}
