/** The servers that were named, or that a node file names: with its account all is looked at that `evio netcheck` looks at. */
import type { NodeConfig } from '../../../agent/src/config/node-config.ts';
import { type Check, fail, pass, uncertain } from './check.ts';
import { udpCheck, type XmppAt, xmppCheck } from './servers.ts';

export interface Named {
  readonly xmpp: XmppAt | undefined;
  /** `HOST:PORT`. */
  readonly stun: readonly string[];
  readonly turn: readonly string[];
}

export async function serverChecks(
  { xmpp, stun, turn }: Named,
  config: NodeConfig | undefined,
  tell: (text: string) => void,
): Promise<readonly Check[]> {
  if (config === undefined && xmpp === undefined && stun.length + turn.length === 0)
    return [
      uncertain(
        'servers',
        'no server was named, so none was looked for',
        'name those that nodes will use: --xmpp, --stun, --turn, or --config FILE',
      ),
    ];
  tell('looking for the servers');
  const named = await Promise.all([
    ...(xmpp === undefined ? [] : [xmppCheck(xmpp)]),
    ...stun.map((at) => udpCheck('stun', at)),
    ...turn.map((at) => udpCheck('turn', at)),
  ]);
  return [...named.flat(), ...(config === undefined ? [] : await accountChecks(config, tell))];
}

async function accountChecks(config: NodeConfig, tell: (text: string) => void): Promise<readonly Check[]> {
  const { netcheck } = await import('../netcheck/check.ts');
  const { xmpp, udp, findings } = await netcheck(config, { lifetimeS: undefined, wallMs: Date.now(), tell });
  return [
    ...findings.map(({ code, severity, text, fix }) =>
      severity === 'error' ? fail(code, text, fix) : uncertain(code, text, fix),
    ),
    ...(xmpp.failure === null ? [pass('xmpp', `${xmpp.service} takes the node's account`)] : []),
    ...(udp === true ? [pass('udp', 'UDP passes to a server and back')] : []),
  ];
}
