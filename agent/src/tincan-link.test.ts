import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { loadNodeConfig } from './config/load.ts';
import type { NodeConfig } from './config/node-config.ts';
import { nodeFileValue, writeNodeFile } from './config/testing/fixture.ts';
import { type Control, ControlError } from './io/control.ts';
import { bringUp, UnableError, UnusableTincanError } from './tincan-link.ts';
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
