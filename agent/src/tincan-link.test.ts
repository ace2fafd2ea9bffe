import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { loadNodeConfig } from './config/load.ts';
import type { NodeConfig } from './config/node-config.ts';
import { nodeFileValue, writeNodeFile } from './config/testing/fixture.ts';
import { type Control, ControlError } from './io/control.ts';
import { bringUp, configuration, firewallOrder, UnableError, UnusableTincanError } from './tincan-link.ts';
import { VERSION } from './version.ts';

/** A tincan of that version that refuses what it is configured with. */
function refusing(version: string): Control {
  const request = async (method: string): Promise<unknown> => {
    if (method === 'hello') return { version, pid: 7, bootId: '00', uptimeMs: 1, configured: null };
    throw new ControlError('bad-request', `${method}: unknown key "newer"`);
  };
  return { request } as unknown as Control;
}

const nothing = async (): Promise<void> => {};
const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a tincan that refuses its configuration', () => {
  let config: NodeConfig;
  before(() => {
    const file = writeNodeFile(nodeFileValue());
    config = loadNodeConfig(file);
    rmSync(dirname(file), { recursive: true });
  });

  it('is exchanged when it is of another version and ran before this agent', async () => {
    const error = await failure(bringUp(refusing('0.0.9'), config, [], false, nothing));
    expect(error).to.be.instanceOf(UnusableTincanError);
    expect((error as Error).message).to.equal(
      `tincan 0.0.9 does not understand agent ${VERSION} (unknown key "newer"); it is exchanged`,
    );
  });

  it('is kept when this agent has just started it, or is of this version: another would be no better', async () => {
    for (const work of [
      bringUp(refusing('0.0.9'), config, [], true, nothing),
      bringUp(refusing(VERSION), config, [], false, nothing),
    ])
      expect(await failure(work)).to.be.instanceOf(UnableError);
  });
});

describe('what tincan is configured with', () => {
  const configured = (network: object | undefined) => {
    const file = writeNodeFile({ ...nodeFileValue(), ...(network === undefined ? {} : { network }) });
    try {
      return configuration(loadNodeConfig(file), ['192.0.2.1:3478']);
    } finally {
      rmSync(dirname(file), { recursive: true });
    }
  };

  it('names the interfaces that the node file excludes', () => {
    const { excludeInterfaces, bridge, stun } = configured({ excludeInterfaces: ['docker0', 'flannel.1'] });
    expect(excludeInterfaces).to.deep.equal(['docker0', 'flannel.1']);
    expect({ bridge, stun }).to.deep.equal({ bridge: { name: 'evio0', tap: 'evio0-tap' }, stun: ['192.0.2.1:3478'] });
  });

  it('names the routes that the node file excludes', () => {
    const { excludeRoutes } = configured({ excludeRoutes: ['10.96.0.0/12', 'fd00:96::/112'] });
    expect(excludeRoutes).to.deep.equal(['10.96.0.0/12', 'fd00:96::/112']);
  });

  it('does not speak of them where there are none, so that an older tincan understands it', () => {
    for (const network of [undefined, {}, { excludeInterfaces: [], excludeRoutes: [] }])
      expect(configured(network)).not.to.have.any.keys('excludeInterfaces', 'excludeRoutes');
  });
});

describe('the firewall a node has tincan keep', () => {
  const orderOf = (routes: readonly string[], pods?: object) => {
    const file = writeNodeFile({ ...nodeFileValue({ routes }), ...(pods === undefined ? {} : { pods }) });
    try {
      return firewallOrder(loadNodeConfig(file));
    } finally {
      rmSync(dirname(file), { recursive: true });
    }
  };

  it('is for the prefixes of its certificate, with the overlay inside', () => {
    expect(orderOf(['10.244.3.0/24', 'fd00:244:0:3::/64'], {})).to.deep.equal({
      podCIDRs: ['10.244.3.0/24', 'fd00:244:0:3::/64'],
      overlayCIDRs: ['10.45.0.0/16'],
      hostInterfacePrefix: 'evc',
    });
    const pods = { overlayCIDRs: ['10.244.0.0/16', '10.45.0.0/16'], hostInterfacePrefix: 'pod-' };
    expect(orderOf(['10.244.3.0/24'], pods)).to.deep.equal({
      podCIDRs: ['10.244.3.0/24'],
      overlayCIDRs: ['10.45.0.0/16', '10.244.0.0/16'],
      hostInterfacePrefix: 'pod-',
    });
  });

  it('leaves out what the node carries of Services', () => {
    const file = writeNodeFile({
      ...nodeFileValue({ routes: ['10.244.3.0/24', '10.96.0.0/12'] }),
      ...{ pods: {}, network: { excludeRoutes: ['10.96.0.0/12'] } },
    });
    try {
      expect(firewallOrder(loadNodeConfig(file))?.podCIDRs).to.deep.equal(['10.244.3.0/24']);
    } finally {
      rmSync(dirname(file), { recursive: true });
    }
  });

  it('is none without pods: one of an earlier node file goes, and a node without prefixes asks for nothing', () => {
    expect(orderOf(['10.244.3.0/24'])).to.equal(null);
    expect(orderOf([])).to.equal(undefined);
  });
});
