import { expect } from 'chai';
import { DataPathProof, PATIENCE_MS, type ProofFacts } from './proof.ts';

const GOOD: ProofFacts = {
  tincan: true,
  missing: [],
  bridge: 'evio0',
  settled: true,
  online: true,
  members: ['a', 'b'],
  known: false,
};

describe("the proof of a node's data path", () => {
  it('is the answer of any other member, asked one after the other, once a second', () => {
    const proof = new DataPathProof();
    const asked = [0, 500, 1_000, 2_000].map((now) => proof.handle(GOOD, now));
    expect(asked).to.deep.equal(['a', undefined, 'b', 'a']);
    expect(proof.state).to.deep.equal({ ok: false, reason: 'Unverified', message: 'none of 2 other members answers' });
    proof.answered('b');
    expect(proof.handle(GOOD, 3_000)).to.equal(undefined);
    expect(proof.state).to.deep.equal({ ok: true, message: 'b answers' });
  });

  it('is given at once where there is no other member, but not before that is known', () => {
    const proof = new DataPathProof();
    proof.handle({ ...GOOD, members: [], settled: false }, 0);
    expect(proof.state.ok).to.equal(false);
    // A new node that cannot reach the XMPP server knows of nobody, too.
    proof.handle({ ...GOOD, members: [], online: false }, 1);
    expect(proof.state.ok).to.equal(false);
    proof.handle({ ...GOOD, members: [] }, 1);
    expect(proof.state.ok).to.equal(true);
  });

  it('is no longer asked for after a while on a node that was a member before: its pods start, cut off as it is', () => {
    const proof = new DataPathProof();
    const known = { ...GOOD, known: true, settled: false };
    proof.handle(known, 0);
    proof.handle(known, PATIENCE_MS - 1);
    expect(proof.state.ok).to.equal(false);
    proof.handle(known, PATIENCE_MS);
    expect(proof.state.ok).to.equal(true);
  });

  it('is asked for without end on a node that never was', () => {
    const proof = new DataPathProof();
    for (let now = 0; now < 100 * PATIENCE_MS; now += PATIENCE_MS) proof.handle(GOOD, now);
    expect(proof.state.ok).to.equal(false);
  });

  it('waits for tincan and for the addresses, and the patience begins then', () => {
    const proof = new DataPathProof();
    const known = { ...GOOD, known: true };
    proof.handle(undefined, 0);
    expect(proof.state).to.include({ ok: false, reason: 'DataPlaneAbsent' });
    proof.handle({ ...known, tincan: false }, 1_000);
    expect(proof.state).to.include({ ok: false, reason: 'DataPlaneAbsent' });
    expect(proof.handle({ ...known, missing: ['10.45.0.3/16'] }, PATIENCE_MS)).to.equal(undefined);
    expect(proof.state).to.include({ message: 'evio0 lacks 10.45.0.3/16' });
    proof.handle(known, PATIENCE_MS + 1);
    proof.handle(known, 2 * PATIENCE_MS);
    expect(proof.state.ok).to.equal(false);
  });

  it('given to an agent before, with the same tincan, is not asked for again', () => {
    const proof = new DataPathProof();
    proof.carriedOn();
    expect(proof.handle(GOOD, 0)).to.equal(undefined);
    expect(proof.state.ok).to.equal(true);
    proof.handle({ ...GOOD, missing: ['10.45.0.3/16'] }, 1);
    expect(proof.state.ok).to.equal(false);
  });

  it('is not asked for again when tincan was away, and the node is not ready in between', () => {
    const proof = new DataPathProof();
    proof.handle(GOOD, 0);
    proof.answered('a');
    proof.handle(GOOD, 1);
    proof.handle({ ...GOOD, tincan: false }, 2);
    expect(proof.state.ok).to.equal(false);
    expect(proof.proven).to.equal(true);
    proof.handle(GOOD, 3);
    expect(proof.state.ok).to.equal(true);
  });
});
