/** A network between two nodes that carries too little: small packets pass, so that everything seems well, and large ones do not. */
import { expect } from 'chai';
import type { Peer } from '../../agent/src/api.ts';
import { inside, Lan, type TermNode, until } from './terminal/lan.ts';

describe('a network whose packets are smaller than a record', function () {
  this.timeout(60_000);
  let lan: Lan;
  before(async () => {
    lan = await Lan.make();
  });
  afterEach(async () => {
    await lan.clear(lan.a);
    await lan.clear(lan.b);
  });
  after(() => lan?.remove());

  const mtu = (node: TermNode, bytes: number) => inside(node.ns, 'ip', 'link', 'set', 'eth0', 'mtu', String(bytes));
  const pathOf = async (node: TermNode): Promise<string | undefined> => {
    const done = await lan.command(node, 'peers', '--run-dir', node.runDir, '-o', 'json');
    return (JSON.parse(done.stdout) as { peers: readonly Peer[] }).peers[0]?.path;
  };
  const LINE =
    /warn the way to b \(192\.168\.7\.2:\d+\) carries no packets of 1228 bytes and is not used: raise the MTU/g;

  it('is named in one line, and not used', async () => {
    // The far end's link: here every packet still leaves, and the large ones arrive nowhere.
    await mtu(lan.b, 1_000);
    lan.start(lan.a);
    lan.start(lan.b);
    await until('a says so', 20_000, async () => lan.logOf(lan.a).match(LINE) ?? undefined);
    expect(await pathOf(lan.a)).not.to.equal('direct');
    await mtu(lan.b, 1_500);
  });

  it('is known at once when it is this node’s own', async () => {
    const said = lan.logOf(lan.a).match(LINE)?.length ?? 0;
    await mtu(lan.a, 1_000);
    lan.start(lan.a);
    lan.start(lan.b);
    await until('a says so', 10_000, async () => (lan.logOf(lan.a).match(LINE) ?? [])[said]);
    await mtu(lan.a, 1_500);
  });
});
