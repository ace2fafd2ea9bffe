import { expect } from 'chai';
import { type Answer, answerOf } from './api.ts';
import { nextStep } from './network.ts';

const found = (metadata: object): Answer => ({ status: 200, body: { metadata }, message: '' });
const refused = (status: number): Answer => ({ status, body: undefined, message: 'no' });

describe('taking the network away', () => {
  it('deletes it first, then waits for the operator, and lets it go when the time is up', () => {
    expect(nextStep(found({}), false)).to.equal('delete');
    expect(nextStep(found({ deletionTimestamp: '2026-11-30T00:00:00Z' }), false)).to.equal('wait');
    expect(nextStep(found({ deletionTimestamp: '2026-11-30T00:00:00Z' }), true)).to.equal('release');
  });

  it('still deletes it first when the API server was away until the time was up', () => {
    expect(nextStep(found({}), true)).to.equal('delete');
  });

  it('is done when there is none, or no such kind any more', () => {
    expect(nextStep(refused(404), false)).to.equal('done');
    expect(nextStep(refused(404), true)).to.equal('done');
  });

  it('waits for an API server that is away, busy, or does not know our rights yet', () => {
    for (const status of [0, 401, 403, 429, 500, 503])
      for (const late of [false, true]) expect(nextStep(refused(status), late), String(status)).to.equal('wait');
  });
});

describe('an answer of the API server', () => {
  it('is told in its own words when it is an error', () => {
    const text = JSON.stringify({ kind: 'Status', message: 'evionetworks.evio.io "default" not found' });
    expect(answerOf(404, text).message).to.equal('evionetworks.evio.io "default" not found');
    expect(answerOf(500, '{}').message).to.equal('HTTP status 500');
    expect(answerOf(502, 'Bad gateway\nlong story').message).to.equal('Bad gateway');
    expect(answerOf(200, text).message).to.equal('');
  });
});
