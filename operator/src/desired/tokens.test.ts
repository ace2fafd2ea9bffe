import { expect } from 'chai';
import {
  offerOf,
  offerTexts,
  readStanding,
  TOKEN_SECRET_TYPE,
  type TokenOffer,
  tokenSecretName,
} from '../../../agent/src/join/cluster-token.ts';
import {
  due,
  NO_TOKENS,
  type TokenBook,
  withClaim,
  withoutEnding,
  withSerial,
} from '../../../agent/src/join/tokens.ts';
import type { Secret } from '../../../agent/src/kube-api/kinds.ts';
import { tokenAccountName } from '../../../agent/src/wire/join-token.ts';
import { secretData } from './authority.ts';
import { aSecret } from './testing.ts';
import { accountsWanted, doneIn, missingIn, offersIn, REFUSED_MAX, settled, standingsOf } from './tokens.ts';

const NOW = 1_800_000_000;
const offer = (n: number, more: Partial<TokenOffer> = {}): TokenOffer => ({
  ...offerOf(Buffer.alloc(16, n), { expires: NOW + 600, uses: 1 }),
  ...more,
});
const secretOf = (of: TokenOffer, texts: Readonly<Record<string, string>> = {}): Secret => ({
  ...aSecret(tokenSecretName(of.id), secretData({ ...offerTexts(of), ...texts })),
  type: TOKEN_SECRET_TYPE,
});

const used = (book: TokenBook, { id }: TokenOffer, node = 'n'): TokenBook =>
  withClaim(book, id, { node, name: node, serial: 0, certificate: '', at: NOW });
const finished = (book: TokenBook, of: TokenOffer, node = 'n'): TokenBook =>
  withSerial(used(book, of, node), of.id, node, 1, NOW);
const around = (
  made: readonly string[] = [],
  peers: readonly string[] = [],
  failed: readonly [string, string][] = [],
) => ({
  made: new Set(made),
  peers: new Set(peers),
  failed: new Map(failed),
});

