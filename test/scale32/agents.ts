/** All agents, asked by their own sockets: a process of `evio` for each question would take the processors from what is measured. */
import type { Peer, PingResult } from '../../agent/src/api.ts';
import { AgentClient } from '../../cli/src/agent-client.ts';
import type { Joined } from '../demo/overlay.ts';

const ASK_MS = 5_000;

export class Agents {
  readonly #clients = new Map<string, AgentClient>();

  /** Undefined when the agent does not answer (yet). */
  async ask<T>(node: Joined, method: string, params: object = {}, timeoutMs = ASK_MS): Promise<T | undefined> {
    try {
      const client = this.#clients.get(node.name) ?? (await AgentClient.open(node.runDir));
      this.#clients.set(node.name, client);
      return await client.request<T>(method, params, timeoutMs);
    } catch {
      this.#clients.get(node.name)?.close();
      this.#clients.delete(node.name);
      return undefined;
    }
  }

  async peers(node: Joined): Promise<readonly Peer[]> {
    return (await this.ask<{ peers: Peer[] }>(node, 'peers'))?.peers ?? [];
  }

  /** Of all nodes, by node id. */
  async everyPeers(nodes: readonly Joined[]): Promise<ReadonlyMap<string, readonly Peer[]>> {
    return new Map(await Promise.all(nodes.map(async (node) => [node.id, await this.peers(node)] as const)));
  }

  ping(from: Joined, to: Joined): Promise<PingResult | undefined> {
    return this.ask<PingResult>(from, 'ping', { to: to.id, timeoutMs: 3_000 });
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
