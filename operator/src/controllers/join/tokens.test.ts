import { expect } from 'chai';
import { OVERLAY_KEY, TOKENS_CONFIG_MAP, tokenSecretName } from '../../../../agent/src/join/cluster-token.ts';
import { due, withClaim, withEnding, withSerial } from '../../../../agent/src/join/tokens.ts';
import { tokenAccountName, tokenId } from '../../../../agent/src/wire/join-token.ts';
import { authorityData } from '../../desired/authority.ts';
import { JoinWorld, NOW, PLACE } from './testing.ts';
import { TokenKeeper } from './tokens.ts';

const secretOf = (n: number): Buffer => Buffer.alloc(16, n);
const accountOf = (n: number): string => tokenAccountName(tokenId(secretOf(n)));

describe('the keeper of a cluster\u2019s tokens', () => {
  let of: JoinWorld;
  let keeper: TokenKeeper;
  beforeEach(() => {
    of = new JoinWorld();
    keeper = new TokenKeeper(of.world);
  });
  const keep = (now = NOW): Promise<string> =>
    keeper.keep(PLACE, now).then(
      () => 'done',
      (error: Error) => error.message,
    );
  const standing = (n: number) => JSON.parse(of.published[tokenId(secretOf(n))] ?? 'null');

  it('makes the account of a token, and says so; the overlay is told by nothing that a Secret is called', async () => {
    of.offer(secretOf(1));
    of.addSecret('evio-token-overlay', {});
    expect(await keep()).to.equal('done');
    expect([...of.users]).to.deep.equal([accountOf(1)]);
    expect(standing(1)).to.deep.include({ state: 'ready', left: 1 });
    expect(JSON.parse(of.published[OVERLAY_KEY] ?? '')).to.deep.include({ domain: PLACE.domain });
    expect(of.applied).to.equal(TOKENS_CONFIG_MAP);
  });

  it('makes it again at a server that has lost its data', async () => {
    of.offer(secretOf(1));
    await keep();
    of.users.clear();
    await keep();
    expect(of.users.size).to.equal(0);
    of.session++;
    await keep();
    expect([...of.users]).to.deep.equal([accountOf(1)]);
  });

  it('is not kept from other accounts, nor from ending any, by one that the server refuses, and says why', async () => {
    for (const n of [1, 2, 3]) of.offer(secretOf(n));
    of.users.add('join-old');
    await of.book.changeTokens(({ tokens }) => withEnding(tokens, 'join-old', NOW));
    of.refuses = accountOf(2);
    expect(await keep()).to.match(/no such account/);
    expect([...of.users].sort()).to.deep.equal([accountOf(1), accountOf(3)].sort());
    expect([1, 2, 3].map((n) => standing(n).state)).to.deep.equal(['ready', 'waiting', 'ready']);
    expect(standing(2).message).to.match(/^its account cannot be made: no such account/);
    expect(of.tokens.ending).to.deep.equal([]);
    of.refuses = '';
    expect(await keep()).to.equal('done');
    expect(standing(2)).to.deep.include({ state: 'ready' }).and.not.to.have.property('message');
  });

  it('ends an account and takes its Secret away when nobody needs it any more, and not before', async () => {
    const id = of.offer(secretOf(1));
    await keep();
    const claim = { node: 'a', name: 'a', serial: 0, certificate: '', at: NOW };
    await of.book.changeTokens(({ tokens }) => withClaim(tokens, id, claim));
    await keep(NOW + 599);
    expect([of.users.size, of.secretNames.length]).to.deep.equal([1, 1]);
    await of.book.changeTokens(({ tokens }) => withSerial(tokens, id, 'a', 5, NOW));
    await keep(NOW + 59);
    expect([of.users.size, of.secretNames.length]).to.deep.equal([1, 1]);
    await keep(NOW + 60);
    expect([of.users.size, of.secretNames.length]).to.deep.equal([0, 0]);
    await keep(NOW + 61);
    expect(standing(1)).to.deep.include({ state: 'ready', left: 0, joined: ['a'] });
  });

  it('waits for the word of nobody but who has an account that is to end', async () => {
    const id = of.offer(secretOf(1));
    await keep();
    expect(keeper.awaits(accountOf(1))).to.equal(false);
    const claim = { node: 'a', name: 'a', serial: 0, certificate: '', at: NOW };
    await of.book.changeTokens(({ tokens }) => withSerial(withClaim(tokens, id, claim), id, 'a', 5, NOW));
    expect([accountOf(1), accountOf(2), 'edge1.x'].map((one) => keeper.awaits(one))).to.deep.equal([
      true,
      false,
      false,
    ]);
    await keeper.confirm(accountOf(1));
    expect(due(of.tokens, NOW)).to.deep.equal([accountOf(1)]);
    expect(keeper.awaits(accountOf(1))).to.equal(false);
  });

  it('makes all tokens void when the book of who used them cannot be read, and begins a new one', async () => {
    of.offer(secretOf(1));
    await keep();
    of.breakBook();
    await of.book
      .changeTokens(({ tokens }) => tokens)
      .then(
        () => expect.fail('it was changed'),
        (error: Error) => expect(error.message).to.match(/cannot be read/),
      );
    // As a watch that is behind still has it.
    const behind = of.secretList;
    expect(await keep()).to.equal('done');
    expect(of.secretNames).to.deep.equal([]);
    expect(of.log.filter((line) => /1 tokens that were made are void/.test(line))).to.have.length(1);
    of.cached = behind;
    of.offer(secretOf(2));
    expect(await keep()).to.equal('done');
    expect(of.tokens.tokens.map(({ id }) => id)).to.deep.equal([tokenId(secretOf(2))]);
    expect(of.published).not.to.have.property(tokenId(secretOf(1)));
    expect(of.log).to.have.length(1);
    expect(tokenSecretName(tokenId(secretOf(2)))).to.equal(of.secretNames[0]);
  });

  it('leaves a book that cannot be read alone when the ledger is written', () => {
    of.breakBook();
    const { authority } = of.book.read();
    if (authority === undefined) throw new Error('no authority');
    expect([authority.tokensLost, Object.keys(authorityData(authority))]).to.deep.equal([
      true,
      ['authority.key', 'ledger.json'],
    ]);
  });

  it('goes on when the server is away, with all that needs no server', async () => {
    of.offer(secretOf(1));
    of.away = true;
    expect(await keep()).to.equal('the XMPP server is away: accounts of tokens wait');
    expect(standing(1)).to.deep.include({ state: 'waiting' });
    expect(of.tokens.tokens).to.have.length(1);
  });
});
