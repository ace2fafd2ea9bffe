import { expect } from 'chai';
import fc from 'fast-check';
import { tokenAccountName, tokenId } from '../wire/join-token.ts';
import {
  ACCOUNT_GRACE_SECONDS,
  addToken,
  type Claim,
  confirmed,
  deadline,
  due,
  NO_TOKENS,
  settle,
  standingOf,
  TOKENS_MAX,
  type TokenBook,
  tokenBook,
  usesLeft,
  withClaim,
  withEnding,
  withoutEnding,
  withoutToken,
  withSerial,
} from './tokens.ts';

const NOW = 1_800_000_000;
const secretOf = (n: number): Buffer => Buffer.alloc(16, n);
const claimOf = (node: string, at = NOW): Claim => ({ node, name: node, serial: 0, certificate: '', at });
const made = (uses = 1, lifeSeconds = 3_600, n = 1, book: TokenBook = NO_TOKENS) =>
  addToken(book, secretOf(n), { uses, lifeSeconds }, NOW);
const kind = (book: TokenBook, node: string, now = NOW, n = 1) => standingOf(book, secretOf(n), node, now).kind;

describe('the tokens of an overlay', () => {
  it('are kept as hashes: nothing in the book is the secret', () => {
    const { book } = made();
    const text = JSON.stringify(book);
    for (const form of ['hex', 'base64', 'base64url'] as const) expect(text).not.to.include(secretOf(1).toString(form));
    expect(tokenBook.parse(JSON.parse(text))).to.deep.equal(book);
  });

  it('hold until their last second, and for who has the secret', () => {
    const { book, token } = made();
    expect(kind(book, 'a')).to.equal('good');
    expect(kind(book, 'a', token.expires)).to.equal('good');
    expect(kind(book, 'a', token.expires + 1)).to.equal('expired');
    expect(kind(book, 'a', NOW, 2)).to.equal('unknown');
  });

  it('are used as often as they allow, by different nodes; the same node comes again for nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.constantFrom(...'abcdefgh'), { maxLength: 20 }),
        (uses, who) => {
          let { book, token } = made(uses);
          const joined = new Set<string>();
          for (const node of who) {
            const standing = standingOf(book, secretOf(1), node, NOW);
            expect(standing.kind).to.equal(joined.has(node) ? 'again' : joined.size < uses ? 'good' : 'used');
            if (standing.kind !== 'good') continue;
            book = withClaim(book, token.id, claimOf(node));
            joined.add(node);
          }
          expect(joined.size).to.be.at.most(uses);
          expect(usesLeft(book.tokens[0] as typeof token)).to.equal(uses - joined.size);
        },
      ),
    );
  });

  it('that are spent end their account: at once when the machine has its answer, else after a minute', () => {
    const { book, token } = made();
    const account = tokenAccountName(token.id);
    const spent = withSerial(withClaim(book, token.id, claimOf('a')), token.id, 'a', 7, NOW);
    expect(spent.tokens[0]?.claims).to.deep.equal([{ ...claimOf('a'), serial: 7 }]);
    expect(due(spent, NOW)).to.deep.equal([]);
    expect(due(spent, NOW + ACCOUNT_GRACE_SECONDS)).to.deep.equal([account]);
    expect(due(confirmed(spent, account), NOW)).to.deep.equal([account]);
    expect(deadline(spent)).to.equal(NOW + ACCOUNT_GRACE_SECONDS);
    // Asked again, it is answered again, and an account that has ended does not end once more.
    const ended = withoutEnding(spent, [account]);
    expect(withSerial(ended, token.id, 'a', 7, NOW + 1)).to.equal(ended);
  });

  it('keep their account while a join is not finished, however long that takes, until they expire', () => {
    const { book, token } = made();
    const account = tokenAccountName(token.id);
    const open = withClaim(book, token.id, claimOf('a'));
    expect(due(open, token.expires)).to.deep.equal([]);
    expect(confirmed(open, account)).to.equal(open);
    const late = NOW + 10 * ACCOUNT_GRACE_SECONDS;
    const finished = withSerial(open, token.id, 'a', 7, late);
    expect(due(finished, late)).to.deep.equal([]);
    expect(due(finished, late + ACCOUNT_GRACE_SECONDS)).to.deep.equal([account]);
    expect(due(settle(open, token.expires + 1), token.expires + 1)).to.deep.equal([account]);
  });

  it('of several machines end when the last one has finished, and not because another one says that it has its answer', () => {
    const { book, token } = made(2);
    const account = tokenAccountName(token.id);
    const both = withClaim(withClaim(book, token.id, claimOf('a')), token.id, claimOf('b'));
    const one = withSerial(both, token.id, 'b', 2, NOW);
    expect(one.ending).to.deep.equal([]);
    expect(confirmed(one, account)).to.equal(one);
    const all = withSerial(one, token.id, 'a', 3, NOW + 9);
    expect(confirmed(all, account)).to.equal(all);
    expect(due(all, NOW + 9 + ACCOUNT_GRACE_SECONDS)).to.deep.equal([account]);
  });

  it('are not ended by who says that he has an answer before they are spent, nor by a stranger', () => {
    const { book, token } = made(2);
    const once = withClaim(book, token.id, claimOf('a'));
    for (const who of [tokenAccountName(token.id), 'n1.lab', 'authority-00'])
      expect(confirmed(once, who)).to.equal(once);
  });

  it('that expire, or are revoked, are forgotten, and their accounts end', () => {
    const { book, token } = made();
    expect(settle(book, token.expires)).to.equal(book);
    expect(deadline(book)).to.equal(token.expires + 1);
    const over = settle(book, token.expires + 1);
    expect(over.tokens).to.deep.equal([]);
    expect(due(over, token.expires + 1)).to.deep.equal([tokenAccountName(token.id)]);
    expect(deadline(withoutEnding(over, due(over, token.expires + 1)))).to.equal(undefined);
    const revoked = withoutToken(book, token.id);
    expect(due(revoked as TokenBook, NOW)).to.deep.equal([tokenAccountName(token.id)]);
    expect(withoutToken(book, tokenId(secretOf(2)))).to.equal(undefined);
  });

  it('whose account has ended with their last use do not end it again when they expire', () => {
    const { book, token } = made();
    const spent = withSerial(withClaim(book, token.id, claimOf('a')), token.id, 'a', 7, NOW);
    const ended = withoutEnding(spent, [tokenAccountName(token.id)]);
    expect(settle(ended, token.expires + 1).ending).to.deep.equal([]);
  });

  it('are so many at most', () => {
    let book = NO_TOKENS;
    for (let n = 0; n < TOKENS_MAX; n++)
      book = addToken(
        book,
        Buffer.from(n.toString(16).padStart(32, '0'), 'hex'),
        { uses: 1, lifeSeconds: 1 },
        NOW,
      ).book;
    expect(() => made(1, 1, 255, book)).to.throw(RangeError, `${TOKENS_MAX} tokens`);
  });

  it('an account has one time to end', () => {
    const book = withEnding(withEnding(NO_TOKENS, 'x', 5), 'x', 3);
    expect(book.ending).to.deep.equal([{ username: 'x', at: 3 }]);
  });
});
