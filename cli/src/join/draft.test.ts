import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { XmppError } from '../../../agent/src/io/xmpp-error.ts';
import { rawPrivateKey } from '../../../agent/src/wire/keys.ts';
import { Failure, UsageError } from '../failure.ts';
import { UnclearError } from './ask.ts';
import { Draft, RefusedError } from './draft.ts';

const SPENT = new Failure('the server does not take the token any more');
const AWAY = new XmppError('server-away', 'cannot reach it');

describe('the keys of a machine that joins', () => {
  let dir: string;
  let path: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'evio-draft-'));
    path = join(dir, 'node.json.join');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const keysOf = (draft: Draft, token = 't', name = 'n'): string => {
    const { identity, session } = draft.keysFor(token, name);
    return Buffer.concat([rawPrivateKey(identity), rawPrivateKey(session)]).toString('hex');
  };

  it('are the same for the same token and name, and others for another, in a file for its owner alone', () => {
    const first = keysOf(new Draft(path));
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    expect(keysOf(new Draft(path))).to.equal(first);
    expect(keysOf(new Draft(path), 'other')).not.to.equal(first);
    expect(keysOf(new Draft(path))).not.to.equal(first);
  });

  it('go when nobody has heard of them', () => {
    for (const error of [SPENT, AWAY]) {
      const draft = new Draft(path);
      keysOf(draft);
      draft.failed(error);
      expect(existsSync(path)).to.equal(false);
    }
  });

  it('stay when the authority may have counted them: the server is away, or ends the account of the token, before the answer', () => {
    const draft = new Draft(path);
    const keys = keysOf(draft);
    draft.heard();
    draft.failed(AWAY);
    expect(keysOf(new Draft(path))).to.equal(keys);
    for (const error of [SPENT, AWAY, new UnclearError('no answer')]) {
      const again = new Draft(path);
      expect(keysOf(again)).to.equal(keys);
      again.failed(error);
      expect(existsSync(path), error.message).to.equal(true);
    }
  });

  it('go when the authority refuses them', () => {
    for (const error of [new RefusedError('the token was used already'), new UsageError('another address')]) {
      const draft = new Draft(path);
      keysOf(draft);
      draft.heard();
      draft.failed(error);
      expect(existsSync(path)).to.equal(false);
    }
  });
});
