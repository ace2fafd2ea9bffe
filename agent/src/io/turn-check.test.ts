import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { TurnCheck } from './turn-check.ts';
import type { Outcome } from './udp-ask.ts';

const REFUSED: Outcome = { kind: 'refused', code: 401 };
const WELL: Outcome = { kind: 'well', rttMs: 1 };
const servers = (password: string) => ({
  stun: [],
  turn: [{ host: '192.0.2.1', port: 3478, username: 'u', password }],
});

describe('what TURN servers say to our credentials', () => {
  /** A server that answers by the password, and an XMPP server that has new ones, or is away. */
  const asked = (answer: (password: string) => Outcome, renewed: () => string | undefined) => {
    const said: string[] = [];
    const by: string[] = [];
    const check: TurnCheck = new TurnCheck(
      'xmpps://h:1',
      {
        warn: (text) => said.push(text),
        info: (text) => said.push(text),
        renew: () => {
          const password = renewed();
          if (password !== undefined) void check.check(servers(password));
          return password !== undefined;
        },
      },
      async ({ password }) => {
        by.push(password);
        return answer(password);
      },
      { confirmMs: 5, againMs: 5 },
    );
    const until = async (done: () => boolean) => {
      for (let i = 0; i < 400 && !done(); i++) await sleep(2);
    };
    return { check, said, by, until, outcome: () => check.facts?.[0]?.outcome };
  };

  it('is not told where both servers have just got another secret: new credentials are taken', async () => {
    const { check, said, by, until, outcome } = asked(
      (password) => (password === 'new' ? WELL : REFUSED),
      () => 'new',
    );
    await check.check(servers('old'));
    expect(outcome()).to.equal(undefined);
    await until(() => outcome() !== undefined);
    check.stop();
    expect([outcome(), said, by]).to.deep.equal([WELL, [], ['old', 'new']]);
  });

  it('is told once when new credentials are refused too, and asked by new ones until they are taken', async () => {
    let n = 0;
    const { check, said, by, until, outcome } = asked(
      (password) => (password === '4' ? WELL : REFUSED),
      () => String(++n),
    );
    await check.check(servers('0'));
    await until(() => outcome() !== undefined);
    expect(outcome()).to.deep.equal(REFUSED);
    await until(() => outcome()?.kind === 'well');
    check.stop();
    expect(by).to.deep.equal(['0', '1', '2', '3', '4']);
    expect(said[0]).to.match(/refuses the credentials/);
    expect(said.slice(1)).to.deep.equal(['the TURN servers take our credentials']);
  });

  it('is told by the same ones where the XMPP server is away', async () => {
    const { check, by, until, outcome } = asked(
      () => REFUSED,
      () => undefined,
    );
    await check.check(servers('only'));
    await until(() => outcome() !== undefined);
    check.stop();
    expect([outcome(), by.slice(0, 2)]).to.deep.equal([REFUSED, ['only', 'only']]);
  });
});
