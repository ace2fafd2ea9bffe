import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import xml, { type Element } from '@xmpp/xml';
import { expect } from 'chai';
import { loadNodeConfig } from './config/load.ts';
import type { NodeConfig } from './config/node-config.ts';
import { nodeFileValue, writeNodeFile } from './config/testing/fixture.ts';
import type { Log } from './io/log.ts';
import { XmppError } from './io/xmpp-error.ts';
import { NS_JOIN } from './join/address.ts';
import type { Node } from './node.ts';
import { Renewer } from './renewer.ts';
import { type JoinedAccount, openRequest, type RenewedBody, sealAnswer } from './wire/join-message.ts';
import { generatePrivateKey } from './wire/keys.ts';
import { fromBase64 } from './wire/reader.ts';

describe('a node that is told of another place of its XMPP server', () => {
  const authority = generatePrivateKey('ed25519');
  const value = nodeFileValue({ authority });
  const account: JoinedAccount = { ...value.signalling, service: 'xmpps://192.0.2.9:5223', stun: [] };
  let path: string;
  let lines: string[];
  let exchanged: NodeConfig[];

  beforeEach(() => {
    path = writeNodeFile(value);
    lines = [];
    exchanged = [];
  });
  afterEach(() => rmSync(dirname(path), { recursive: true }));

  /** Asked once, and what came of it. */
  async function told(answer: Omit<RenewedBody, 'type'>, tries: (account: JoinedAccount) => Promise<void>) {
    const asked = async (question: Element): Promise<Element> => {
      const request = openRequest(fromBase64(question.text()), authority);
      const sealed = sealAnswer({ type: 'renewed', ...answer }, request, authority);
      return xml('iq', {}, xml('evio', { xmlns: NS_JOIN }, sealed.toString('base64')));
    };
    const node = { revocations: null, askAuthority: asked } as unknown as Node;
    const note = (line: string): void => void lines.push(line);
    const log = { info: note, warn: note } as unknown as Log;
    const exchange = async (config: NodeConfig): Promise<void> => void exchanged.push(config);
    // At once, and then not for long.
    const draws = [0];
    const renewer = new Renewer({ node, exchange }, log, { random: () => draws.pop() ?? 0.9, tries });
    renewer.start(loadNodeConfig(path));
    for (let n = 0; n < 100 && lines.length === 0; n++) await sleep(5);
    renewer.stop();
  }
  const serviceIn = (): string => loadNodeConfig(path).signalling.service.url;

  it('goes there once it has logged in there, and its file says so', async () => {
    const tried: string[] = [];
    await told({ account }, async ({ service }) => void tried.push(service));
    expect(tried).to.deep.equal([account.service]);
    expect(exchanged.map(({ signalling }) => signalling.service.url)).to.deep.equal([account.service]);
    expect(serviceIn()).to.equal(account.service);
    expect(lines).to.deep.equal([`the XMPP server is at ${account.service} now, as the authority says`]);
  });

  it('stays where it is when it cannot use that place, and says so', async () => {
    await told({ account }, () => Promise.reject(new XmppError('server-away', 'nothing answers there')));
    expect(exchanged).to.deep.equal([]);
    expect(serviceIn()).to.equal(value.signalling.service);
    expect(lines).to.deep.equal([
      `the authority says that the XMPP server is at ${account.service} now, which this node cannot use (nothing answers there): it stays with ${value.signalling.service}`,
    ]);
  });
});
