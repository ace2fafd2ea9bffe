import { expect } from 'chai';
import { type Answer, answerOf, apiOf, placesIn } from './api.ts';
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

describe('asking the API server', () => {
  it('goes on to the next place when one does not answer', async () => {
    const [seen, host] = [[{ host: '127.0.0.1', port: 1 }], '127.0.0.1'];
    const api = apiOf({ host, port: 2, seen, ca: '', token: () => '' });
    const ports = [];
    for (let n = 0; n < 3; n++) ports.push((await api({ method: 'GET', path: '/' })).message.match(/:(\d+)$/)?.[1]);
    expect(ports).to.deep.equal(['1', '2', '1']);
  });

  it('finds where it was seen in its environment', () => {
    expect(placesIn('https://203.0.113.6:6443,https://[2001:db8::6]:6443')).to.deep.equal([
      { host: '203.0.113.6', port: 6443 },
      { host: '2001:db8::6', port: 6443 },
    ]);
    expect(placesIn('')).to.deep.equal([]);
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
