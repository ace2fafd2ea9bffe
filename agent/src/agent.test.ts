import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { Agent } from './agent.ts';
import type { AgentAction, AgentEvent } from './agent-types.ts';
import { loadNodeConfig } from './config/load.ts';
import { nodeFileValue, writeNodeFile } from './config/testing/fixture.ts';
import { OwnBoot } from './signal/own-boot.ts';
import { generatePrivateKey, privateKey } from './wire/keys.ts';

/** An agent whose tincan answers nothing, and what it does for an event. */
function agentWith(firewall: object | null | undefined): {
  readonly agent: Agent;
  readonly give: (event: AgentEvent) => readonly AgentAction[];
} {
  const file = writeNodeFile(nodeFileValue());
  const { identity, overlay, topology } = loadNodeConfig(file);
  rmSync(dirname(file), { recursive: true });
  const own = new OwnBoot({
    identity: privateKey('ed25519', identity.seed.reveal()),
    certificate: identity.certificate.bytes,
    nonce: Buffer.alloc(16, 7),
    ephemeral: generatePrivateKey('x25519'),
  });
  const { parameters } = overlay;
  const rest = { lan: false, ovs: false, generation: 1n, random: () => 0.5 };
  const agent = new Agent({ own, parameters, topology, firewall, ...rest });
  let now = 0;
  const give = (event: AgentEvent) => agent.handle(event, ++now);
  give({ kind: 'start', wallSeconds: Date.now() / 1000 });
  return { agent, give };
}

const ordered = (actions: readonly AgentAction[]) =>
  actions.flatMap((action) => (action.kind === 'tincan' && action.method === 'firewall' ? [action.params] : []));
const said = (actions: readonly AgentAction[]) =>
  actions.flatMap((action) => (action.kind === 'log' ? [`${action.level}: ${action.message}`] : []));

describe('an agent with pods behind its node', () => {
  const ready = (bootId: string): AgentEvent => ({ kind: 'tincan-ready', bootId, tunnels: [] });
  const problems = (...texts: readonly string[]): AgentEvent => ({
    kind: 'tincan-event',
    name: 'problems',
    data: { problems: texts.map((text) => ({ kind: 'address-conflict', text })) },
  });

  it('orders the firewall from every tincan, or that there is none, or nothing at all', () => {
    const order = { podCIDRs: ['10.244.3.0/24'], overlayCIDRs: [], hostInterfacePrefix: 'evc' };
    for (const [firewall, expected] of [
      [order, [order]],
      [null, [null]],
      [undefined, []],
    ] as const) {
      const { give } = agentWith(firewall);
      expect(ordered(give(ready('01')))).to.deep.equal(expected);
      give({ kind: 'tincan-away' });
      expect(ordered(give(ready('02')))).to.deep.equal(expected);
    }
  });

  it('says each problem of the network once, shows those that last, and says when all is well', () => {
    const { agent, give } = agentWith(undefined);
    give(ready('01'));
    expect(said(give(problems('one route meets another')))).to.deep.equal(['warn: one route meets another']);
    expect(said(give(problems('one route meets another')))).to.deep.equal([]);
    expect(agent.problems).to.deep.equal([{ kind: 'address-conflict', text: 'one route meets another' }]);
    expect(said(give(problems()))).to.deep.equal(['info: prefixes behind nodes: all is well again']);
    expect(agent.problems).to.deep.equal([]);
    give(problems('again'));
    give({ kind: 'tincan-away' });
    expect(agent.problems).to.deep.equal([]);
  });
});