describe('the tokens of a cluster', () => {
  it('are read from Secrets of their type, and from no others', () => {
    const found = offersIn([secretOf(offer(1)), aSecret('other', {}), secretOf(offer(2, { peer: 'camera' }))], NOW);
    expect(found.offers).to.deep.equal([offer(1), offer(2, { peer: 'camera' })]);
    expect([...found.refused, ...found.over]).to.deep.equal([]);
  });

  it('are refused in words where somebody wrote them wrongly, or for too long', () => {
    const why = (texts: Readonly<Record<string, string>>, of = offer(1)): string =>
      [...offersIn([secretOf(of, texts)], NOW).refused.values()].join();
    expect(why({ hash: 'x' })).to.equal('hash is not 64 hex characters');
    expect(why({ uses: '0' })).to.match(/^uses is not a number/);
    expect(why({ uses: '101' })).to.match(/^uses is not a number/);
    expect(why({ expires: 'tomorrow' })).to.match(/^expires is not a time/);
    expect(why({ peer: 'A' })).to.match(/^peer is not/);
    expect(why({ peer: 'camera', uses: '2' })).to.match(/^uses is not 1/);
    expect(why({ expires: new Date((NOW + 31 * 86_400) * 1000).toISOString() })).to.match(/30 days/);
    expect(why({}, { ...offer(1), id: 'short' })).to.match(/^its name is not/);
    // For thirty days by a clock that is ahead.
    expect(why({ expires: new Date((NOW + 30 * 86_400 + 60) * 1000).toISOString() })).to.equal('');
  });

  it('come into the book once, with their uses, and are forgotten with their Secret or when they are over', () => {
    const offers = [offer(1)];
    const book = settled(NO_TOKENS, offers, [], NOW);
    expect(settled(book, offers, [], NOW + 1)).to.equal(book);
    const spent = finished(book, offer(1));
    expect(settled(spent, offers, [], NOW + 1)).to.equal(spent);
    expect(accountsWanted(book, offers).map(({ username }) => username)).to.deep.equal([tokenAccountName(offer(1).id)]);
    expect(accountsWanted(spent, offers)).to.deep.equal([]);
    // Nobody says that it is gone but the API server.
    expect(missingIn(book, [])).to.deep.equal([offer(1).id]);
    expect(settled(book, [], [], NOW)).to.equal(book);
    const gone = settled(book, [], [offer(1).id], NOW);
    expect([gone.tokens, due(gone, NOW)]).to.deep.equal([[], [tokenAccountName(offer(1).id)]]);
    const over = settled(book, [], [], NOW + 601);
    expect([over.tokens, due(over, NOW + 601)]).to.deep.equal([[], [tokenAccountName(offer(1).id)]]);
    expect(offersIn([secretOf(offer(1))], NOW + 601).over).to.deep.equal([tokenSecretName(offer(1).id)]);
  });

  it('are told of as they stand: without an account they wait, and so do those of an EvioPeer that is not there', () => {
    const found = offersIn(
      [secretOf(offer(1)), secretOf(offer(2, { peer: 'camera' })), secretOf(offer(3), { hash: '' })],
      NOW,
    );
    const book = settled(NO_TOKENS, found.offers, [], NOW);
    const states = (made: readonly number[], peers: readonly string[] = []) =>
      [1, 2, 3].map(
        (n) =>
          standingsOf(
            book,
            found,
            around(
              made.map((m) => offer(m).id),
              peers,
            ),
          ).get(offer(n).id)?.state,
      );
    expect(states([])).to.deep.equal(['waiting', 'waiting', 'refused']);
    expect(states([1, 2])).to.deep.equal(['ready', 'waiting', 'refused']);
    expect(states([1, 2], ['camera'])).to.deep.equal(['ready', 'ready', 'refused']);
    for (const standing of standingsOf(book, found, around()).values())
      expect(readStanding(JSON.stringify(standing))).to.deep.equal(JSON.parse(JSON.stringify(standing)));
    const failed = standingsOf(book, found, around([], [], [[offer(1).id, 'no room for accounts']])).get(offer(1).id);
    expect(failed).to.deep.include({ state: 'waiting', message: 'no room for accounts' });
  });

  it('keep their account while a join by them is not finished; then their Secret goes, and who joined is still told', () => {
    const offers = [offer(1)];
    const open = used(settled(NO_TOKENS, offers, [], NOW), offer(1));
    expect([accountsWanted(open, offers).length, doneIn(open, offers)]).to.deep.equal([1, []]);
    const grace = finished(settled(NO_TOKENS, offers, [], NOW), offer(1));
    expect(doneIn(grace, offers)).to.deep.equal([]);
    const over = withoutEnding(grace, [tokenAccountName(offer(1).id)]);
    expect(doneIn(over, offers)).to.deep.equal([offer(1).id]);
    // That its Secret is gone does not make it void: it says who joined until it is over.
    expect(missingIn(over, [])).to.deep.equal([]);
    expect(standingsOf(over, offersIn([], NOW), around()).get(offer(1).id)).to.deep.include({
      ...{ state: 'ready', left: 0 },
      joined: ['n'],
    });
    expect(settled(over, [], [], NOW + 601).tokens).to.deep.equal([]);
  });

  it('are told of by names that are theirs alone, and those that are refused not without end', () => {
    const named = (name: string): Secret => ({ ...aSecret(name, {}), type: TOKEN_SECRET_TYPE });
    const names = [...'overlay x 0123456789abcdeg'.split(' '), '__proto__'].map((end) => `evio-token-${end}`);
    const wrong = standingsOf(NO_TOKENS, offersIn([...names, 'overlay'].map(named), NOW), around());
    expect([...wrong.keys()]).to.deep.equal([]);
    const id = (n: number): string => n.toString(16).padStart(16, '0');
    const many = Array.from({ length: REFUSED_MAX + 9 }, (_, n): Secret => {
      const { metadata, ...rest } = named(tokenSecretName(id(n)));
      return { ...rest, metadata: { ...metadata, creationTimestamp: new Date((NOW + n) * 1000).toISOString() } };
    });
    const told = standingsOf(NO_TOKENS, offersIn([...many].reverse(), NOW), around());
    expect([told.size, told.has(id(8)), told.has(id(9))]).to.deep.equal([REFUSED_MAX, false, true]);
  });
});
